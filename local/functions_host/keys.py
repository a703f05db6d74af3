"""Access keys of HTTP functions, read from a file instead of Azure's key store."""

import hmac
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

from azure.functions import AuthLevel
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from local.functions_host.errors import AppLoadError
from local.functions_host.functions import HttpFunction
from local.functions_host.protocol import HttpRequestData
from local.functions_host.validation import describe

Key = Annotated[str, StringConstraints(min_length=1)]


class Keys(BaseModel):
    """The keys of an app.

    As JSON::

        {"masterKey": "...", "functionKeys": {"default": "..."}, "functions": {"a_function": {"default": "..."}}}

    The master key opens every function, and is the only key for functions of level ADMIN. A key in ``functionKeys``
    opens every function of level FUNCTION, a key in ``functions`` opens that one function. Key names have no effect.
    """

    model_config = ConfigDict(alias_generator=to_camel, frozen=True, strict=True, extra="forbid")

    master_key: Key
    function_keys: Mapping[str, Key] = Field(default_factory=dict)
    functions: Mapping[str, Mapping[str, Key]] = Field(default_factory=dict)

    def allow(self, function: HttpFunction, request: HttpRequestData) -> bool:
        """Whether the request has a key for the function, in the header x-functions-key or the query parameter code."""
        if function.auth_level is AuthLevel.ANONYMOUS:
            return True
        keys = [self.master_key]
        if function.auth_level is AuthLevel.FUNCTION:
            keys += [*self.function_keys.values(), *self.functions.get(function.name, {}).values()]
        return _is_one_of(_key_of(request), keys)

    def is_master(self, request: HttpRequestData) -> bool:
        """Whether the request has the master key, which runs even disabled functions."""
        return _is_one_of(_key_of(request), [self.master_key])


def _key_of(request: HttpRequestData) -> str:
    return request.headers.get("x-functions-key", request.query.get("code", ""))


def _is_one_of(key: str, keys: Iterable[str]) -> bool:
    """Compares in constant time: the duration reveals neither the matching prefix nor which key matches."""
    equal = [hmac.compare_digest(key.encode(), known.encode()) for known in keys]
    return any(equal)


def load_keys(path: Path) -> Keys:
    """Read a key file.

    Raises:
        AppLoadError: the file cannot be read or is not valid.
    """
    try:
        return Keys.model_validate_json(path.read_bytes())
    except OSError as exc:
        raise AppLoadError(f"cannot read the keys in {path}: {exc.strerror}") from exc
    except ValidationError as exc:
        raise AppLoadError(f"the keys in {path} are wrong: {describe(exc)}") from exc
