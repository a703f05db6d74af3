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


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e15, "1000000000000000.0"),
        (1e16, "10000000000000000.0"),
        (-1.5e16, "-15000000000000000.0"),
        (1.2345678901234568e16, "12345678901234568.0"),
        ({"1e+16": ["1e+16", 'a"1e+16', "\\", 1e22, True]},
         '{"1e+16":["1e+16","a\\"1e+16","\\\\",10000000000000000000000.0,true]}'),
        (1e-7, "1e-07"),
        (10**16, "10000000000000000"),
    ],
)  # fmt: skip
def test_a_large_float_is_spelled_as_a_float_that_jsonb_does_not_take_for_an_integer(value: Any, text: str) -> None:
    assert json_text.encode(value) == text
    assert json.loads(text) == value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"rows": [{"a": 1, 2: 3}]}, "the keys of the object at rows[0] are of several types (int, str); use texts"),
        ({"a": {(1, 2): 3}}, "a key of the object at a is of type tuple; use a text"),
        ([1, {2}], "the value at [1] is of type set, which JSON does not have"),
        (b"x", "it is of type bytes, which JSON does not have"),
        ({"a": [float("nan")]}, "the number at a[0] is nan"),
        (float("-inf"), "it is the number -inf"),
        ({"a": "\ud800"}, "the text at a holds half a surrogate pair"),
        ({"\udfff": 1}, "a key of the outermost object holds half a surrogate pair"),
        ([[10**5_000]], "the integer at [0][0] has more than 4,300 digits"),
        (_cycle(), "it is nested deeper than 100 levels, or contains itself"),
        ({1: 2, None: 3}, "the keys of the outermost object are of several types (NoneType, int); use texts"),
        ({"x" * 100: {1}}, f"the value at {'x' * 39}\u2026 is of type set, which JSON does not have"),
    ],
)
def test_the_error_says_in_words_what_is_wrong_and_where(value: Any, reason: str) -> None:
    with pytest.raises(UnencodableValueError) as caught:
        json_text.encode(value, what="the result")
    assert str(caught.value) == f"the result cannot be written as JSON: {reason}"


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
