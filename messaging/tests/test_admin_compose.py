"""Writing a batch in the admin: whom, which words, when; what is counted while it is typed; one form, one batch."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse

from contacts.models import Segment
from messaging import controls, templating
from messaging.models import Batch, Message, Sender
from messaging.statuses import BatchState, MessageState
from smsportal import clock
from smsportal.tests.world import fiction, make_account, make_contact, make_list, make_unit, make_user

pytestmark = pytest.mark.django_db

TEXT = "Hello {{First_Name|there}}, Registrar here. Reply STOP to opt out."


@pytest.fixture(autouse=True)
def _any_hour(settings):
    settings.QUIET_HOURS = ""


@pytest.fixture
def mia(client):
    found = make_user("mia", groups=("Sender",))
    client.force_login(found)
    return found


@pytest.fixture
def contact_list():
    made = make_list()
    for place, number in enumerate(fiction(3)):
        make_contact(made, number, first=f"Student {place}")
    return made


def url(page: str, *args) -> str:
    return reverse(f"admin:messaging_batch_{page}", args=args)


def form_for(contact_list, **more):
    sender = Sender.objects.get_or_create(account=make_account(), address="+13125550190")[0]
    given = {"name": "Welcome", "unit": contact_list.unit_id, "lists": [contact_list.pk], "template": "", "text": TEXT}
    return {**given, "sender": sender.pk, "operator": "", "send_at": "", "expires_at": "", "zone": "UTC", **more}


# --- whom ------------------------------------------------------------------------------------------------------------
def test_a_segment_alone_is_an_audience(client, mia, contact_list):
    segment = Segment.objects.create(unit=contact_list.unit, contact_list=contact_list, name="Park", conditions=[])
    page = client.get(url("add"), {"segments": segment.pk}, follow=True).text
    assert "Fall freshmen: Park" in page
    client.post(url("add"), form_for(contact_list, lists=[], segments=[segment.pk]))
    batch = Batch.objects.get()
    assert (list(batch.lists.all()), list(batch.segments.all())) == ([], [segment])
    assert f'value="{segment.pk}" id="id_segments_0" checked' in client.get(url("edit", batch.pk)).text


def test_segments_of_other_units_are_neither_shown_nor_taken(client, mia, contact_list):
    theirs = make_list("Theirs", unit=make_unit("Housing"))
    segment = Segment.objects.create(unit=theirs.unit, contact_list=theirs, name="Hidden", conditions=[])
    assert "Hidden" not in client.get(url("add"), follow=True).text
    page = client.post(url("add"), form_for(contact_list, segments=[segment.pk])).text
    assert "Nothing was saved yet" in page
    assert not Batch.objects.exists()


def test_a_correction_is_edited_without_lists(client, mia, contact_list):
    first = controls.create(
        actor=mia, unit=contact_list.unit, account=contact_list.account, sender="+13125550190", name="First",
        lists=[contact_list], text=TEXT,
    )  # fmt: skip
    got = contact_list.contacts.select_related("number").first()
    Message.objects.create(batch=first, number=got.number, contact=got, text="Hi", state=MessageState.ACCEPTED)
    Batch.objects.filter(pk=first.pk).update(state=BatchState.FINISHED, recipients=1)
    first.refresh_from_db()
    correction = controls.correct(first, actor=mia, text="Room 12, not 21. Registrar")
    page = client.get(url("edit", correction.pk)).text
    assert "goes to those who got that text" in page
    assert 'name="lists"' not in page
    form = form_for(contact_list, text="Room 13. Registrar", revision=correction.revision)
    client.post(url("edit", correction.pk), form)
    correction.refresh_from_db()
    assert (correction.text, correction.corrects) == ("Room 13. Registrar", first)


# --- which words -----------------------------------------------------------------------------------------------------
def test_a_template_is_offered_with_its_version_and_its_words(client, mia, contact_list):
    template = templating.create_template(actor=mia, unit=contact_list.unit, name="Hello", text="Hello one. STOP")
    templating.change_template(template, actor=mia, text="Hello two. STOP")
    page = client.get(url("add"), follow=True).text
    assert "Hello (version 2)" in page
    assert "Hello two. STOP" in page
    client.post(url("add"), form_for(contact_list, text="", template=template.pk))
    batch = Batch.objects.get()
    assert (batch.text, batch.template_version.version) == ("Hello two. STOP", 2)
    assert client.get(url("edit", batch.pk)).context["form"]["template"].value() == template.pk
    templating.change_template(template, actor=mia, text="Hello three. STOP")
    page = client.get(url("edit", batch.pk))
    assert "It was written with version 2" in page.text
    assert page.context["form"]["template"].value() is None
    assert "Hello two. STOP</textarea>" in page.text


def test_a_text_beside_a_template_is_not_silently_dropped(client, mia, contact_list):
    template = templating.create_template(actor=mia, unit=contact_list.unit, name="Hello", text="Hello one. STOP")
    page = client.post(url("add"), form_for(contact_list, template=template.pk)).text
    assert "You wrote a text and chose a template" in page
    assert not Batch.objects.exists()


@pytest.mark.parametrize(
    ("text", "size", "said"),
    [
        ("Hello {{First_Name|you}}", ("GSM-7", 1), "At least 9 characters, 1 segment; 151 more fit in."),
        ("Hello", ("GSM-7", 1), "5 characters, 1 segment; 155 more fit in."),
        ("a" * 161, ("GSM-7", 2), "161 characters, 2 segments; 145 more fit in."),
        ("Curly ’ quote", ("UCS-2", 1), "13 characters, 1 segment; 57 more fit in. Unicode"),
    ],
)
def test_a_text_is_measured_while_it_is_typed(client, mia, text, size, said):
    found = client.post(url("measure"), {"text": text}).json()
    assert (found["encoding"], found["segments"]) == size
    assert found["said"].startswith(said)


def test_what_forces_unicode_is_named_and_a_plainer_text_is_offered(client, mia):
    found = client.post(url("measure"), {"text": "It’s {{First_Name|Zoë}} 🎉"}).json()
    assert [each["name"] for each in found["culprits"]] == [
        "right single quotation mark", "latin small letter e with diaeresis", "party popper",
    ]  # fmt: skip
    assert (found["plain"], found["dropped"]) == ("It's {{First_Name|Zoe}} 🎉", "It's {{First_Name|Zoe}}")
    assert "not" in client.post(url("measure"), {"text": "Hello {{First"}).json()["problem"]
    assert client.post(url("measure"), {"text": " "}).json() == {}


@pytest.mark.parametrize(
    ("look", "text"), [("measure", "It’s 🎉 now"), ("plain", "It&#x27;s 🎉 now"), ("drop", "It&#x27;s now")]
)
def test_without_a_script_the_form_comes_back_as_it_was_filled_in(client, mia, contact_list, look, text):
    form = form_for(contact_list, name="", text="It’s 🎉 now", send_at="2030-01-01T09:05", look=look)
    page = client.post(url("add"), form).text
    assert f"{text}</textarea>" in page
    assert 'value="2030-01-01T09:05"' in page
    assert f'value="{contact_list.pk}" id="id_lists_0" checked' in page
    assert "Nothing was saved yet" not in page
    assert ("right single quotation mark" in page) is (look == "measure")
    assert not Batch.objects.exists()


# --- when ------------------------------------------------------------------------------------------------------------
def test_times_are_minutes_of_the_zone_that_is_named(client, mia, contact_list):
    day = (clock.now() + timedelta(days=30)).date()
    form = form_for(contact_list, send_at=f"{day}T09:07", expires_at=f"{day}T18:00", zone="Pacific/Honolulu")
    client.post(url("add"), form)
    batch = Batch.objects.get()
    assert batch.send_at.isoformat() == f"{day}T19:07:00+00:00"
    assert batch.expires_at.isoformat() == f"{day + timedelta(days=1)}T04:00:00+00:00"
    page = client.get(url("edit", batch.pk)).text
    assert f'value="{batch.send_at.astimezone(ZoneInfo("America/New_York")):%Y-%m-%dT%H:%M}"' in page  # the unit's zone
    assert '<option value="America/New_York" selected>' in page


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"send_at": "2030-03-10T02:30", "zone": "America/New_York"}, "There is no 02:30 on that day"),
        ({"send_at": "2030-11-03T01:30", "zone": "America/New_York"}, "01:30 comes twice on that day"),
        ({"send_at": "2020-01-01T09:00"}, "This moment has passed"),
        ({"expires_at": "2020-01-01T09:00"}, "This moment has passed"),
        ({"send_at": "2030-01-02T09:00", "expires_at": "2030-01-02T08:00"}, "It ends before it begins"),
        ({"send_at": "tomorrow"}, "Write a date and a time"),
        ({"send_at": "2199-01-01T09:00"}, "more than a year ahead; check the year"),
        ({"expires_at": "2199-01-01T09:00"}, "more than a year ahead; check the year"),
        ({"send_at": "9999-12-31T23:59", "zone": "America/New_York"}, "There is no year 9999 to send in"),
        ({"lists": ["9" * 40]}, "is not one of the available choices"),
        ({"zone": "Mars/Olympus"}, "Mars/Olympus"),
    ],
)
def test_a_time_that_cannot_be_is_refused_at_its_field(client, mia, contact_list, change, said):
    page = client.post(url("add"), form_for(contact_list, **change)).text
    assert said in page
    assert "has-errors" in page
    assert not Batch.objects.exists()


def test_a_minute_may_be_any_minute(client, mia, contact_list):
    soon = clock.now().astimezone(ZoneInfo("Asia/Kathmandu")) + timedelta(minutes=7)
    client.post(url("add"), form_for(contact_list, send_at=f"{soon:%Y-%m-%dT%H:%M}", zone="Asia/Kathmandu"))
    assert Batch.objects.get().send_at == soon.replace(second=0, microsecond=0)


# --- one form, one batch ---------------------------------------------------------------------------------------------
def test_a_form_sent_fifty_times_makes_one_batch(client, mia, contact_list):
    form = form_for(contact_list, token="a" * 32)
    pages = {client.post(url("add"), form).url for _ in range(50)}
    assert pages == {url("change", Batch.objects.get().pk)}


def test_going_back_and_saving_other_words_edits_the_batch(client, mia, contact_list):
    client.post(url("add"), form_for(contact_list, token="a" * 32))
    client.post(url("add"), form_for(contact_list, token="a" * 32, text="Other words. Registrar"))
    assert Batch.objects.get().text == "Other words. Registrar"


def test_a_form_whose_batch_has_begun_may_make_another_one(client, mia, contact_list):
    client.post(url("add"), form_for(contact_list, token="a" * 32))
    Batch.objects.update(state=BatchState.RUNNING)
    answer = client.post(url("add"), form_for(contact_list, token="a" * 32, text="Other words. Registrar"))
    assert "saving it makes another batch" in answer.text
    token = answer.context["form"]["token"].value()
    assert token != "a" * 32
    assert token in answer.text
    client.post(url("add"), form_for(contact_list, token=token, text="Other words. Registrar"))
    assert sorted(Batch.objects.values_list("text", flat=True)) == [TEXT, "Other words. Registrar"]


def test_going_back_leads_to_the_batch_the_form_has_made(client, mia, contact_list):
    """Pages of the admin are not kept by browsers: going back asks for the address of the form once more."""
    address = client.get(url("add"), {"lists": contact_list.pk}).url
    token = client.get(address).context["form"]["token"].value()
    client.post(address, form_for(contact_list, token=token))
    batch = Batch.objects.get()
    assert client.get(address).url == url("edit", batch.pk)
    client.force_login(make_user("kim", groups=("Sender",)))
    assert client.get(address).status_code == 200  # the address of somebody else's form is a form like any other
    assert client.get(url("add"), {"form": "x" * 65 + "\0"}).status_code == 302


def test_every_form_has_its_own_token(client, mia, contact_list):
    first, second = (client.get(url("add"), follow=True).context["form"]["token"].value() for _ in range(2))
    assert first != second


@pytest.mark.parametrize(
    ("text", "said"), [("Hi {{First_Nme}}", "Did you mean {{First_Name}}?"), ("Hi {{First_Name", "that is not closed")]
)
def test_a_mistaken_placeholder_is_told_with_all_other_mistakes(client, mia, contact_list, text, said):
    page = client.post(url("add"), form_for(contact_list, name="", sender="", text=text)).text
    assert "Choose the number people see." in page
    assert said in page
    alone = client.post(url("add"), form_for(contact_list, text=text)).context["form"]
    assert [list(alone.errors), len(alone.errors["text"])] == [["text"], 1]


def test_a_name_holds_nothing_that_nobody_can_see(client, mia, contact_list):
    client.post(url("add"), form_for(contact_list, name="Move-in\tday \x07\u202e North"))
    assert Batch.objects.get().name == "Move-in day North"
    assert (
        "Give the batch a name that can be read." in client.post(url("add"), form_for(contact_list, name="\x07")).text
    )


def _edited_by_another(client, contact_list) -> tuple[Batch, dict]:
    """A batch that Ada has edited since Mia opened its form, and what Mia sends."""
    client.post(url("add"), form_for(contact_list))
    batch = Batch.objects.get()
    ada = make_user("ada", groups=("Sender",), first_name="Ada", last_name="Byron")
    controls.edit(batch, actor=ada, revision=1, name="One", send_at=clock.now() + timedelta(days=1))
    return batch, form_for(contact_list, name="Two", revision=1)


def test_of_two_tabs_that_edit_the_second_sees_what_the_first_has_saved(client, mia, contact_list):
    batch, mine = _edited_by_another(client, contact_list)
    answer = client.post(url("edit", batch.pk), mine)
    assert "was edited meanwhile" in answer.text
    assert "Ada Byron changed it on" in answer.text
    assert [each.label for each in answer.context["theirs"]] == ["Name", "Send at"]
    assert answer.context["theirs"][0][1:] == ("One", "Two")
    assert client.post(url("edit", batch.pk), mine).context["theirs"]  # as often as it is not said to be meant
    batch.refresh_from_db()
    assert batch.name == "One"


def test_mine_is_saved_over_theirs_when_that_is_said(client, mia, contact_list):
    batch, mine = _edited_by_another(client, contact_list)
    assert 'name="revision" value="2">Save mine anyway' in client.post(url("edit", batch.pk), mine).text
    assert client.post(url("edit", batch.pk), {**mine, "revision": ["1", "2"]}).status_code == 302
    batch.refresh_from_db()
    assert (batch.name, batch.send_at, batch.revision) == ("Two", None, 3)


def test_who_edits_what_another_has_edited_and_started_is_told_that_it_has_begun(client, mia, contact_list):
    batch, mine = _edited_by_another(client, contact_list)
    Batch.objects.update(state=BatchState.RUNNING)
    page = client.post(url("edit", batch.pk), mine).text
    assert "Cannot edit “One”: it is sending" in page
    assert "Save mine anyway" not in page


def test_writing_takes_the_same_queries_whatever_the_number_of_lists(
    client, mia, contact_list, django_assert_max_num_queries
):
    def offer(start, end):
        for n in range(start, end):
            made = make_list(f"L{n}")
            Segment.objects.create(unit=made.unit, contact_list=made, name="All", conditions=[])
            templating.create_template(actor=mia, unit=made.unit, name=f"T{n}", text="Hello")

    offer(0, 3)
    client.get(url("add"), follow=True)
    for upto in (3, 12):
        offer(3, upto)
        with django_assert_max_num_queries(24):
            client.get(url("add"), follow=True)
