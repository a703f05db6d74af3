"""HTTP route of dead letters: messages that the broker gave up on, or that cannot be used."""

import azure.functions as func

from api import answers, requests, views
from api.problems import answers_problems
from bootstrap import app

blueprint = func.Blueprint()


@blueprint.function_name("list_dead_letters")
@blueprint.route(route="dead-letters", methods=["GET"])
@answers_problems
def list_dead_letters(req: func.HttpRequest) -> func.HttpResponse:
    """Lists dead letters, newest first, page by page: `?include=body&before={next}&limit=`."""
    limit, with_body = requests.limit(req), requests.with_body(req)
    letters = app().status.dead_letters(requests.before_letter(req), limit, with_body=with_body)
    cursor = letters[-1].dead_letter_id if letters.has_more else None
    shown = [views.dead_letter(each, with_body=with_body) for each in letters]
    return views.json_response(answers.DeadLetters(shown, cursor))
