"""App settings that override values of host.json: ``AzureFunctionsJobHost__extensions__serviceBus__prefetchCount``.

As in Azure's host, a double underscore separates the levels, and upper and lower case are the same
(ScriptHostBuilderExtensions adds host.json below the environment variables, and .NET's configuration has no case).
"""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

PREFIX = "AzureFunctionsJobHost__"

_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)


def override(config: Any, sections: type[BaseModel], environment: Mapping[str, str]) -> list[str]:
    """Put the values of app settings into a decoded host.json.

    Args:
        config: the decoded host.json; anything but an object stays as it is.
        sections: the model of host.json; settings that it does not have are ignored.
        environment: the app settings.

    Returns:
        The names of the settings that were used.
    """
    used = []
    for name, text in sorted(environment.items()):
        if name.lower().startswith(PREFIX.lower()):
            place = _find(sections, name[len(PREFIX) :].split("__"))
            if place is not None and _put(config, place[0], _value(text, place[1])):
                used.append(name)
    return used


def _find(section: type[BaseModel], levels: list[str]) -> tuple[list[str], Any] | None:
    """Return the keys of a value as host.json writes them, and its type; None if the model does not have it."""
    for field_name, field in section.model_fields.items():
        key = field.validation_alias or field.alias or field_name
        if isinstance(key, str) and key.lower() == levels[0].lower():
            inner = field.annotation
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                found = _find(inner, levels[1:]) if levels[1:] else None
                return found and ([key, *found[0]], found[1])
            return None if levels[1:] else ([key], inner)
    return None


def _put(config: Any, keys: list[str], value: Any) -> bool:
    for key in keys[:-1]:
        if not isinstance(config, dict):
            return False
        config = config.setdefault(key, {})
    if not isinstance(config, dict):
        return False
    config[keys[-1]] = value
    return True


def _value(text: str, kind: Any) -> Any:
    """Convert the text of a setting as .NET's binder does; a text that it cannot convert is refused later."""
    if kind is int and _INTEGER.fullmatch(text.strip()):
        return int(text)
    if kind is bool and text.strip().lower() in ("true", "false"):
        return text.strip().lower() == "true"
    return text
