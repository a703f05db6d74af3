"""Which app the command talks to, and with which key: options, environment, or a profile of a TOML file.

A key belongs to one URL: the two always come from the same place, so that a key never goes to another app.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli.exits import UsageError

LOCAL_URL = "http://127.0.0.1:7071"
"""Of `make local` and of func start."""


@dataclass(frozen=True)
class Target:
    """An app with its key."""

    url: str
    key: str | None = field(default=None, repr=False)


def profiles_file(environment: Mapping[str, str]) -> Path:
    """Returns where the profiles are: `LOCKSTEP_PROFILES`, or the user's directory of configurations."""
    if named := environment.get("LOCKSTEP_PROFILES"):
        return Path(named)
    base = environment.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "lockstep" / "profiles.toml"


def target(url: str | None, profile: str | None, environment: Mapping[str, str] = os.environ) -> Target:
    """Returns the app: `--profile`, else `--url`, else the environment, else the default profile, else this machine.

    Raises:
        UsageError: both options are given, or one is empty, or there is no such profile, or the file is not valid.
    """
    if "" in (url, profile):  # of a variable that is not set; another app would be used
        raise UsageError("--url and --profile must not be empty")
    if url and profile:
        raise UsageError("--url and --profile exclude each other")
    if profile:
        return _of_profile(profile, environment)
    if url or environment.get("LOCKSTEP_URL"):
        return Target(url or environment["LOCKSTEP_URL"], environment.get("LOCKSTEP_KEY"))
    default = environment.get("LOCKSTEP_PROFILE") or _read(environment).get("default")
    if default is not None:
        return _of_profile(str(default), environment)
    return Target(LOCAL_URL, environment.get("LOCKSTEP_KEY"))


def profiles(environment: Mapping[str, str] = os.environ) -> dict[str, Target]:
    """Returns the profiles by name; empty if there is no file.

    Raises:
        UsageError: the file is not valid.
    """
    where, found = profiles_file(environment), _read(environment).get("profiles", {})
    if not isinstance(found, dict):
        raise UsageError(f"{where}: profiles must be tables, such as [profiles.production]")
    return {name: _target(name, members, where, environment) for name, members in found.items()}


def _of_profile(name: str, environment: Mapping[str, str]) -> Target:
    known = profiles(environment)
    if name not in known:
        listed = ", ".join(known) or "none"
        raise UsageError(f"there is no profile {name!r} in {profiles_file(environment)}; it has: {listed}")
    return known[name]


def _read(environment: Mapping[str, str]) -> dict[str, Any]:
    where = profiles_file(environment)
    try:
        return tomllib.loads(where.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as exc:  # of tomllib: it names a line, not what is in it
        raise UsageError(f"{where} cannot be read: {exc}") from exc


def _target(name: str, members: object, where: Path, environment: Mapping[str, str]) -> Target:
    known = {"url", "key", "key_env"}
    if not isinstance(members, dict) or not members.keys() <= known or not isinstance(members.get("url"), str):
        raise UsageError(f"{where}: the profile {name!r} needs url, and may have key or key_env")
    if not all(isinstance(value, str) for value in members.values()):
        raise UsageError(f"{where}: the members of the profile {name!r} must be texts")
    variable = members.get("key_env")
    return Target(members["url"], environment.get(variable) if variable else members.get("key"))
