from collections.abc import Callable

import azure.functions as func
import pytest

from api import dead_letters
from repositories.ports import DeadLetter
from tests.support.drive import Stand
from tests.unit.api.support import BASE, body, problem


def get(**params: str) -> func.HttpResponse:
    handler: Callable[..., func.HttpResponse] = dead_letters.list_dead_letters._function.get_user_function()
    return handler(func.HttpRequest("GET", f"{BASE}/dead-letters", params=params, body=b""))


@pytest.fixture
def three(it: Stand) -> Stand:
    with it.database.transaction() as work:
        for number, raw in enumerate((b'{"v":1}', b"\xff\x00", b"")):
            work.dead_letters.add(DeadLetter("sb-tasks", f"reason {number}", "why", raw, f"id-{number}", 10))
    return it


@pytest.mark.usefixtures("three")
def test_dead_letters_are_listed_newest_first_page_by_page() -> None:
    first = body(get(limit="2"))
    assert [letter["reason"] for letter in first["dead_letters"]] == ["reason 2", "reason 1"]
    second = body(get(limit="2", before=str(first["next"])))
    assert [letter["reason"] for letter in second["dead_letters"]] == ["reason 0"]
    assert second["next"] is None


@pytest.mark.usefixtures("three")
def test_a_body_is_text_or_base64() -> None:
    letters = body(get(include="body"))["dead_letters"]
    assert [letter.get("body") for letter in letters] == ["", None, '{"v":1}']
    assert letters[1]["body_base64"] == "/wA="
    assert letters[0]["received_at"]


@pytest.mark.usefixtures("three")
def test_dead_letters_have_no_body_unless_asked() -> None:
    letters = body(get())["dead_letters"]
    assert [letter["reason"] for letter in letters] == ["reason 2", "reason 1", "reason 0"]
    assert not {"body", "body_base64"} & set().union(*letters)
    assert problem(get(include="parameters"))["errors"] == [
        {"field": "include", "message": "must name some of body, separated by commas"}
    ]


@pytest.mark.usefixtures("it")
@pytest.mark.parametrize("before", ["x", "-1", "1.5", "9" * 19, "²"])
def test_a_cursor_that_is_none_is_400(before: str) -> None:
    assert problem(get(before=before))["status"] == 400
