"""HTTP route of schedules."""

from dataclasses import fields

import azure.functions as func

from api import service_answers, views
from api.problems import answers_problems
from bootstrap import app

blueprint = func.Blueprint()


@blueprint.function_name("list_schedules")
@blueprint.route(route="schedules", methods=["GET"])
@answers_problems
def list_schedules(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the binding requires it
    """Lists the schedules of this app with the last and the next tick of each."""
    names = [field.name for field in fields(service_answers.Schedule)]
    shown = [
        service_answers.Schedule(**{name: getattr(each, name) for name in names}) for each in app().schedules.all()
    ]
    return views.json_response(service_answers.Schedules(shown))
