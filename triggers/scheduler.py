"""Timer trigger: submits the jobs of schedules."""

import azure.functions as func

from bootstrap import app

blueprint = func.Blueprint()


@blueprint.function_name("run_schedules")
@blueprint.timer_trigger(arg_name="timer", schedule="5 * * * * *")
def run_schedules(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the binding requires it
    """Runs every minute, five seconds late: the database's clock, which decides, may be behind that of the host."""
    app().scheduler.run()
