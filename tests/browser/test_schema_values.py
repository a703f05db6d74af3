"""What a filled form gives: the module of the page, called in Chromium."""

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.polled_page import pass_time

pytestmark = pytest.mark.one_worker

GIVEN = """
    async ([property, text]) => {
      const { fieldsOf, parametersOf } = await import("/api/monitor/schema_values.js");
      const form = new FormData();
      if (text !== null) form.set("value", text);
      const { parameters, faults } = parametersOf(fieldsOf({ properties: { value: property } }), form);
      return faults.size ? Object.fromEntries(faults) : parameters;
    }
"""
INTEGERS = {"type": "array", "items": {"type": "integer"}}


@pytest.mark.parametrize(
    ("schema", "text", "expected"),
    [
        ({"type": "integer"}, "12", 12),
        ({"type": "integer"}, " 12 ", 12),
        ({"type": "integer"}, "-3", -3),
        ({"type": "integer"}, " ", None),
        ({"type": "integer"}, "twelve", "twelve"),
        ({"type": "integer"}, "0x10", "0x10"),
        ({"type": "integer"}, "9007199254740993", "9007199254740993"),
        ({"type": "number"}, "1.5", 1.5),
        ({"type": "number"}, "1e3", 1000),
        ({"type": "number"}, "1e999", "1e999"),
        ({"type": "number"}, " ", None),
        (INTEGERS, "1\n \n2\n", [1, 2]),
        (INTEGERS, "1\ntwo", [1, "two"]),
        ({"type": "array", "items": {"type": "string"}}, " a \n \n1", ["a", "1"]),
        ({"type": "array", "items": {"type": "string"}}, " ", None),
        ({"type": "array", "items": {"type": "string"}, "default": ["a"]}, "", []),
        ({"type": "string"}, "", None),
        ({"type": "string", "default": "a"}, "", ""),
        ({"type": "boolean"}, None, False),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}], "default": 3}, "", "null"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None}, "", None),
        ({"enum": [1, 2]}, "2", 2),
        ({"type": "object"}, '{"a": 1}', {"a": 1}),
        ({"type": "object"}, "{", "must be JSON"),
    ],
)
def test_a_field_gives_what_was_typed_or_nothing(
    polling: Page, schema: dict[str, Any], text: str | None, expected: object
) -> None:
    """None stands for no value, `null` for null."""
    given = polling.evaluate(GIVEN, [schema, text])
    assert given == ({} if expected is None else {"value": None if expected == "null" else expected})


def test_a_field_may_have_the_name_of_what_each_object_of_a_script_has(polling: Page) -> None:
    schema = {"properties": {"constructor": {"type": "string"}, "valueOf": {"type": "integer"}}}
    polling.evaluate("(types) => { jobTypes = types; }", [{"name": "house", "parameters": schema}])
    polling.evaluate("location.hash = '#/submit/house'")
    pass_time(polling, 1_000)
    polling.get_by_role("textbox", name="Constructor").fill("a builder")
    polling.evaluate("answer = { status: 422, body: { detail: 'No.', errors: [] }, headers: {} }")
    polling.get_by_role("button", name="Submit house").click()
    pass_time(polling, 1_000)
    assert polling.get_by_role("alert").inner_text() == "No."
    assert polling.locator(".field-error").count() == 0
