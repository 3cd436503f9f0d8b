"""The policy lint: texts as offices write them, each with what it must be warned of, and how often it cries wolf."""

import time

import pytest

from messaging.composing.linting import Finding, lint, lint_content
from smsportal.problems import Wrong

NAMES = ["Office of the Registrar", "Advising"]
OK = "Registrar: {} Reply STOP to opt out."

# Text → the codes it must be warned with. What stands in it alone is put into OK.
RISKY = {
    "Your SSN 123-45-6789 is on file.": {"ssn"},
    "We have 123 45 6789 for you, is that right?": {"ssn"},
    "Your social security number ends in 6789.": {"ssn"},
    "Please confirm your SSN: 123456789.": {"ssn"},
    "Reply with your SSN (078-05-1120) to confirm.": {"ssn"},
    "Your grade: B+": {"grades"},
    "Your final grade in MATH 101 is C-.": {"grades"},
    "Your GPA is 2.31 this term.": {"grades"},
    "You have a 3.9 GPA, congratulations!": {"grades"},
    "You got an A in Chemistry.": {"grades"},
    "You earned 78% on the midterm.": {"grades"},
    "Your exam score is 64/100.": {"grades"},
    "Your midterm grade is 71%.": {"grades"},
    "You are failing BIO 110, see your advisor.": {"grades"},
    "You have been placed on academic probation.": {"grades"},
    "Your grade for the course was an F": {"grades"},
    "Your GPA: {{GPA}}": {"grades"},
    "Your midterm: {{Final_Grade}}": {"grades"},
    "Your password is Spring2026!": {"password"},
    "Temporary password: Xy7#kk": {"password"},
    "Your PIN is 4821.": {"password"},
    "Use PIN 90210 at the door.": {"password"},
    "The door code is 7741#.": {"password"},
    "Your verification code is 338211.": {"password"},
    "Reply with your password to keep your account.": {"password"},
    "Text your PIN to this number.": {"password"},
    "Your login is ready, password {{Password}}": {"password"},
    "Card 4111 1111 1111 1111 was charged.": {"account_number"},
    "Your card 5500005555555559 expires soon.": {"account_number"},
    "Send it to account number 000123456789.": {"account_number"},
    "Routing number 021000021 is needed.": {"account_number"},
    "Refund goes to account ending in 4432.": {"account_number"},
    "You owe $350.00 to the library.": {"money_owed"},
    "You still owe 120 dollars.": {"money_owed"},
    "Your balance is $1,204.50.": {"money_owed"},
    "Your account is past due.": {"money_owed"},
    "An unpaid fee of $25 is on your account.": {"money_owed"},
    "Amount due: ${{Amount}}": {"money_owed"},
    "Your balance of {{Balance}} is ready to view.": {"money_owed"},
    "Sign up: https://bit.ly/3xYz": {"shortener"},
    "Sign up at tinyurl.com/abc today": {"shortener"},
    "Form: HTTPS://T.CO/AbC": {"shortener"},
    "See http://example.edu/move": {"http_link"},
    "To unsubscribe go to https://example.edu/bye": {"unsubscribe_link"},
    "https://example.edu/unsubscribe?id=4": {"unsubscribe_link"},
    "Call 312-555-0100, 312-555-0101 or (312) 555-0102.": {"many_numbers"},
    "URGENT ACT NOW: registration for the fall closes tonight, so sign in soon": {"capitals"},
    "Hello {First_Name}, room 12 it is": {"braces"},
    "Hello { First_Name|there }, room 12 it is": {"braces"},
    "REGISTRATION CLOSES TONIGHT. SIGN UP NOW OR LOSE YOUR PLACE": {"capitals"},
    "Please note: DO NOT MISS THE FINAL DEADLINE today, friends of the library and the museum": {"capitals"},
    "Class is \u202emoved\u202c to room 12.": {"bidi"},
    "Class is \u2066moved\u2069 to room 12.": {"bidi"},
    "Class is moved\u200e.": {"bidi"},
    "\u05e9\u05dc\u05d5\u05dd \u202eRoom 12": {"bidi"},
    "See ex\u200bample.edu/x": {"invisible"},
    "Re\u00adply soon": {"invisible"},
    "\ufeffClass is moved": {"invisible"},
    "Class\u2060 is moved\u200d today": {"invisible"},
    "Class is moved \x1b[31m": {"invisible"},
    "Class\ufe0f is moved": {"invisible"},
    "Class \U000e0041 is moved": {"invisible"},
}
BARE = {
    "Class is moved to room 12. Reply STOP to opt out.": {"sender"},
    "This is your university. Text STOP to end.": {"sender"},
    "Your office of student services says hello. Reply STOP to quit": {"sender"},
    "Registrar: class is moved to room 12.": {"stop"},
    "Registrar: please stop by the office.": {"stop"},
    "Class is moved.": {"sender", "stop"},
    "FREE!!! http://goo.gl/x": {"sender", "stop", "shortener", "http_link"},
}
# Nothing to warn of, however near it comes.
CLEAN = [
    "Registrar: class is moved to room 12. Reply STOP to opt out.",
    "Advising here. Your appointment is on 3 May at 10:30. Text STOP to quit.",
    "This is the Office of the Registrar. Grades are posted; sign in to see them. Reply STOP to opt out",
    "Registrar: A in-person orientation starts at 9. Reply STOP to opt out.",
    *map(
        OK.format,
        [
            "Midterm grades are available in the portal.",
            "Grade change forms are due on Friday.",
            "The deadline to change to pass/fail grading is 12 April.",
            "Grade level meetings begin Monday.",
            "Your transcript is ready for pickup.",
            "You have 3 days left to register.",
            "You have 80% of the form done.",
            "Congratulations, you made the Dean's list!",
            "Call us at (312) 555-0100 with questions.",
            "Call 312-555-0100 or 312-555-0101.",
            "Reset your password at https://example.edu/reset.",
            "Forgot your password? Sign in at https://example.edu.",
            "Your password expires in 3 days.",
            "Set up your PIN online before registration.",
            "We never ask for your password.",
            "Bring your social security card or passport.",
            "Student ID 900123456 is ready.",
            "Case 2026-04-1234 is closed.",
            "Order 123-456-7890 shipped.",
            "ZIP 60614-1234 is where to send it.",
            "Tickets are $5 at the door.",
            "Win a $50 gift card: answer our survey.",
            "Scholarships of $2,000 are open, apply now.",
            "The application fee is $40.",
            "Tuition is due on 1 August; sign in to see your account.",
            "There is news about your account; sign in to see it.",
            "Balance your semester: join our yoga class.",
            "Your FAFSA is due March 1.",
            "Details: https://example.edu/registrar/move.",
            "See example.edu/x for the map.",
            "Meet at bit.lyceum hall.",
            "Write to t.colby@example.edu.",
            "The NASA and NSF fellowships (REU) close on Friday.",
            "STEM, ROTC and FAFSA advisors are at the CRC at 9 AM.",
            "Your class MATH 101 meets in LSC 204 on Friday.",
            "Hi {{First_Name|there}}, your advisor is {{Advisor}}.",
            "{{First_Name}}, your {{Grade_Level}} orientation is on {{Due_Date}}.",
            "Your room is {{Hall}} {{Room}}, move in at {{Time}}.",
            "Account holds are lifted tomorrow at noon.",
            "Pick up your ID card at desk 1204.",
            "\u05e9\u05dc\u05d5\u05dd\u200f! \u2067\u05d7\u05d3\u05e8\u2069 12",  # Hebrew
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian, with a joiner it needs
            "We \u2764\ufe0f\u200d\U0001f525 you \U0001f468\u200d\U0001f469\u200d\U0001f467, 1\ufe0f\u20e3 \u00a9\ufe0f",
            "Hello Wales \U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f",
            "Line one\nLine two\tand a tab",
            "Send STOP HELP START to see what they do.",
            "Advisors of NYU, UCLA, MIT & CSU come to {{BUILDING_OF_THEIR_OWN}} {{HALL}} {{ROOM}}.",
            "Parking lot code of conduct: https://example.edu/parking.",
        ],
    ),
]


def codes(text):
    return {finding.code for finding in lint(text, names=NAMES)}


def wrongly_warned(check):
    """The share of clean texts `check` warns of."""
    return sum(bool(check(text)) for text in CLEAN) / len(CLEAN)


def test_there_are_enough_texts_to_say_so():
    assert len(RISKY) + len(BARE) + len(CLEAN) >= 60


@pytest.mark.parametrize(("text", "expected"), [(OK.format(text), codes) for text, codes in RISKY.items()])
def test_what_does_not_belong_into_a_text_is_found(text, expected):
    assert codes(text) == expected


@pytest.mark.parametrize(("text", "expected"), BARE.items())
def test_what_a_text_lacks_is_found(text, expected):
    assert codes(text) == expected


@pytest.mark.parametrize("text", CLEAN)
def test_nothing_is_said_of_a_clean_text(text):
    assert codes(text) == set()


def test_it_hardly_ever_cries_wolf_and_the_measure_would_notice():
    assert wrongly_warned(codes) <= 0.02
    naive = ("password", "grade", "$", "card", "account", "ssn", "balance")
    assert wrongly_warned(lambda text: any(word in text.lower() for word in naive)) > 0.2


@pytest.mark.parametrize("text", [OK.format(text) for text in RISKY])
def test_every_finding_says_what_and_what_to_do(text):
    for finding in lint(text, names=NAMES):
        assert isinstance(finding, Finding)
        assert finding.code
        assert finding.sentence.endswith(".")
        assert finding.remedy.endswith(".")


def test_a_text_as_one_person_gets_it_is_asked_for_its_content_only():
    assert {finding.code for finding in lint_content("Your note: SSN 123-45-6789")} == {"ssn"}
    assert lint_content("Class is moved.") == []
    assert lint_content("Hello MARIA DEL CARMEN RUIZ GARCIA, class is moved.") == []  # it is how they write themselves


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Office of the Registrar", "Hello from the registrar"),
        ("Center for Student Wellness", "Wellness here"),
        ("Financial Aid Office", "FAO: bring your form"),
        ("IT", "This is IT"),
    ],
)
def test_an_office_may_call_itself_by_its_own_word_or_its_initials(name, text):
    assert {finding.code for finding in lint(text, names=[name])} == {"stop"}


def test_broken_braces_are_refused_as_everywhere():
    with pytest.raises(Wrong, match="not closed"):
        lint("Hi {{First_Name", names=NAMES)


@pytest.mark.parametrize(
    "part", ["1", "1,", "you owe ", "grade is ", "A ", "{", "-", "1 ", "reply ", "$1", "password ", "http"]
)
def test_no_text_takes_long(part):
    begun = time.process_time()
    lint_content(part * (20_000 // len(part)))
    assert time.process_time() - begun < 1
