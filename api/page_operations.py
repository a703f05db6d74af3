"""The operations of the OpenAPI document that return pages for people."""

from api.described import ETAG, Json, response


def _page(operation_id: str, summary: str, where: str) -> Json:
    return {
        "operationId": operation_id,
        "summary": summary,
        "description": f"Its scripts and styles are under `{where}/`. It holds no data, so it asks for no key.",
        "security": [],
        "responses": {
            "200": {
                "description": "The page.",
                "content": {"text/html": {"schema": {"type": "string"}}},
                "headers": {"ETag": ETAG},
            },
            "304": {
                "description": "The page has not changed since the answer with this ETag.",
                "headers": {"ETag": ETAG},
            },
            "500": response("InternalError"),
        },
    }


GET_MONITOR = _page("get_monitor", "Return the monitor: a page that shows jobs in a browser.", "/monitor")

GET_DOCS = _page("get_docs", "Return a page to try the API in a browser.", "/docs")
