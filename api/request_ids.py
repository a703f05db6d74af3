"""The ids of requests: the client's own is repeated by the answer and by the log."""

import logging
import re
import uuid
from http import HTTPStatus

import azure.functions as func

logger = logging.getLogger(__name__)

_HEADER = "x-request-id"
_ID = re.compile(r"[!-~]{1,128}", re.ASCII)


def identified(req: func.HttpRequest, function_name: str, response: func.HttpResponse) -> func.HttpResponse:
    """Returns the response with the id of its request, and logs it.

    A request without an id gets one if it failed, so that the client can name it to those who read the log.
    """
    given = str(req.headers.get(_HEADER, ""))
    if _ID.fullmatch(given):
        request_id = given
    elif response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        request_id = uuid.uuid4().hex
    else:
        return response
    response.headers[_HEADER] = request_id
    logger.info("request %s: %s answered %d", request_id, function_name, response.status_code)
    return response
