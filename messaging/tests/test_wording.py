"""Templates: what is filled in, what stays text, and what is refused with its spot."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messaging.wording import compile_text, literal, placeholders, plain, refuse_unknown
from smsportal.problems import Wrong

ADA = {"First_Name": "Ada", "Last_Name": "Park", "Phone_Number": "+13125550100"}


def filled(text, **values):
    return compile_text(text)(values or ADA)


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("Hello", "Hello"),
        ("", ""),
        ("Hi {{First_Name}}!", "Hi Ada!"),
        ("{{First_Name}}{{Last_Name}}", "AdaPark"),
        ("{{ First_Name }} {{First_Name}}", "Ada Ada"),
        ("Hi {{Nickname|there}}", "Hi there"),
        ("Hi {{Nickname|}}!", "Hi !"),
        ("Hi {{ Nickname | my friend }}", "Hi my friend"),
        ("Hi {{First_Name|there}}", "Hi Ada"),
        ("100% of {First_Name} %s %(x)s {0}", "100% of {First_Name} %s %(x)s {0}"),
        ("100% {{First_Name}} %s {", "100% Ada %s {"),
        ("a\nb {{First_Name}}", "a\nb Ada"),
    ],
)
def test_placeholders_are_filled_in(text, rendered):
    assert filled(text) == (rendered, [])


@pytest.mark.parametrize(
    "name",
    [
        "{{Last_Name}}",
        "{{Last_Name|x}}",
        "{x.__class__}",
        "{0}",
        "%s",
        "%(Last_Name)s",
        "$Last_Name",
        "((Last_Name))",
        "{% include 'settings.py' %}",
        "{{ settings.SECRET_KEY }}",
        "\\1",
        "=HYPERLINK(1)",
        "<b>",
    ],
)
def test_a_value_is_data_and_never_read_again(name):
    assert filled("Hi {{First_Name}}, {{Last_Name}}.", First_Name=name, Last_Name="Park") == (f"Hi {name}, Park.", [])


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Ada\nURGENT http://x", "Ada URGENT http://x"),
        ("Ada\r\n\r\nPark", "Ada Park"),
        ("Ada\u2028Park\u2029", "Ada Park"),
        ("A\0d\x1ba\x7f", "Ada"),
        ("\u202eadA", "adA"),
        ("A\u200bd\ufeffa\u00ad", "Ada"),
        ("Ada\u00a0\u3000Park", "Ada Park"),
        ("  Ada  \t Park ", "Ada Park"),
        ("Zoë 李", "Zoë 李"),
        ("👩\u200d🎓", "👩\u200d🎓"),
        ("\ud800Ada", "Ada"),
    ],
)
def test_a_value_is_one_line_without_what_nobody_sees(value, shown):
    assert plain(value) == shown
    assert filled("Hi {{First_Name}}", First_Name=value) == (f"Hi {shown}", [])


@pytest.mark.parametrize("value", ["", " ", "\n", "\u200b", "\u00a0", "\0"])
def test_a_value_of_nothing_is_blank(value):
    assert filled("{{First_Name}} {{Last_Name}} {{First_Name}}", First_Name=value, Last_Name="Park") == (
        " Park ",
        ["First_Name"],
    )
    assert filled("Hi {{First_Name|there}}", First_Name=value) == ("Hi there", [])


@pytest.mark.parametrize(
    ("text", "spot", "why"),
    [
        ("Hi {{First_Name", "“{{First_Name” at character 4", "not closed"),
        ("{{", "“{{” at character 1", "not closed"),
        ("Hi {{First_Name} and {{Last_Name}}", "at character 4", "not closed"),
        ("{{{First_Name}}}", "at character 1", "not closed"),
        ("{{First_\nName}}", "at character 1", "not closed"),
        ("Hi First_Name}}", "“}}” at character 14", "not opened"),
        ("{{First_Name}}}}", "“}}” at character 15", "not opened"),
        ("Hi {{}}", "“{{}}” at character 4", "without a field"),
        ("Hi {{ | there}}", "at character 4", "without a field"),
        ("Hi {{First Name}}", "“{{First Name}}” at character 4", "not a field's name"),
        ("Hi {{x.__class__}}", "at character 4", "not a field's name"),
        ("Hi {{1st}}", "at character 4", "not a field's name"),
    ],
)
def test_broken_braces_are_refused_with_their_spot(text, spot, why):
    with pytest.raises(Wrong) as refused:
        compile_text(text)
    assert spot in refused.value.detail
    assert why in refused.value.detail
    assert refused.value.errors == {"text": [refused.value.detail]}


def test_placeholders_are_named_once_in_order():
    assert placeholders("{{B}} {{A|x}} {{B|y}}") == ["B", "A"]


def test_the_literal_text_is_the_shortest():
    assert literal("Hi {{First_Name|you}}{{Last_Name}}!") == "Hi you!"


SCHEMAS = {"Fall": ["First_Name", "Dorm"], "Spring": ["First_Name", "Major"]}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{{first_name}}", "{{first_name}} is not a field of “Fall”, “Spring”. Did you mean {{First_Name}}?"),
        ("{{Firstname}}", "{{Firstname}} is not a field of “Fall”, “Spring”. Did you mean {{First_Name}}?"),
        ("{{Shoe}}", "{{Shoe}} is not a field of “Fall”, “Spring”. There are: First_Name."),
        ("{{Dorm}}", "{{Dorm}} is not a field of “Spring”. There are: First_Name."),
        ("{{Shoe|x}}", "{{Shoe}} is not a field of “Fall”, “Spring”. There are: First_Name."),
    ],
)
def test_an_unknown_field_is_refused_with_those_there_are(text, sentence):
    with pytest.raises(Wrong) as refused:
        refuse_unknown(text, SCHEMAS)
    assert refused.value.errors["text"] == [sentence]


def test_a_fallback_makes_do_with_a_field_of_one_list():
    refuse_unknown("{{First_Name}} {{Dorm|your hall}}", SCHEMAS)
    refuse_unknown("{{Anything}}", {})


@settings(deadline=None)
@given(st.text(), st.text())
def test_any_two_values_come_out_as_they_are_cleaned(first, last):
    text, blanks = filled("<{{First_Name|-}}|{{Last_Name|-}}>", First_Name=first, Last_Name=last)
    assert text == f"<{plain(first) or '-'}|{plain(last) or '-'}>"
    assert blanks == []


@settings(deadline=None)
@given(st.text(alphabet="{}|aB_ \n%"))
def test_any_template_is_compiled_or_refused(text):
    try:
        render = compile_text(text)
    except Wrong:
        return
    assert isinstance(render({})[0], str)
