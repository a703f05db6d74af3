from collections.abc import Callable

import azure.functions as func
import pytest

from api import dead_letters
from core.lanes import JOBS_QUEUE
from core.messages import JobAction, JobMessage
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


def ask(action: str, letter_id: int | str) -> func.HttpResponse:
    """A request about one dead letter: get, resend or discard."""
    route = getattr(dead_letters, f"{action}_dead_letter")._function.get_user_function()
    url = f"{BASE}/dead-letters/{letter_id}" + ("" if action == "get" else f"/{action}")
    method = "GET" if action == "get" else "POST"
    response = route(func.HttpRequest(method, url, route_params={"dead_letter_id": str(letter_id)}, body=b""))
    assert isinstance(response, func.HttpResponse)
    return response


def keep(it: Stand, letter: DeadLetter) -> int:
    with it.database.transaction() as work:
        work.dead_letters.add(letter)
        return work.dead_letters.newest(1)[0].dead_letter_id


def test_a_dead_letter_is_shown_with_its_body_and_without_the_secrets_of_urls(it: Stand) -> None:
    raw = b"https://user:secret@host.example/a?sig=secret"
    letter_id = keep(it, DeadLetter("sb-tasks", "unreadable", "why", raw, "id", 10))
    shown = body(ask("get", letter_id))
    assert "secret" not in shown["body"]
    assert shown["body"].startswith("https://")
    assert (shown["state"], shown["resends"], shown["handled_at"]) == ("kept", 0, None)


def test_a_dead_letter_is_resent(it: Stand) -> None:
    job_id = it.submit("hello_world", n=1)
    it.queue.receive(JOBS_QUEUE)
    message = JobMessage(job_id, 1, JobAction.DISPATCH)
    letter_id = keep(it, DeadLetter(JOBS_QUEUE, "unhandled", "why", message.outgoing().body, "id", 10))
    response = ask("resend", letter_id)
    assert response.status_code == 202
    assert response.headers["Location"] == f"{BASE}/dead-letters/{letter_id}"
    assert (body(response)["state"], body(response)["resends"]) == ("resent", 1)
    again = problem(ask("resend", letter_id))
    assert (again["status"], again["dead_letter_id"], again["dead_letter_state"]) == (409, letter_id, "resent")
    assert it.queue.size(JOBS_QUEUE) == 1
    assert problem(ask("discard", letter_id))["status"] == 409


def test_a_dead_letter_is_discarded_and_may_be_left_out_of_lists(it: Stand) -> None:
    first, second = (keep(it, DeadLetter("sb-tasks", "unreadable", "why", b"", f"{n}", 1)) for n in range(2))
    response = ask("discard", first)
    assert (response.status_code, body(response)["state"]) == (200, "discarded")
    assert body(response)["handled_at"]
    assert "body" not in body(response)
    assert [each["dead_letter_id"] for each in body(get(state="kept"))["dead_letters"]] == [second]
    assert [each["dead_letter_id"] for each in body(get(state="discarded"))["dead_letters"]] == [first]
    assert problem(get(state="gone"))["errors"][0]["field"] == "state"


def test_the_reason_why_a_dead_letter_cannot_be_resent_is_told(it: Stand) -> None:
    letter_id = keep(it, DeadLetter("sb-tasks", "unreadable", "why", b"{", "id", 1))
    told = problem(ask("resend", letter_id))
    assert told["status"] == 409
    assert "cannot be decoded" in told["detail"]


@pytest.mark.usefixtures("it")
@pytest.mark.parametrize("action", ["get", "resend", "discard"])
@pytest.mark.parametrize("letter_id", ["7", "x", "-1", "9" * 19, "²"])
def test_a_dead_letter_that_does_not_exist_is_404(action: str, letter_id: str) -> None:
    assert problem(ask(action, letter_id))["status"] == 404
