"""The operation of the OpenAPI document that returns the monitor."""

from api.described import ETAG, Json, response

GET_MONITOR: Json = {
    "operationId": "get_monitor",
    "summary": "Return the monitor: a page that shows jobs in a browser.",
    "description": "Its scripts and styles are under `/monitor/`. It holds no data, so it asks for no key.",
    "security": [],
    "responses": {
        "200": {
            "description": "The page.",
            "content": {"text/html": {"schema": {"type": "string"}}},
            "headers": {"ETag": ETAG},
        },
        "304": {"description": "The page has not changed since the answer with this ETag.", "headers": {"ETag": ETAG}},
        "500": response("InternalError"),
    },
}
