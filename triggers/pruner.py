"""Timer trigger: deletes jobs that ended long ago."""

import azure.functions as func

from bootstrap import app

blueprint = func.Blueprint()


@blueprint.function_name("prune")
@blueprint.timer_trigger(arg_name="timer", schedule="0 17 * * * *")
def prune(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the binding requires it
    """Runs hourly at minute 17, when few other timers run."""
    app().pruner.prune()
