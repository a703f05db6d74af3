"""HTTP route of the OpenAPI document."""

import azure.functions as func

from api import views
from api.document import document
from api.problems import answers_problems
from bootstrap import app

blueprint = func.Blueprint()


@blueprint.function_name("get_openapi")
@blueprint.route(route="openapi.json", methods=["GET"])
@answers_problems
def get_openapi(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the binding requires it
    """Returns the OpenAPI document, with the parameters of every job type."""
    return views.json_response(document(app().registry))
