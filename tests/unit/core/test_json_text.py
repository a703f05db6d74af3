import json
from typing import Any

import pytest

from core import json_text
from core.errors import PayloadTooLargeError, UnencodableValueError


def test_the_spelling_is_canonical() -> None:
    assert json_text.encode({"b": [1, 2.5, None, True], "a": "é"}) == '{"a":"é","b":[1,2.5,null,true]}'


def test_the_order_of_keys_does_not_matter() -> None:
    assert json_text.encode({"a": 1, "b": {"c": 2, "d": 3}}) == json_text.encode({"b": {"d": 3, "c": 2}, "a": 1})


def _cycle() -> list[Any]:
    cycle: list[Any] = []
    cycle.append(cycle)
    return cycle


def _deep() -> list[Any]:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    return deep


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        b"bytes",
        object(),
        float("nan"),
        [float("inf")],
        {"x": float("-inf")},
        "\ud800",
        {"\udfff": 1},
        _cycle(),
        {(1, 2): 3},
        {"a": 1, 2: 3},
        10**5_000,
    ],
    ids=[
        *("set", "bytes", "object", "nan", "inf", "-inf", "surrogate", "surrogate key", "cycle", "tuple key"),
        *("keys of two types", "number of 5,001 digits"),
    ],
)
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(UnencodableValueError, match="the thing cannot be written as JSON"):
        json_text.encode(value, what="the thing")


def test_what_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(UnencodableValueError):
        json_text.encode(_deep())


@pytest.mark.parametrize("value", ["\x00", "a\x00b", {"\x00": 1}, ["\\\x00"], "\\\\\x00"])
def test_a_nul_character_is_refused_wherever_it_stands(value: Any) -> None:
    with pytest.raises(UnencodableValueError, match="NUL"):
        json_text.encode(value)


@pytest.mark.parametrize("value", ["\\u0000", "\\\\u0000", "a\\\\\\u0000b", {"\\u0000": 1}])
def test_an_escaped_backslash_before_u0000_is_text_like_any_other(value: Any) -> None:
    assert json.loads(json_text.encode(value)) == value


def test_the_limit_counts_utf8_bytes() -> None:
    four_bytes_each = "\N{GRINNING FACE}" * 10  # and two quotes
    assert json_text.encode(four_bytes_each, max_bytes=42) == f'"{four_bytes_each}"'
    with pytest.raises(PayloadTooLargeError) as caught:
        json_text.encode(four_bytes_each, what="the result", max_bytes=41)
    assert (caught.value.size_bytes, caught.value.limit_bytes) == (42, 41)
    assert str(caught.value) == "the result has 42 bytes; at most 41 are accepted"


def test_what_is_nested_to_the_limit_is_taken_and_a_level_more_is_not() -> None:
    value: Any = 1
    for _ in range(json_text.MAX_DEPTH):
        value = [value] if json.dumps(value).startswith("{") else {"k": value}
    assert json.loads(json_text.encode(value)) == value
    with pytest.raises(UnencodableValueError, match="nested deeper than 100 levels"):
        json_text.encode([value])


def test_what_is_wide_is_not_taken_for_deep() -> None:
    wide = [[number] for number in range(1_000)]
    assert json.loads(json_text.encode(wide)) == wide
