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
    """Lists dead letters, newest first, page by page: `?before={next}&limit=`."""
    limit = requests.limit(req)
    letters = app().status.dead_letters(requests.before_letter(req), limit)
    cursor = letters[-1].dead_letter_id if letters.has_more else None
    return views.json_response(answers.DeadLetters([views.dead_letter(each) for each in letters], cursor))
