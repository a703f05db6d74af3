"""`lockstep dead-letters`: messages that cannot be used are listed, shown, resent and discarded."""

from itertools import islice
from typing import Annotated, cast, get_args

import typer

from cli import output
from cli.commands.jobs import Limit
from cli.exits import UsageError
from cli.session import AsJson, is_json, session
from client.app_answers import DeadLetter, DeadLetterState

group = typer.Typer(help="List, show, resend or discard messages that cannot be used.")

LetterId = Annotated[int, typer.Argument(metavar="ID", min=0, help="the id of the dead letter")]

_COLUMNS = {
    "ID": "dead_letter_id",
    "STATE": "state",
    "QUEUE": "queue",
    "REASON": "reason",
    "DESCRIPTION": "description",
    "RECEIVED": "received_at",
}


@group.callback(invoke_without_command=True)
def dead_letters(
    ctx: typer.Context,
    *,
    state: Annotated[str | None, typer.Option(help="only those in this state")] = None,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List dead letters, the newest first; or show, resend or discard one."""
    if ctx.invoked_subcommand is not None:
        return
    if state is not None and state not in get_args(DeadLetterState):
        raise UsageError(f"--state: {state!r} is none of {', '.join(get_args(DeadLetterState))}")
    with session(ctx).connect() as app:
        found = app.dead_letters(state=cast("DeadLetterState | None", state), page_size=min(limit or 1000, 1000))
        output.write_rows(islice(found, limit or None), _COLUMNS, as_json=is_json(ctx, as_json))


@group.command()
def show(ctx: typer.Context, letter_id: LetterId, *, as_json: AsJson = False) -> None:
    """Show a dead letter with its body."""
    with session(ctx).connect() as app:
        _show(ctx, app.dead_letter(letter_id), as_json=as_json)


@group.command()
def resend(ctx: typer.Context, letter_id: LetterId, *, as_json: AsJson = False) -> None:
    """Send the message of a dead letter again, if it has work left to do."""
    with session(ctx).connect() as app:
        _show(ctx, app.resend_dead_letter(letter_id), as_json=as_json)


@group.command()
def discard(ctx: typer.Context, letter_id: LetterId, *, as_json: AsJson = False) -> None:
    """Mark a dead letter as handled."""
    with session(ctx).connect() as app:
        _show(ctx, app.discard_dead_letter(letter_id), as_json=as_json)


def _show(ctx: typer.Context, letter: DeadLetter, *, as_json: bool) -> None:
    if is_json(ctx, as_json):
        output.write_json(letter)
    else:
        output.write_members(letter)
