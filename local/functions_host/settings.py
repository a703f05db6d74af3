"""App settings: environment variables, then the values of local.settings.json."""

import os
import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_pascal

from local.functions_host.errors import AppLoadError
from local.functions_host.validation import describe

_EXPRESSION = re.compile(r"%([^%]+)%")


class _LocalSettings(BaseModel):
    model_config = ConfigDict(alias_generator=to_pascal, coerce_numbers_to_str=True)

    is_encrypted: Literal[False] = False  # run "func settings decrypt" otherwise
    values: Mapping[str, str] = Field(default_factory=dict)


def load_local_settings(app_dir: Path, environment: MutableMapping[str, str] = os.environ) -> None:
    """Add the ``Values`` of local.settings.json to the environment, without overwriting existing variables.

    Raises:
        AppLoadError: the file exists and is not valid.
    """
    path = app_dir / "local.settings.json"
    if not path.is_file():
        return
    try:
        settings = _LocalSettings.model_validate_json(path.read_bytes())
    except ValidationError as exc:
        raise AppLoadError(f"{path} is wrong: {describe(exc)}") from exc
    for name, value in settings.values.items():
        environment.setdefault(name, value)


def resolve(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Replace each ``%Setting%`` of a binding value.

    Raises:
        AppLoadError: a setting does not exist.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in environment:
            raise AppLoadError(f"'{match[0]}' does not resolve to a value: there is no setting {match[1]}")
        return environment[match[1]]

    return _EXPRESSION.sub(value, text)
