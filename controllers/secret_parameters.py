"""The parameters that a job type marks as secret: those of pydantic's types `SecretStr`, `SecretBytes` and `Secret`."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel, Secret, SecretBytes, SecretStr
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic_core import to_jsonable_python

from core.redaction import MASK

_MARKS = (Secret, SecretBytes, SecretStr)
_LISTS = (list, tuple, set, frozenset)


def plain_json(model: BaseModel) -> dict[str, Any]:
    """Returns a model as JSON with its secrets in plain text, as the rows hold them: pydantic's own dump masks them."""
    return _encoded(model, to_jsonable_python)


def masked_json(model: BaseModel) -> dict[str, Any]:
    """Returns a model as JSON with its secrets masked."""
    return _encoded(model, lambda _: MASK)


def secret_values(model: BaseModel) -> frozenset[str]:
    """Returns the values of a model's secrets: texts as they are, other values as JSON."""
    return frozenset(text for secret in _secrets(model.model_dump()) for text in _texts(secret) if text)


@cache
def marks_secrets(model: type[BaseModel]) -> bool:
    """Tells whether a model can hold secrets. In its JSON schema, they are write-only."""
    try:
        return _holds_write_only(model.model_json_schema())
    except PydanticInvalidForJsonSchema:
        return True


def _encoded(model: BaseModel, encode: Callable[[Any], Any]) -> dict[str, Any]:
    def walk(encoded: Any, value: Any) -> Any:
        """Replaces the secrets of a value in its JSON. Both have the same shape and the same order."""
        if isinstance(value, _MARKS):
            return encode(value.get_secret_value())
        if isinstance(encoded, dict) and isinstance(value, Mapping):
            pairs = zip(encoded.items(), value.values(), strict=True)
            return {name: walk(part, each) for (name, part), each in pairs}
        if isinstance(encoded, list) and isinstance(value, _LISTS):
            return [walk(part, each) for part, each in zip(encoded, value, strict=True)]
        return encoded

    shown: dict[str, Any] = walk(model.model_dump(mode="json"), model.model_dump())
    return shown


def _secrets(value: Any) -> Iterator[Any]:
    if isinstance(value, _MARKS):
        yield to_jsonable_python(value.get_secret_value())
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _secrets(each)
    elif isinstance(value, _LISTS):
        for each in value:
            yield from _secrets(each)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif value is not None:
        yield value if isinstance(value, str) else repr(value)


def _holds_write_only(schema: Any) -> bool:
    if isinstance(schema, dict):
        return schema.get("writeOnly") is True or any(_holds_write_only(each) for each in schema.values())
    return isinstance(schema, list) and any(_holds_write_only(each) for each in schema)
