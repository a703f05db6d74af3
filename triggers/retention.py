"""Timer trigger: delete jobs that ended long ago."""

import azure.functions as func

from bootstrap import app

blueprint = func.Blueprint()


@blueprint.function_name("prune")
@blueprint.timer_trigger(arg_name="timer", schedule="0 17 * * * *")
def prune(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the binding's parameter
    """Every hour, not at its full minutes, when the sweeper and many other timers run."""
    app().pruner.prune()
