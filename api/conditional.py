"""Answers to polls: an entity tag, and 304 when nothing has changed."""

import hashlib
import re
from collections.abc import Mapping

import azure.functions as func

from api import views

_FROM_THE_CLOCK = re.compile(r'"(?:tasks_per_second|eta_seconds)": [0-9.e+-]+')
"""What changes from second to second though nothing has happened. The tag is weak, because it leaves them out.

That one of them has become null counts: nobody should see the last rate of a stage that has paused.
"""


def json_response(
    req: func.HttpRequest, body: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    """Returns a JSON response with an entity tag; 304 without a body if the client has this answer already."""
    text = views.json_text(body)
    digest = hashlib.sha256(_FROM_THE_CLOCK.sub("", text).encode()).hexdigest()[:32]
    tagged = {"ETag": f'W/"{digest}"', **(headers or {})}
    if is_known(req.headers.get("If-None-Match", ""), digest):
        return func.HttpResponse(status_code=304, headers=tagged)
    return func.HttpResponse(text, status_code=status, mimetype="application/json", headers=tagged)


def is_known(if_none_match: str, digest: str) -> bool:
    """Compares weakly, as RFC 9110 asks of If-None-Match: a proxy may have made the tag strong or weak."""
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in tags or f'"{digest}"' in tags
