"""SMS: segments are counted as handsets are sent them, and replies that are commands are known in any disguise."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messaging import channels
from messaging.channels.sms import BASIC, EXTENSION, count, culprits, measure, reply_kind

GSM, UCS = "GSM-7", "UCS-2"


@pytest.mark.parametrize(
    ("text", "encoding", "segments", "units"),
    [
        ("", GSM, 0, 0),
        ("a", GSM, 1, 1),
        ("a" * 160, GSM, 1, 160),
        ("a" * 161, GSM, 2, 161),
        ("a" * 306, GSM, 2, 306),
        ("a" * 307, GSM, 3, 307),
        ("é" * 160, GSM, 1, 160),
        ("€" * 80, GSM, 1, 160),
        ("€" * 81, GSM, 2, 162),
        ("a" * 158 + "€", GSM, 1, 160),
        ("a" * 159 + "€", GSM, 2, 161),
        ("a" * 152 + "€" + "a" * 152, GSM, 3, 306),  # the pair does not fit at 153: 152 + 154 left over
        ("a" * 151 + "€" + "a" * 153, GSM, 2, 306),
        ("€" * 153, GSM, 3, 306),  # 76 pairs to a segment, one septet stays empty
        ("€" * 152, GSM, 2, 304),
        ("”", UCS, 1, 1),
        ("”" + "a" * 69, UCS, 1, 70),
        ("”" + "a" * 70, UCS, 2, 71),
        ("”" + "a" * 133, UCS, 2, 134),
        ("”" + "a" * 134, UCS, 3, 135),
        ("😀" * 35, UCS, 1, 70),
        ("😀" * 36, UCS, 2, 72),
        ("😀" * 66, UCS, 2, 132),
        ("😀" * 67, UCS, 3, 134),  # 33 pairs to a segment of 67
        ("a" * 66 + "😀" + "a" * 66, UCS, 3, 134),
        ("`", UCS, 1, 1),
        ("\t", UCS, 1, 1),
        ("\n\r\f", GSM, 1, 4),
        ("ç", UCS, 1, 1),
        ("Ç", GSM, 1, 1),
    ],
)
def test_segments_are_counted_exactly(text, encoding, segments, units):
    found = measure(text)
    assert (found.encoding, found.segments, found.units, found.characters) == (encoding, segments, units, len(text))
    assert count(text) == segments


def test_the_alphabet_is_that_of_the_standard():
    assert len(BASIC) == len(set(BASIC)) == 127
    assert len(EXTENSION) == len(set(EXTENSION)) == 10
    assert not set(BASIC) & set(EXTENSION)


def test_the_characters_that_force_unicode_are_named_once():
    assert measure("“Hi” – “you” [€]").culprits == ("“", "”", "–") == culprits("“Hi” – “you” [€]")
    assert culprits("plain [€]") == ()


def by_hand(text):
    """Segments by filling them character by character: slow and obvious."""
    gsm = all(character in BASIC + EXTENSION for character in text)
    sizes = [
        (2 if character in EXTENSION else 1) if gsm else len(character.encode("utf-16-le")) // 2 for character in text
    ]
    if sum(sizes) <= (160 if gsm else 70):
        return 1 if text else 0
    segments = [0]
    for size in sizes:
        if segments[-1] + size > (153 if gsm else 67):
            segments.append(0)
        segments[-1] += size
    return len(segments)


@settings(deadline=None)
@given(st.text(alphabet=BASIC + EXTENSION, max_size=700) | st.text(alphabet="ab€”😀", max_size=700))
def test_any_text_takes_as_many_segments_as_filled_by_hand(text):
    assert count(text) == measure(text).segments == by_hand(text)


STOP = """stop|STOP|Stop.|stop!!!|"STOP"|  stop  |s t o p|S.T.O.P.|STOP STOP STOP|st-op|ＳＴＯＰ|𝐒𝐓𝐎𝐏|ⓈⓉⓄⓅ|🅂🅃🄾🄿|🆂🆃🅾🅿
🇸🇹🇴🇵|s\u200bt\u200bop|\ufeffSTOP|sto\u00adp|\u202eSTOP\u202c|ŠTÖP|s̶t̶o̶p̶|STOP 🛑|👎 stop|ЅТОР|ЅΤΟΡ|st0p|ST0P|ꜱᴛᴏᴘ|stopall|STOP ALL|quit
QUIT!|end|End.|revoke|opt out|opt-out|OptOut|OPT  OUT|cancel|Cancel|САNСЕL|unsubscribe|UNSUBSCRIBE.|do not message|Do not text!
Don't text|don’t text|take me off your list|Take me off your list.|stop\nstop|end stop""".replace("\n", "|").split("|")
START = ["start", "START", "Start!", "unstop", "UNSTOP", "un-stop"]
HELP = ["help", "HELP?", "Info", "INFO!!"]
NOTHING = """|yes|YES|no|stop by my office?|I can't stop thinking about it|the end|weekend|please cancel my appointment|startled
helpful|information|🛑|???|take me off|do not|when does registration end|stopp|can I opt out of housing?|ok|1|start over|+""".replace(
    "\n", "|"
).split("|")


@pytest.mark.parametrize("text", STOP)
def test_a_stop_is_known_in_any_disguise(text):
    assert reply_kind(text) == "stop"


@pytest.mark.parametrize("text", START)
def test_a_start_is_known(text):
    assert reply_kind(text) == "start"


@pytest.mark.parametrize("text", HELP)
def test_a_call_for_help_is_known(text):
    assert reply_kind(text) == "help"


@pytest.mark.parametrize("text", [*NOTHING, "\0", "\ud800", "x" * 100_000])
def test_anything_else_is_for_people_to_read(text):
    assert reply_kind(text) == ""


@settings(deadline=None)
@given(st.text())
def test_no_reply_breaks_it(text):
    assert reply_kind(text) in {"", "stop", "start", "help"}


def test_every_channel_measures_and_knows_its_limit():
    for name in channels.CHANNELS:
        channel = channels.get(name)
        assert channel.measure("Hi").segments == channel.count("Hi") == 1
        assert channel.MAX_TEXT > 0
