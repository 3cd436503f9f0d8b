"""Reading what strangers wrote, and telling who is calling."""

from __future__ import annotations

import json
from collections.abc import Callable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsportal.providers import masking, payload, signing
from smsportal.providers.errors import Garbled, Invalid
from smsportal.text import clean_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["e\u0301", "\0", "\ud800"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": [1, 2.5, true, null, "x"]}', {"a": [1, 2.5, True, None, "x"]}),
        (b"\xef\xbb\xbf[1]", [1]),  # a byte order mark
        (b"null", None),
        (b"999999999999999999", 999999999999999999),
        (b"-1234567890123456789", "-1234567890123456789"),
        (b"1" * 5000, "1" * 5000),
        (b'"a\\u0000b"', "ab"),
        (b'"\\ud800"', ""),
        ('"e\u0301"'.encode(), "\u00e9"),
        (b'{"a":1,"a":1}', {"a": 1}),
        (b'{"a":1,"b":2,"a":3}', {"a": 3, "b": 2, payload.REPEATED: ["a"]}),
        (b"[" * 31 + b"]" * 31, json.loads("[" * 31 + "]" * 31)),
        (b"[" * 32 + b"1" + b"]" * 32, json.loads("[" * 32 + "1" + "]" * 32)),
        (b"[" * 33 + b"]" * 33, json.loads("[" * 33 + "]" * 33)),
        (b"[" + b"0," * 9_999 + b"0]", [0] * 10_000),
    ],
)
def test_json_is_read_and_made_safe_to_store(body: bytes, value: object) -> None:
    assert payload.read(body) == value


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{'a':1}", "not JSON"),
        (b"\xff\xfe[\x00]\x00", "not UTF-8"),
        (b"\xe9", "not UTF-8"),
        (b"NaN", "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"[1e999]", "1e999"),
        (b"[" * 100_000, "deeper"),
        (b"[" * 40 + b"]" * 40, "deeper"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "deeper"),
        (b"[" * 33 + b"1" + b"]" * 33, "deeper"),
        (b"[" * 32 + b'{"a":1}' + b"]" * 32, "deeper"),
        (b"[" + b"0," * 10_000 + b"0]", "10,000"),
        (b"[[" + b"0," * 10_000 + b"0]]", "10,000"),
        (b"[" * 33 + b"0," * 10_000 + b"0" + b"]" * 33, "10,000"),
    ],
)
def test_what_is_not_decent_json_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    with pytest.raises(Garbled, match=reason):
        payload.read(body)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_garbled(body: bytes) -> None:
    try:
        json.dumps(payload.read(body), allow_nan=False).encode()
    except Garbled as refused:
        assert refused.text  # noqa: PT017 — either outcome is right
    assert isinstance(payload.words(body), str)


@given(VALUES, st.booleans())
def test_what_is_read_is_clean(value: object, escaped: bool) -> None:
    check_clean(value, escaped)


def check_clean(value: object, escaped: bool) -> None:
    body = json.dumps(value, ensure_ascii=escaped).encode("utf-8", "replace")
    try:
        found = payload.read(body)
    except Garbled:  # NaN
        return
    assert repr(found) == repr(clean_json(found))


@pytest.mark.parametrize(
    ("wrong", "value"),
    [(lambda text: text.isascii(), "\0"), (lambda text: "\\" not in text, "e\u0301"), (lambda text: True, "\ud800")],
)
def test_taking_for_clean_what_is_not_is_caught(
    monkeypatch: pytest.MonkeyPatch, wrong: Callable[[str], bool], value: str
) -> None:
    monkeypatch.setattr(payload, "_is_clean", wrong)
    with pytest.raises(AssertionError):
        check_clean([value], escaped="\u0301" not in value)


TOKENS = st.sampled_from(
    [b'{"a":1,"a":1}', b'{"a":1,"a":2}', b"-0", b"-0.0", b"1E2", b"1.50", b"1e999", b"NaN", b"12345678901234567",
     b"-123456789012345678", b"1234567890123456789", b'"e\xcc\x81"', b'"\\u0000"', b'"\\ud800"', b'"\\/"', b"\xff", b"\xef\xbb\xbf",
     b" ", b",", b"[", b"]", b'"', b"null", b"[" * 31 + b"]" * 31, b"[" * 300, b"[" * 300 + b"]" * 300]
)  # fmt: skip
BODIES = VALUES.map(
    lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
)
CHANGED = st.builds(
    lambda body, token, at, gone: body[: at % (len(body) + 1)] + token + body[at % (len(body) + 1) + gone :],
    BODIES, TOKENS, st.integers(0, 200), st.integers(0, 4)
)  # fmt: skip
LISTED = st.lists(BODIES | TOKENS, max_size=4).map(lambda parts: b"[" + b",".join(parts) + b"]")


@given(BODIES | CHANGED | LISTED)
def test_a_body_read_quickly_says_the_same(body: bytes) -> None:
    check_read(body)


def check_read(body: bytes) -> None:
    outcomes = []
    for read in (payload.read, payload._read_closely):
        try:
            outcomes.append(repr(read(body)))
        except Garbled as refused:
            outcomes.append(refused.text)
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("body", [b'{"a":1,"a":2}', b"[1234567890123456789]"])
def test_a_body_read_quickly_that_is_not_what_it_seems_is_caught(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    check_read(body)
    monkeypatch.setattr(orjson, "dumps", lambda value, option: body)
    with pytest.raises(AssertionError):
        check_read(body)


@given(VALUES | st.dictionaries(st.integers(), st.just(1)) | st.just("null"))
def test_a_body_says_the_same_whoever_writes_it(body: object) -> None:
    check_written(body)


def check_written(body: object) -> None:
    try:
        plain = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        with pytest.raises(Invalid):
            payload.write(body)
    else:
        assert repr(json.loads(payload.write(body))) == repr(json.loads(plain))


def test_a_number_that_is_none_written_as_null_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payload, "write", orjson.dumps)
    with pytest.raises(pytest.fail.Exception):
        check_written({"x": float("nan")})


@pytest.mark.parametrize(
    ("given", "elements"),
    [([1, 2], [1, 2]), ({"events": [1]}, [1]), ({"events": 1}, [{"events": 1}]), ({}, [{}]), (None, [None]), ([], [])],
)
def test_a_payload_falls_into_its_elements(given: object, elements: list[object]) -> None:
    assert payload.elements(given) == elements


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"statusCode":401,"message":"Invalid id or api key","error":"Unauthorized"}', "Invalid id or api key"),
        (b'{"message":["from is wrong","to  is\\nwrong"],"error":"Bad Request"}', "from is wrong; to is wrong"),
        (b'{"code":400,"errors":{"voice":{"code":442,"message":"Not supported."}}}', "Not supported."),
        (b'{"error":"Forbidden"}', "Forbidden"),
        (b"Too many requests", "Too many requests"),
        (b"<html><body>502</body></html>", ""),
        (b"\xff\xfe", ""),
        (b"{}", ""),
        (b"[true, null]", ""),
    ],
)
def test_staff_read_the_providers_message_and_never_its_markup(body: bytes, words: str) -> None:
    assert payload.words(body) == words


# --- who is calling --------------------------------------------------------------------------------------------------
def test_any_of_several_secrets_is_good_but_no_blank_one() -> None:
    assert signing.same_as_any("new", ["old", "new"])
    assert signing.same_as_any("old", ["old", "new"])
    assert not signing.same_as_any("x", ["old", "new"])
    assert not signing.same_as_any("", ["", "new"])
    assert not signing.same_as_any("\ud800", ["old"])
    assert not signing.same_as_any("x", [])


def test_a_token_is_found_by_its_hash_whatever_becomes_of_our_key(settings: object) -> None:
    first = signing.token_hash("token")
    assert len(first) == 64
    assert first == signing.token_hash("token") != signing.token_hash("token2")
    settings.SECRET_KEY = "another"  # type: ignore[attr-defined]
    assert signing.token_hash("token") == first


def test_a_mac_fits_an_address_and_only_its_own_text() -> None:
    mac = signing.mac("attempt")
    assert len(mac) == 22
    assert mac.replace("-", "").replace("_", "").isalnum()
    assert signing.mac_matches("attempt", mac)
    assert not signing.mac_matches("other", mac)
    assert not signing.mac_matches("attempt", mac[:-1])
    assert not signing.mac_matches("attempt", "")


@pytest.mark.parametrize(
    ("header", "right"),
    [
        (signing.basic("portal", "new"), True),
        (signing.basic("portal", "old"), True),
        (signing.basic("portal", "old").replace("Basic", "basic"), True),
        (signing.basic("pörtal", "x"), True),
        (signing.basic("portal", "x"), False),
        (signing.basic("", ""), False),
        ("Basic ???", False),
        ("Basic /w==", False),
        ("Bearer x", False),
        ("", False),
    ],
)
def test_basic_authentication_names_one_of_the_pairs(header: str, right: bool) -> None:
    pairs = [("portal", "old"), ("portal", "new"), ("pörtal", "x"), ("", "")]
    assert signing.basic_matches(header, pairs) is right


def test_a_signature_is_of_this_message_under_one_of_the_secrets() -> None:
    # RFC 4231, test case 2
    digest = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    message = b"what do ya want for nothing?"
    assert signing.signature_matches(message, digest, ["new", "Jefe"])
    assert signing.signature_matches(message, "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=", ["Jefe"])
    assert not signing.signature_matches(message + b"!", digest, ["Jefe"])
    assert not signing.signature_matches(message, digest, ["", "new"])


PIECES = st.sampled_from(
    ["Basic ", "BEARER\t", "basic", "Ba\u017fic ", "abcdefgh12", "/hooks/ocelot/", "tok3n/", " ", "\u00e9", "x"]
)


@given(st.lists(PIECES, max_size=8).map("".join))
def test_masking_leaves_nothing_out_to_be_quick(text: str) -> None:
    check_masked(text)


def check_masked(text: str) -> None:
    assert masking.mask(text) == masking._AUTHORIZATION.sub(r"\1 ***", masking._WEBHOOK_TOKEN.sub(r"\1***", text))


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda text: "Basic" in text or "Bearer" in text, "basic abcdefgh"),
        (lambda text: "basic" in text.lower(), "Ba\u017fic abcdefgh"),
    ],
)
def test_a_header_masking_overlooks_is_caught(
    monkeypatch: pytest.MonkeyPatch, wrong: Callable[[str], bool], text: str
) -> None:
    check_masked(text)
    monkeypatch.setattr(masking, "_may_authorize", wrong)
    with pytest.raises(AssertionError):
        check_masked(text)


def test_masking_blanks_keys_tokens_and_headers_but_not_words() -> None:
    text = "Authorization: Basic cG9ydGFsOnNlY3JldA== key=s3cret-key at /hooks/ocelot/abc123/a/9.xyz/ in a word"
    masked = masking.mask(text, ["s3cret-key", "a", ""])
    assert masked == "Authorization: Basic *** key=*** at /hooks/ocelot/*** in a word"
