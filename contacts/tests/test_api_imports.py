"""Imports through the API: upload, look, mend, apply, undo."""

from __future__ import annotations

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from contacts import tasks
from contacts.models import Contact, Import
from smsportal.tests.programs import API, program
from smsportal.tests.world import make_account, make_contact, make_list, make_unit, make_user

pytestmark = pytest.mark.django_db
FILE = b"Mobile,Given\n312-555-0100,Ada\n12,Bo\n312-555-0101,=cmd()\n312-555-0101,Cy\n"
MAPPING = {"Mobile": "Phone_Number", "Given": "First_Name"}


@pytest.fixture
def client():
    make_account()
    return program(make_user(groups=("List manager",)))


def _upload(client, contact_list, content=FILE, mapping=MAPPING, name="fall.csv"):
    body = {"file": SimpleUploadedFile(name, content)} | ({"mapping": json.dumps(mapping)} if mapping else {})
    return client.post(f"{API}contact-lists/{contact_list.uuid}/imports/", body, format="multipart")


def _checked(client, contact_list, **more):
    answer = _upload(client, contact_list, **more)
    assert answer.status_code == 202, answer.json()
    while tasks.work_imports():
        pass
    return client.get(f"{API}imports/{answer.json()['id']}/").json()


def test_an_upload_is_checked_and_nothing_reaches_the_list(client):
    contact_list = make_list()
    answer = _upload(client, contact_list)
    assert (answer.status_code, answer.json()["state"]) == (202, "checking")
    while tasks.work_imports():
        pass
    upload = client.get(f"{API}imports/{answer.json()['id']}/").json()
    assert upload["state"] == "checked"
    assert (upload["file_name"], upload["columns"], upload["mapping"]) == ("fall.csv", ["Mobile", "Given"], MAPPING)
    counts = {name: upload[name] for name in ("rows", "new", "changed", "same", "refused", "duplicates")}
    assert counts == {"rows": 4, "new": 2, "changed": 0, "same": 0, "refused": 1, "duplicates": 1}
    assert sum(upload["errors_by_code"].values()) >= 1
    assert not Contact.objects.exists()
    assert [row["id"] for row in client.get(f"{API}contact-lists/{contact_list.uuid}/imports/").json()["results"]] == [
        upload["id"]
    ]


def test_rows_say_what_is_wrong_and_can_be_mended(client):
    upload = _checked(client, make_list())
    rows = client.get(f"{API}imports/{upload['id']}/rows/").json()["results"]
    assert [row["number"] for row in rows] == [2, 3, 4, 5]
    [bad] = client.get(f"{API}imports/{upload['id']}/rows/?state=refused").json()["results"]
    assert (bad["number"], bad["state"], bad["before"]) == (3, "refused", None)
    assert set(bad["errors"][0]) == {"field", "code", "message", "value"}
    assert bad["errors"][0]["field"] == "Phone_Number"
    url = f"{API}imports/{upload['id']}/rows/3/"
    mended = client.patch(url, {"fields": {"Phone_Number": "312-555-0102"}})
    assert (mended.status_code, mended.json()["state"], mended.json()["errors"]) == (200, "new", [])
    assert client.get(f"{API}imports/{upload['id']}/").json()["refused"] == 0
    assert client.patch(f"{API}imports/{upload['id']}/rows/99/", {"fields": {}}).status_code == 404
    assert client.patch(url, {"state": "new"}).status_code == 400


def test_good_rows_are_applied_and_taken_back(client):
    contact_list = make_list()
    make_contact(contact_list, "+13125550100", first="Old")
    upload = _checked(client, contact_list)
    url = f"{API}imports/{upload['id']}/"
    assert client.post(f"{url}undo/").status_code == 409
    assert client.post(f"{url}apply/", {"accept": "all_or_nothing"}).status_code == 409
    assert client.post(f"{url}apply/", {"accept": "whatever"}).status_code == 400
    started = client.post(f"{url}apply/", {"accept": "good"})
    assert (started.status_code, started.json()["state"]) == (202, "applying")
    while tasks.work_imports():
        pass
    assert client.get(url).json()["state"] == "applied"
    assert set(Contact.objects.present().values_list("first_name", flat=True)) == {"Ada", "=cmd()"}
    again = client.post(f"{url}apply/", {"accept": "good"})
    assert again.status_code == 409
    assert again.json()["allowed"] == ["undo"]
    undone = client.post(f"{url}undo/")
    assert (undone.status_code, undone.json()["state"]) == (200, "undone")
    assert [each.first_name for each in Contact.objects.present()] == ["Old"]


def test_columns_are_mapped_anew(client):
    upload = _checked(client, make_list())
    url = f"{API}imports/{upload['id']}/"
    answer = client.patch(url, {"mapping": {"Mobile": "Phone_Number", "Given": "Last_Name"}})
    assert (answer.status_code, answer.json()["state"]) == (202, "checking")
    while tasks.work_imports():
        pass
    assert client.get(url).json()["mapping"]["Given"] == "Last_Name"
    assert client.patch(url, {"mapping": {"Mobile": "Shoe_Size"}}).status_code == 400


def test_refused_rows_come_back_as_csv_without_formulas(client):
    content = b"Mobile,Given\n12,=cmd()\n"
    upload = _checked(client, make_list(), content=content)
    answer = client.get(f"{API}imports/{upload['id']}/refused.csv", HTTP_ACCEPT="text/csv")
    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert answer["Content-Type"].startswith("text/csv")
    assert answer["Content-Disposition"].startswith("attachment")
    assert lines[0] == '"Mobile","Given","Errors"'
    assert '"=cmd()"' not in lines[1]
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("content", "mapping"),
    [(b"", MAPPING), (b"   ", MAPPING), (FILE, {"Mobile": "Shoe_Size"}), (FILE, "text"), (FILE, {"Mobile": None})],
)
def test_a_wrong_upload_is_refused(client, content, mapping):
    answer = _upload(client, make_list(), content, mapping)
    assert answer.status_code == 400
    assert answer.json()["detail"]
    assert not Import.objects.exists()


def test_an_upload_needs_a_file_and_nothing_unknown(client):
    url = f"{API}contact-lists/{make_list().uuid}/imports/"
    assert list(client.post(url, {}, format="multipart").json()["errors"]) == ["file"]
    file = SimpleUploadedFile("a.csv", FILE)
    assert list(client.post(url, {"file": file, "acept": "good"}, format="multipart").json()["errors"]) == ["acept"]
    assert client.post(url, {"mapping": "{"}, format="multipart").json()["errors"].keys() == {"mapping", "file"}


def test_an_upload_above_the_limit_is_refused_before_it_is_read(client, settings):
    settings.IMPORT_MAX_BYTES = 1000
    contact_list = make_list()
    assert _upload(client, contact_list, b"Mobile\n" + b"312-555-0100\n" * 100).status_code == 400
    assert _upload(client, contact_list, b"x" * 100_000).status_code == 413


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\\b\\fall.csv", "<script>.csv", "x" * 250 + ".csv"])
def test_a_file_name_is_only_a_name(client, name):
    upload = _upload(client, make_list(), name=name).json()
    assert "/" not in upload["file_name"]
    assert "\\" not in upload["file_name"]


def test_imports_of_other_units_are_not_there(client):
    theirs = make_list(unit=make_unit("Housing"))
    upload = Import.objects.create(contact_list=theirs, file_name="a.csv", content=FILE, sha256="x")
    url = f"{API}imports/{upload.uuid}/"
    for call in (
        client.get(url), client.get(f"{url}rows/"), client.get(f"{url}refused.csv"), client.post(f"{url}undo/"),
        client.post(f"{url}apply/", {"accept": "good"}), client.patch(f"{url}rows/2/", {"fields": {}}),
        client.patch(url, {"mapping": {}}), _upload(client, theirs),
    ):  # fmt: skip
        assert call.status_code == 404
