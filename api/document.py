"""The OpenAPI 3.1 document: made of the registry's job types and of the types that the routes answer."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter

from api import answers, operations
from api.operations import Json
from controllers.base import JobController
from controllers.registry import Registry
from core.errors import FieldError

VERSION = "0.1.0"

_ANSWERED = (
    answers.Submission,
    answers.Change,
    answers.Job,
    answers.Batches,
    answers.Tasks,
    answers.DeadLetters,
    answers.Health,
    FieldError,
)


def document(registry: Registry) -> Json:
    """The document; its paths are relative to the server's `/api`.

    A job type has a path of its own, because the schema of a body cannot depend on a part of the path.
    """
    controllers = [registry.controller(job_type) for job_type in registry.job_types]
    bodies, schemas = _schemas(controllers)
    submissions = {
        f"/jobs/{controller.job_type}": {"post": _submit(controller, bodies[controller.job_type], schemas)}
        for controller in controllers
    }
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Lockstep",
            "version": VERSION,
            "description": "Jobs of many small tasks. Errors are problem documents (RFC 9457).",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/api"}],
        "security": [{"key_header": []}, {"key_query": []}],
        "paths": {
            **submissions,
            "/jobs/{job_id}": {"parameters": [operations.JOB_ID], "get": operations.GET_JOB},
            "/jobs/{job_id}/cancel": {"parameters": [operations.JOB_ID], "post": operations.CANCEL_JOB},
            "/jobs/{job_id}/retry": {"parameters": [operations.JOB_ID], "post": operations.RETRY_JOB},
            "/jobs/{job_id}/resume": {"parameters": [operations.JOB_ID], "post": operations.RESUME_JOB},
            "/jobs/{job_id}/batches": {"parameters": [operations.JOB_ID], "get": operations.LIST_BATCHES},
            "/jobs/{job_id}/tasks": {"parameters": [operations.JOB_ID], "get": operations.LIST_TASKS},
            "/dead-letters": {"get": operations.LIST_DEAD_LETTERS},
            "/health": {"get": operations.HEALTH},
            "/openapi.json": {"get": operations.GET_OPENAPI},
        },
        "components": {
            "schemas": {**schemas, "Problem": operations.PROBLEM},
            "responses": operations.RESPONSES,
            # Those of Azure Functions.
            "securitySchemes": {
                "key_header": {"type": "apiKey", "in": "header", "name": "x-functions-key"},
                "key_query": {"type": "apiKey", "in": "query", "name": "code"},
            },
        },
    }


def _schemas(controllers: Iterable[JobController[Any]]) -> tuple[Mapping[str, Json], Json]:
    """The schema of each job type's body, and all named schemas."""
    inputs: list[tuple[str, Any, TypeAdapter[Any]]] = [
        (controller.job_type, "validation", TypeAdapter(controller.Parameters)) for controller in controllers
    ]
    inputs += [(f"answer {each.__name__}", "serialization", TypeAdapter(each)) for each in _ANSWERED]
    found, definitions = TypeAdapter.json_schemas(inputs, ref_template=f"{operations.SCHEMAS}{{model}}")
    return {name: dict(schema) for (name, _), schema in found.items()}, definitions["$defs"]


def _submit(controller: JobController[Any], body: Json, schemas: Json) -> Json:
    stages = ", then ".join(stage.name for stage in controller.stages)
    needed = bool(schemas[body["$ref"].removeprefix(operations.SCHEMAS)].get("required"))
    return {
        "operationId": f"submit_{controller.job_type}",
        "summary": f"Submit a {controller.job_type} job.",
        "description": f"Its stages: {stages}. Submitting twice is submitting once.",
        "parameters": [operations.IDEMPOTENCY_KEY],
        "requestBody": {"required": needed, "content": {"application/json": {"schema": body}}},
        "responses": {
            "202": {
                **operations.json_answer("Submission", "The job is accepted."),
                "headers": {
                    "Location": operations.LOCATION,
                    "Retry-After": operations.RETRY_AFTER,
                },
                "links": {
                    name: {"operationId": name, "parameters": {"job_id": "$response.body#/job_id"}}
                    for name in ("get_job", "cancel_job", "list_batches", "list_tasks")
                },
            },
            "400": operations.problem_answer(
                "The parameters are not valid: `errors` names the fields; or a string holds a NUL character."
            ),
            "404": operations.problem_answer(
                "The instance that answered does not know the job type: a deployment is under way."
            ),
            "409": operations.problem_answer(
                "The Idempotency-Key belongs to another job, or the job is being deleted, long after its end."
            ),
            "413": operations.problem_answer("The body is larger than MAX_REQUEST_BYTES."),
            **operations.FAILURES,
        },
    }
