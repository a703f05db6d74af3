"""The commands of `lockstep` and the options before their names."""

from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cli import exits
from cli.commands import about, bulk, changes, dead_letters, jobs, migrate, results, submitting, tasks
from cli.session import Session, say_error
from client import LockstepError


class Commands(TyperGroup):
    """Turns errors into a text and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command that the arguments name."""
        try:
            return super().invoke(ctx)
        except LockstepError as exc:
            say_error(exc)
            raise typer.Exit(exits.of_error(exc)) from exc
        except KeyboardInterrupt as exc:
            raise typer.Exit(exits.ExitCode.INTERRUPTED) from exc


# Without typer's tracebacks, which may show local variables.
app = typer.Typer(cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False, name="lockstep")


@app.callback()
def options(
    ctx: typer.Context,
    *,
    url: Annotated[str | None, typer.Option(help="of the app; also LOCKSTEP_URL, its key in LOCKSTEP_KEY")] = None,
    profile: Annotated[str | None, typer.Option(help="an app of the profiles file; also LOCKSTEP_PROFILE")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="a JSON document a line, for machines")] = False,
) -> None:
    """Run jobs of many small tasks, and see how far they are."""
    ctx.obj = Session(url, profile, as_json)


_COMMANDS: dict[str, Callable[..., None]] = {
    "submit": submitting.submit,
    "watch": submitting.watch,
    "jobs": jobs.jobs,
    "show": jobs.show,
    "open": jobs.open_page,
    "batches": tasks.batches,
    "tasks": tasks.tasks,
    "task": tasks.task,
    "failures": tasks.failures,
    "results": results.results,
    "events": results.events,
    "cancel": changes.cancel,
    "retry": changes.retry,
    "resume": changes.resume,
    "actions": bulk.actions,
    "types": about.types,
    "queues": about.queues,
    "schedules": about.schedules,
    "health": about.health,
    "profiles": about.list_profiles,
    "migrate": migrate.migrate,
}

for name, command in _COMMANDS.items():
    app.command(name)(command)

app.add_typer(dead_letters.group, name="dead-letters")
app.add_typer(bulk.group, name="bulk")
