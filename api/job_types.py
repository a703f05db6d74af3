"""HTTP route of job types."""

import json
from dataclasses import asdict

import azure.functions as func

from api import job_type_answers
from api.problems import answers_problems
from bootstrap import app

blueprint = func.Blueprint()


@blueprint.function_name("list_job_types")
@blueprint.route(route="job-types", methods=["GET"])
@answers_problems
def list_job_types(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the binding requires it
    """Lists the job types: their parameters as JSON Schema, their stages, their task types with policy and limits."""
    # Not redacted as other answers are: it holds what authors write, and a pattern must stay as it is.
    text = json.dumps(asdict(job_type_answers.job_types(app().registry, app().settings.message_per)))
    return func.HttpResponse(text, mimetype="application/json")
