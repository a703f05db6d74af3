import json
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import json_text
from core.errors import PayloadTooLargeError, UnencodableValueError

# jsonb can hold no NUL and no half of a surrogate pair.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(texts, children, max_size=4),
    max_leaves=20,
)


def reordered(value: Any) -> Any:
    """The same value with the keys of every object in reverse order."""
    match value:
        case dict():
            return {key: reordered(value[key]) for key in reversed(value)}
        case list():
            return [reordered(item) for item in value]
        case _:
            return value


def storable(value: Any) -> bool:
    """Whether jsonb has a form for the value."""
    match value:
        case list():
            return all(storable(item) for item in value)
        case float():
            return math.isfinite(value)
        case str():
            return not any(char == "\x00" or "\ud800" <= char <= "\udfff" for char in value)
        case _:
            return True


@given(values)
def test_what_is_written_reads_back_as_the_same_value(value: Any) -> None:
    assert json.loads(json_text.encode(value)) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_jsonb_reads_a_float_as_a_float(value: float) -> None:
    text = json_text.encode(value)
    # jsonb keeps a number as digits before and after the point; json reads digits without a point as an integer.
    assert "." in f"{Decimal(text):f}"
    assert float(text) == value


@given(values)
def test_equal_values_are_spelled_equally(value: Any) -> None:
    assert json_text.encode(reordered(value)) == json_text.encode(value)
    assert json_text.encode(json.loads(json.dumps(value))) == json_text.encode(value)


@given(st.recursive(st.none() | st.floats() | st.text(), lambda children: st.lists(children, max_size=4)))
def test_a_value_is_refused_exactly_if_the_database_could_not_store_it(value: Any) -> None:
    try:
        text = json_text.encode(value)
    except UnencodableValueError:
        assert not storable(value)
    else:
        assert storable(value)
        assert json.loads(text) == value


@given(values, st.integers(0, 200))
def test_the_limit_is_that_of_the_utf8_form(value: Any, max_bytes: int) -> None:
    text = json_text.encode(value)
    size_bytes = len(text.encode())
    if size_bytes <= max_bytes:
        assert json_text.encode(value, max_bytes=max_bytes) == text
        return
    with pytest.raises(PayloadTooLargeError) as caught:
        json_text.encode(value, max_bytes=max_bytes)
    assert (caught.value.size_bytes, caught.value.limit_bytes) == (size_bytes, max_bytes)
