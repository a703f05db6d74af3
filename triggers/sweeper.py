"""Timer trigger: resends lost messages, and goes on with bulk actions."""

import azure.functions as func

from bootstrap import app

blueprint = func.Blueprint()


@blueprint.function_name("sweep")
@blueprint.timer_trigger(arg_name="timer", schedule="0 * * * * *")
def sweep(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the binding requires it
    """Runs every minute."""
    try:
        app().sweeper.sweep()
    finally:
        app().bulk_actions.sweep()
