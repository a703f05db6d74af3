"""No secret of a URL survives, and nothing else is lost."""

import string

from hypothesis import example, given
from hypothesis import strategies as st

from core.redaction import MASK, Redaction, redacted

SECRET = "Zq7SECRETzQ"
_HOSTS = st.sampled_from(["h.example", "h.example:8080", "[::1]:1", "10.0.0.1", "localhost"])
_PATHS = st.text(string.ascii_letters + string.digits + "/-_.@:,()'", max_size=12).map(lambda path: f"/{path}")
_QUERIES = st.text(st.characters(exclude_characters='"<>', exclude_categories=["Z", "C"]), max_size=20)
_QUERY = st.tuples(_QUERIES, _QUERIES).map(lambda ends: f"{ends[0]}{SECRET}{ends[1]}")
_USER = st.text(string.ascii_letters + "%:.!$&'()*+,;=-_~", max_size=8)
_USER_INFO = st.one_of(st.just(""), st.tuples(_USER, _USER).map(lambda ends: f"{ends[0]}:{SECRET}{ends[1]}@"))
_SCHEMES = st.sampled_from(["https", "http", "postgresql", "sb", "amqps", "jdbc:postgresql"])


@st.composite
def urls(draw: st.DrawFn) -> str:
    end = draw(st.one_of(st.just(""), _QUERY.map(lambda query: f"?{query}"), _QUERY.map(lambda query: f"#{query}")))
    return f"{draw(_SCHEMES)}://{draw(_USER_INFO)}{draw(_HOSTS)}{draw(_PATHS)}{end}"


_AROUND = st.sampled_from(["", " ", "'", '"', "(see ", "), ", "\n", ", ", "<", ">"])
_TEXTS = st.lists(st.tuples(_AROUND, urls(), _AROUND), min_size=1, max_size=3).map(
    lambda parts: "".join(part for each in parts for part in each)
)
_JSON = st.recursive(
    st.one_of(_TEXTS, st.integers(), st.booleans(), st.none(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_TEXTS, inner, max_size=3)),
    max_leaves=8,
)


@given(_JSON)
def test_no_secret_of_a_url_survives_at_any_depth(value: object) -> None:
    shown = Redaction().json(value)
    assert SECRET not in repr(shown)
    assert Redaction().json(shown) == shown


@given(st.text())
def test_a_text_is_redacted_once(text: str) -> None:
    assert redacted(redacted(text)) == redacted(text)


@given(st.text(":/?#@[]=\\'\")(%3ab. ", max_size=30))
def test_a_text_like_a_url_is_redacted_once(text: str) -> None:
    once = redacted(f"x://{text}")
    assert redacted(once) == once


@given(st.text(st.characters(exclude_characters="=?")))
def test_a_text_without_urls_and_pairs_is_unchanged(text: str) -> None:
    text = text.replace("://", "").replace(":\\", "").replace("%3", "")
    assert redacted(text) == text


@example(secret="000\ud800", before="", after="")
@given(st.text(st.characters(exclude_characters="*"), min_size=1), st.text(), st.text())
def test_no_declared_secret_survives(secret: str, before: str, after: str) -> None:
    redaction = Redaction(frozenset({secret}))
    assert redaction.json([secret]) == [MASK]
    if len(secret) > len(MASK):
        assert secret not in redaction.text(before + secret + after)
