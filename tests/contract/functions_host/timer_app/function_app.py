import os
import time

import azure.functions as func
from recording import record, wait_for_gate  # type: ignore[import-not-found]  # on the app's own path

app = func.FunctionApp()


def _record(event: str, function: str, timer: func.TimerRequest) -> None:
    record(
        event,
        function=function,
        host=os.environ.get("HOST_NAME"),
        time=time.time(),
        past_due=timer.past_due,
        schedule_status=timer.schedule_status,  # type: ignore[attr-defined]  # its base class does not declare it
        schedule=timer.schedule,  # type: ignore[attr-defined]  # likewise
    )


@app.timer_trigger(arg_name="timer", schedule="* * * * * *")
def every_second(timer: func.TimerRequest) -> None:
    _record("start", "every_second", timer)


@app.timer_trigger(arg_name="timer", schedule="%INTERVAL%")
def interval(timer: func.TimerRequest) -> None:
    _record("start", "interval", timer)


@app.timer_trigger(arg_name="timer", schedule="* * * * * *")
def gated(timer: func.TimerRequest) -> None:
    _record("start", "gated", timer)
    wait_for_gate("open")
    _record("end", "gated", timer)


@app.timer_trigger(arg_name="timer", schedule="0 0 1 Jan *")
def yearly(timer: func.TimerRequest) -> None:
    _record("start", "yearly", timer)
    if "YEARLY_GATE" in os.environ:
        wait_for_gate(os.environ["YEARLY_GATE"])
    _record("end", "yearly", timer)


@app.timer_trigger(arg_name="timer", schedule="0 0 1 Jan *", use_monitor=False)
def unmonitored(timer: func.TimerRequest) -> None:
    _record("start", "unmonitored", timer)


@app.timer_trigger(arg_name="timer", schedule="0 0 1 Jan *", run_on_startup=True)
async def at_startup(timer: func.TimerRequest) -> None:
    _record("start", "at_startup", timer)
