"""The operations of the OpenAPI document about dead letters."""

from api import dead_letter_queries, page_places
from api.described import FAILURES, LIMIT, Json, include, json_answer, problem_answer, query, response
from core.statuses import DeadLetterState

LIST_DEAD_LETTERS: Json = {
    "operationId": "list_dead_letters",
    "summary": "List dead letters, newest first, page by page.",
    "parameters": [
        LIMIT,
        include([dead_letter_queries.BODY]),
        query("before", "`next` of the previous page", type="integer", minimum=0, maximum=page_places.MAX_ROW_ID),
        query("state", "only dead letters in this state", type="string", enum=list(DeadLetterState)),
    ],
    "responses": {"200": json_answer("DeadLetters", "A page."), "400": response("BadQuery"), **FAILURES},
}

DEAD_LETTER_ID: Json = {
    "name": "dead_letter_id",
    "in": "path",
    "required": True,
    "schema": {"type": "integer", "minimum": 0, "maximum": page_places.MAX_ROW_ID},
}

GET_DEAD_LETTER: Json = {
    "operationId": "get_dead_letter",
    "summary": "Show a dead letter with its body.",
    "description": "The body is redacted: URLs are without user info, query and fragment.",
    "responses": {
        "200": json_answer("DeadLetter", "The dead letter."),
        "404": response("NoSuchDeadLetter"),
        **FAILURES,
    },
}

RESEND_DEAD_LETTER: Json = {
    "operationId": "resend_dead_letter",
    "summary": "Send the message of a dead letter again, if it has work left to do.",
    "description": "After a 503, and while the state is `resending`, the request may be repeated: a message that is "
    "sent twice does no harm.",
    "responses": {
        "202": {
            **json_answer("DeadLetter", "The broker has taken the message; the rest happens in the background."),
            "headers": {"Location": {"description": "the URL of the dead letter", "schema": {"type": "string"}}},
        },
        "404": response("NoSuchDeadLetter"),
        "409": problem_answer(
            "The dead letter was handled, its body cannot be decoded, or its message has no work left to do."
        ),
        **FAILURES,
    },
}

DISCARD_DEAD_LETTER: Json = {
    "operationId": "discard_dead_letter",
    "summary": "Mark a dead letter as handled; its message is not needed.",
    "responses": {
        "200": json_answer("DeadLetter", "The dead letter."),
        "404": response("NoSuchDeadLetter"),
        "409": problem_answer("The dead letter was resent."),
        **FAILURES,
    },
}
