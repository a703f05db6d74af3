"""Reads the routes and the queries of requests about dead letters."""

import azure.functions as func

from api.page_places import is_row_id, row_id
from api.requests import included
from core.errors import DeadLetterNotFoundError, field_error
from core.statuses import DeadLetterState

BODY = "body"
"""What `GET /api/dead-letters` may include."""


def with_body(req: func.HttpRequest) -> bool:
    """Reads whether dead letters have their bodies; they do not by default.

    Raises:
        InvalidInputError: something else is to be included.
    """
    return bool(included(req, [BODY]))


def before_letter(req: func.HttpRequest) -> int | None:
    """Reads the dead letter id before which the page starts; None for the first page.

    Raises:
        InvalidInputError: the text is not a dead letter id.
    """
    return row_id(req, "before")


def dead_letter_id(req: func.HttpRequest) -> int:
    """Reads the dead letter id from the route.

    Raises:
        DeadLetterNotFoundError: the route contains no dead letter id.
    """
    text = str(req.route_params.get("dead_letter_id", ""))
    if not is_row_id(text):
        raise DeadLetterNotFoundError(None)
    return int(text)


def dead_letter_state(req: func.HttpRequest) -> DeadLetterState | None:
    """Reads the state of dead letters from the query; None means any.

    Raises:
        InvalidInputError: there is no such state.
    """
    text = req.params.get("state")
    if not text:
        return None
    try:
        return DeadLetterState(text)
    except ValueError as exc:
        raise field_error("state", f"must be one of {', '.join(DeadLetterState)}") from exc
