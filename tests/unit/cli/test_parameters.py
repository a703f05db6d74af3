"""Parameters are read as their schema says, and wrong ones are named."""

import pytest

from cli.parameters import InvalidParametersError, check, read_parameters
from client.app_answers import JobType


def job_type(**properties: object) -> JobType:
    schema = {"properties": properties, "additionalProperties": False}
    return {"name": "sample", "description": None, "parameters": schema, "stages": [], "task_types": []}


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "string"}, "5", "5"),
        ({"type": "integer"}, "5", 5),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "true", "true"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "null", None),
        ({"type": "array", "items": {"type": "integer"}}, "[1,2]", [1, 2]),
        ({"enum": ["1", "2"]}, "1", "1"),
        ({}, "a=b", "a=b"),
        ({"type": "number"}, "NaN", "NaN"),
    ],
)
def test_a_value_is_read_as_its_schema_says(schema: dict[str, object], text: str, value: object) -> None:
    assert read_parameters([f"it={text}"], None, {"properties": {"it": schema}}) == {"it": value}


def test_nested_fields_are_named_with_their_path() -> None:
    inner = {"type": "object", "required": ["b"], "properties": {"b": {"type": "integer"}}}
    with pytest.raises(InvalidParametersError) as caught:
        check(job_type(a=inner, c={"anyOf": [{"type": "integer"}, {"type": "null"}]}), {"a": {}, "c": "x"})
    assert [each.field for each in caught.value.fields] == ["a.b", "c"]


def test_a_secret_is_not_in_the_text_of_its_error() -> None:
    secret = {"type": "string", "writeOnly": True, "minLength": 99}
    with pytest.raises(InvalidParametersError, match="token: does not fit minLength: 99") as caught:
        check(job_type(token=secret), {"token": "pssst"})
    assert "pssst" not in str(caught.value)
