"""HTTP route of the queues."""

import azure.functions as func

from api import service_answers, views
from api.problems import answers_problems
from bootstrap import app
from engine.jobs.queue_reader import QueueView

blueprint = func.Blueprint()


@blueprint.function_name("list_queues")
@blueprint.route(route="queues", methods=["GET"])
@answers_problems
def list_queues(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the binding requires it
    """Lists the queues of this app with the numbers of their messages."""
    return views.json_response(service_answers.Queues([_queue(each) for each in app().queues.all()]))


def _queue(view: QueueView) -> service_answers.Queue:
    counts, waiting = view.counts, view.oldest_waiting_seconds
    return service_answers.Queue(
        queue=view.name,
        transport=view.transport,
        active=counts.active if counts else None,
        scheduled=counts.scheduled if counts else None,
        dead_lettered=counts.dead_lettered if counts else None,
        reason=view.reason,
        oldest_waiting_seconds=None if waiting is None else round(waiting, 1),
    )
