"""HTTP route of the OpenAPI document."""

import json

import azure.functions as func

from api.document import document
from api.problems import answers_problems
from bootstrap import app

blueprint = func.Blueprint()


@blueprint.function_name("get_openapi")
@blueprint.route(route="openapi.json", methods=["GET"])
@answers_problems
def get_openapi(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the binding requires it
    """Returns the OpenAPI document, with the parameters of every job type."""
    # Not redacted as other answers are: it holds what authors write, no values of jobs.
    return func.HttpResponse(json.dumps(document(app().registry)), mimetype="application/json")
