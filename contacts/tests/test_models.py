"""What the rows of contacts promise by themselves."""

from __future__ import annotations

import pytest

from smsportal.tests.world import make_contact, make_list


@pytest.mark.django_db
def test_a_contact_leaves_blank_fields_out():
    contact = make_contact(make_list(), first="Zoë", last="", extra={"Advisor": "Dr. Kim", "Room": ""})
    assert contact.fields() == {"Phone_Number": "+13125550100", "First_Name": "Zoë", "Advisor": "Dr. Kim"}


@pytest.mark.django_db
def test_a_list_has_the_default_schema_then_its_own_fields():
    contact_list = make_list()
    contact_list.own_fields.create(name="Advisor", display_name="Advisor")
    assert [field.name for field in contact_list.schema()] == [
        "Phone_Number", "Email_Address", "First_Name", "Last_Name", "Advisor",
    ]  # fmt: skip
