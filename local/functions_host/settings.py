"""App settings: environment variables, and local.settings.json where the environment says nothing."""

import json
import os
import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from local.functions_host.errors import AppLoadError

_EXPRESSION = re.compile(r"%([^%]+)%")


def load_local_settings(app_dir: Path, environment: MutableMapping[str, str] = os.environ) -> None:
    """Add the ``Values`` of local.settings.json to the environment, which wins where both have a name.

    Raises:
        AppLoadError: the file is there and is not what it should be.
    """
    path = app_dir / "local.settings.json"
    if not path.is_file():
        return
    try:
        values = json.loads(path.read_text("utf-8")).get("Values", {})
    except (ValueError, AttributeError) as exc:
        raise AppLoadError(f"{path} is not a JSON object: {exc}") from exc
    for name, value in values.items():
        environment.setdefault(name, str(value))


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
