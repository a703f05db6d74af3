"""What the commands share: the app that the options name, and how to print."""

import shlex
from dataclasses import dataclass
from typing import Annotated, cast

import typer

from cli import output
from cli.profiles import target
from client import Lockstep, LockstepError, ProblemError

AsJson = Annotated[bool, typer.Option("--json", help="a JSON document a line, for machines")]
JobId = Annotated[str, typer.Argument(metavar="JOB_ID", help="the id of the job")]


@dataclass(frozen=True)
class Session:
    """The options before the name of a command."""

    url: str | None = None
    profile: str | None = None
    as_json: bool = False

    def connect(self) -> Lockstep:
        """Opens the connection to the app; it sends nothing yet.

        Raises:
            UsageError: the profile or the URL cannot be used.
        """
        app = target(self.url, self.profile)
        client = Lockstep(app.url, app.key)
        client.on_repeat = _say_that_it_is_tried_again
        return client

    def again(self, command: str) -> str:
        """A command line for the same app."""
        options = ["--url", self.url] if self.url else ["--profile", self.profile] if self.profile else []
        return " ".join(["lockstep", *map(shlex.quote, options), command])


def session(ctx: typer.Context) -> Session:
    """The session of a command."""
    return cast("Session", ctx.obj)


def is_json(ctx: typer.Context, as_json: bool) -> bool:  # noqa: FBT001 - the option of the command
    """Whether machines read the output, by the option of the command or the one before its name."""
    return as_json or session(ctx).as_json


def say_error(exc: LockstepError) -> None:
    """Tells what went wrong: fields first, then what helps to find more in the app's log."""
    output.say(f"Error: {exc}", "red")
    if isinstance(exc, ProblemError):
        for each in exc.fields:
            output.say(f"  {each.field}: {each.message}")
        if known := exc.problem.members.get("known_job_types"):
            output.say(f"  known job types: {', '.join(map(str, known))}")
        if exc.problem.request_id:
            output.say(f"  the app's log has more under the request id {exc.problem.request_id}")


def _say_that_it_is_tried_again(exc: LockstepError) -> None:
    output.say(f"{exc}; trying again", "yellow")
