"""`lockstep types`, `queues`, `schedules`, `health`, `profiles`: what there is besides jobs."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from cli import output, profiles
from cli.exits import ExitCode
from cli.parameters import find_type
from cli.session import AsJson, is_json, session
from client.app_answers import JobType

_QUEUES = {
    "QUEUE": "queue",
    "TRANSPORT": "transport",
    "ACTIVE": "active",
    "SCHEDULED": "scheduled",
    "DEAD": "dead_lettered",
    "WAITS (S)": "oldest_waiting_seconds",
    "": "reason",
}
_SCHEDULES = {
    "SCHEDULE": "name",
    "TYPE": "job_type",
    "CRON": "cron",
    "ZONE": "timezone",
    "LAST": "last_tick",
    "NEXT": "next_tick",
    "ERROR": "last_error",
}


def types(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[TYPE]", help="show the parameters of this one")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the job types, or show the parameters of one."""
    machine = is_json(ctx, as_json)
    with session(ctx).connect() as app:
        known = app.job_types()
    if name is not None:
        found = find_type(known, name)
        if machine:
            output.write_json(found)
        else:
            _show(found)
        return
    rows = [
        {**each, "stage_names": [stage["name"] for stage in each["stages"]], "about": _about(each)} for each in known
    ]
    columns = {"TYPE": "name", "STAGES": "stage_names", "": "about"}
    output.write_rows(known if machine else rows, columns, as_json=machine)


def queues(ctx: typer.Context, *, as_json: AsJson = False) -> None:
    """List the queues with their messages."""
    with session(ctx).connect() as app:
        output.write_rows(app.queues(), _QUEUES, as_json=is_json(ctx, as_json))


def schedules(ctx: typer.Context, *, as_json: AsJson = False) -> None:
    """List the schedules with their last and next tick."""
    with session(ctx).connect() as app:
        output.write_rows(app.schedules(), _SCHEDULES, as_json=is_json(ctx, as_json))


def health(ctx: typer.Context, *, as_json: AsJson = False) -> None:
    """Check the app: database, connections, migrations, broker, outages."""
    with session(ctx).connect() as app:
        found = app.health()
    if is_json(ctx, as_json):
        output.write_json(found)
    else:
        output.write_members(found["checks"])
    if not found["healthy"]:
        raise typer.Exit(ExitCode.FAILED)


def list_profiles(ctx: typer.Context, *, as_json: AsJson = False) -> None:
    """List the profiles, without their keys."""
    known = profiles.profiles().items()
    rows = [{"profile": name, "url": each.url, "has_key": each.key is not None} for name, each in known]
    columns = {"PROFILE": "profile", "URL": "url", "KEY": "has_key"}
    output.write_rows(rows, columns, as_json=is_json(ctx, as_json))


def _about(job_type: JobType) -> str:
    return (job_type["description"] or "").split("\n", 1)[0]


def _show(job_type: JobType) -> None:
    if job_type["description"]:
        output.write(job_type["description"])
    columns = {"PARAMETER": "name", "TYPE": "type", "DEFAULT": "default", "": "description"}
    output.write_rows(list(_parameters(job_type["parameters"])), columns, as_json=False)


def _parameters(schema: Any) -> Iterator[dict[str, Any]]:
    required = schema.get("required", [])
    for name, part in schema.get("properties", {}).items():
        kinds = [_kind(each, schema) for each in part.get("anyOf", [part])]
        default = "required" if name in required else part.get("default")
        yield {"name": name, "type": " or ".join(kinds), "default": default, "description": part.get("description")}


def _kind(part: Any, schema: Any) -> str:
    """The type of a parameter, or its values if only these are allowed."""
    if "$ref" in part:
        part = schema.get("$defs", {}).get(part["$ref"].rsplit("/", 1)[-1], {})
    values = part.get("enum") or ([part["const"]] if "const" in part else [])
    return ", ".join(map(str, values)) or str(part.get("type", "any"))
