"""Builds a function's argument and reads its result with the converters of azure-functions.

A function therefore gets the same objects as in Azure, built from the same metadata.
"""

import json
from collections.abc import Sequence
from http.cookies import SimpleCookie
from types import SimpleNamespace
from typing import Any

from azure.functions import meta

from local.functions_host.protocol import HttpRequestData, HttpResponseData, MessageData, TimerData, TriggerData


def to_argument(trigger_type: str, data: TriggerData) -> Any:
    """Build the trigger's argument: an HttpRequest, a TimerRequest, a message, or a list of messages."""
    converter = meta.get_binding_registry().get(trigger_type)
    if isinstance(data, HttpRequestData):
        return converter.decode(_http_datum(data), trigger_metadata={})
    if isinstance(data, TimerData):
        return converter.decode(meta.Datum(json.dumps(data.info), "json"), trigger_metadata={})
    if isinstance(data, MessageData):
        metadata = {name: _datum(value) for name, value in data.metadata.items() if value is not None}
        return converter.decode(meta.Datum(data.body, "bytes"), trigger_metadata=metadata)
    # Azure's worker passes a protobuf CollectionBytes here; the converter reads only its field bytes.
    bodies = meta.Datum(SimpleNamespace(bytes=[message.body for message in data]), "collection_bytes")
    return converter.decode(bodies, trigger_metadata=_array_metadata(data))


def to_http_response(result: Any) -> HttpResponseData:
    """Convert what an HTTP function returned: an HttpResponse, a str, or None, which means 204.

    Raises:
        TypeError: the result has another type.
    """
    if result is None:
        return HttpResponseData(204, [], b"")
    converter = meta.get_binding_registry().get("http")
    try:
        datum = converter.encode(result, expected_type=None)
    except NotImplementedError as exc:
        raise TypeError(f"an HTTP function returns an HttpResponse or a str, not {type(result).__name__}") from exc
    if datum.type == "string":
        return HttpResponseData(200, [("content-type", "text/plain; charset=utf-8")], datum.value.encode())
    value = datum.value
    headers = [(name, header.value) for name, header in value["headers"].items()]
    headers += [("set-cookie", text) for cookie in value["cookies"] or [] for text in _cookie_texts(cookie)]
    return HttpResponseData(int(value["status_code"].value), headers, value["body"].value)


def _http_datum(request: HttpRequestData) -> meta.Datum:
    def texts(mapping: Any) -> dict[str, meta.Datum]:
        return {name: meta.Datum(text, "string") for name, text in mapping.items()}

    value = {
        "method": meta.Datum(request.method, "string"),
        "url": meta.Datum(request.url, "string"),
        "headers": texts(request.headers),
        "query": texts(request.query),
        "params": texts(request.route_params),
        "body": meta.Datum(request.body, "bytes"),
    }
    return meta.Datum(value, "http")


def _array_metadata(messages: Sequence[MessageData]) -> dict[str, meta.Datum]:
    arrays = {name: [message.metadata[name] for message in messages] for name in messages[0].metadata}
    return {
        f"{name}Array": _array_datum(values) for name, values in arrays.items() if any(v is not None for v in values)
    }


def _array_datum(values: Sequence[Any]) -> meta.Datum:
    """One metadata array, in the type that the Functions host gives it.

    Strings and numbers become protobuf collections, because the converter parses a JSON array once per message. Azure
    omits nulls from these collections, which shifts the values of later messages; here an array with nulls stays JSON.
    """
    if all(isinstance(value, str) for value in values):
        return meta.Datum(SimpleNamespace(string=values), "collection_string")
    if all(isinstance(value, int) for value in values):
        return meta.Datum(SimpleNamespace(sint64=values), "collection_sint64")
    return meta.Datum(json.dumps(values), "json")


def _datum(value: Any) -> meta.Datum:
    if isinstance(value, str):
        return meta.Datum(value, "string")
    if isinstance(value, int):
        return meta.Datum(value, "int")
    return meta.Datum(json.dumps(value), "json")


def _cookie_texts(cookie: SimpleCookie) -> list[str]:
    return [morsel.OutputString() for morsel in cookie.values()]
