"""HTTP routes of dead letters: messages that the broker gave up on, or that cannot be used."""

import azure.functions as func

from api import dead_letter_queries, requests, views
from api.dead_letter_answers import DeadLetters
from api.known_parameters import takes
from api.problems import answers_problems
from bootstrap import app

blueprint = func.Blueprint()


@blueprint.function_name("list_dead_letters")
@blueprint.route(route="dead-letters", methods=["GET"])
@answers_problems
@takes("state", "include", "before", "limit")
def list_dead_letters(req: func.HttpRequest) -> func.HttpResponse:
    """Lists dead letters, newest first, page by page: `?state=&include=body&before={next}&limit=`."""
    with_body, state = dead_letter_queries.with_body(req), dead_letter_queries.dead_letter_state(req)
    before, limit = dead_letter_queries.before_letter(req), requests.limit(req)
    letters = app().status.dead_letters(before, limit, with_body=with_body, state=state)
    cursor = letters[-1].dead_letter_id if letters.has_more else None
    shown = [views.dead_letter(each, with_body=with_body) for each in letters]
    return views.json_response(DeadLetters(shown, cursor))


@blueprint.function_name("get_dead_letter")
@blueprint.route(route="dead-letters/{dead_letter_id}", methods=["GET"])
@answers_problems
def get_dead_letter(req: func.HttpRequest) -> func.HttpResponse:
    """Shows a dead letter with its body."""
    letter = app().status.dead_letter(dead_letter_queries.dead_letter_id(req))
    return views.json_response(views.dead_letter(letter, with_body=True))


@blueprint.function_name("resend_dead_letter")
@blueprint.route(route="dead-letters/{dead_letter_id}/resend", methods=["POST"])
@answers_problems
def resend_dead_letter(req: func.HttpRequest) -> func.HttpResponse:
    """Sends the message of a dead letter again: answers 202 once the broker has taken it."""
    letter = app().kept_letters.resend(dead_letter_queries.dead_letter_id(req))
    location = {"Location": str(req.url).partition("?")[0].removesuffix("/resend")}
    return views.json_response(views.dead_letter(letter, with_body=False), 202, location)


@blueprint.function_name("discard_dead_letter")
@blueprint.route(route="dead-letters/{dead_letter_id}/discard", methods=["POST"])
@answers_problems
def discard_dead_letter(req: func.HttpRequest) -> func.HttpResponse:
    """Marks a dead letter as handled."""
    letter = app().kept_letters.discard(dead_letter_queries.dead_letter_id(req))
    return views.json_response(views.dead_letter(letter, with_body=False))
