"""Requests as the Functions host makes them."""

import json
from collections.abc import Mapping
from typing import Any

import azure.functions as func

BASE = "https://jobs.example/api"


def post(
    job_type: str, body: object = None, headers: Mapping[str, str] | None = None, **params: str
) -> func.HttpRequest:
    """`POST /api/jobs/{job_type}`; a body that is not bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return func.HttpRequest(
        method="POST",
        url=f"{BASE}/jobs/{job_type}",
        headers=dict(headers or {}),
        params=params,
        route_params={"job_type": job_type},
        body=data,
    )


def get(job_id: str, part: str = "", **params: str) -> func.HttpRequest:
    """`GET /api/jobs/{job_id}{part}`."""
    return func.HttpRequest(
        method="GET", url=f"{BASE}/jobs/{job_id}{part}", params=params, route_params={"job_id": job_id}, body=b""
    )


def body(response: func.HttpResponse) -> Any:
    return json.loads(response.get_body())


def problem(response: func.HttpResponse) -> Any:
    """The problem document of a response; checks its form."""
    assert response.mimetype == "application/problem+json"
    document = body(response)
    assert {"type", "title", "status", "detail"} <= document.keys()
    assert document["status"] == response.status_code
    return document
