"""`python -m migrate`: brings the schema up to date as a step of a deployment, as a role that may change tables."""

import argparse
import logging
import sys
from collections.abc import Sequence
from contextlib import closing
from enum import IntEnum
from math import inf, nan
from pathlib import Path

import connections
from controllers.registry import Registry
from core.errors import ConfigurationError, DatabaseUnavailableError, LockstepError
from core.log_redaction import redact_logs
from repositories import app_role, migrations
from settings import DatabaseSettings


class ExitCode(IntEnum):
    """What a deployment can go by: the codes of the command `lockstep`, docs/command-line.md."""

    DONE = 0
    FAILED = 1  # migrations are pending, with --check; PostgreSQL has refused one, without it
    USAGE = 2  # a setting, a job type or the role is wrong
    NOT_REACHABLE = 3  # PostgreSQL cannot be reached, or others held their locks for too long


def main(arguments: Sequence[str] | None = None) -> ExitCode:
    """Runs the command; returns its exit code."""
    logging.basicConfig(format="%(levelname)s %(message)s")
    redact_logs()
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except LockstepError as exc:
        sys.stderr.write(f"Error: {exc}\n")
        return _code_of(exc)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="migrate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="list what is pending, change nothing; exit code 1 if any")
    parser.add_argument("--app-role", metavar="NAME", help="grant this role of PostgreSQL what the app needs")
    parser.add_argument(
        "--wait", type=_seconds, default=300.0, metavar="SECONDS", help="how long to try again while others hold locks"
    )
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = nan
    if not 0 <= seconds < inf:  # a deadline of nan never comes
        raise argparse.ArgumentTypeError(f"invalid seconds value: {text!r}")
    return seconds


def _run(options: argparse.Namespace) -> ExitCode:
    settings = DatabaseSettings.from_environment()
    job_types = Registry().migrations
    if options.check:
        return _check(settings, job_types)
    applied = connections.migrate(settings, job_types, options.wait)
    _say(*(f"applied {name}" for name in applied) if applied else ["nothing is pending"])
    if options.app_role is not None:
        with closing(connections.database(settings)) as database:
            app_role.grant(database, options.app_role)
        _say(f"{options.app_role} may read and write rows")
    return ExitCode.DONE


def _check(settings: DatabaseSettings, job_types: Sequence[Path]) -> ExitCode:
    with closing(connections.database(settings)) as database:
        pending = migrations.pending(database, job_types)
    _say(*(f"pending {name}" for name in pending) if pending else ["nothing is pending"])
    return ExitCode.FAILED if pending else ExitCode.DONE


def _code_of(error: LockstepError) -> ExitCode:
    match error:
        case ConfigurationError():
            return ExitCode.USAGE
        case DatabaseUnavailableError():
            return ExitCode.NOT_REACHABLE
        case _:
            return ExitCode.FAILED


def _say(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
