import asyncio
import json
import os

import azure.functions as func
from guarded import guarded  # type: ignore[import-not-found]  # on the app's own path
from queues import queues  # type: ignore[import-not-found]  # likewise
from recording import record, wait_for_gate  # type: ignore[import-not-found]  # likewise
from topics import topics  # type: ignore[import-not-found]  # likewise

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(queues)
app.register_functions(topics)
app.register_functions(guarded)


@app.route(route="items/{item_id}", methods=["GET", "POST"])
def items(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    seen = {
        "method": req.method,
        "url": req.url,
        "headers": dict(req.headers),
        "params": dict(req.params),
        "route_params": dict(req.route_params),
        "body": req.get_body().decode(),
        "function": context.function_name,
        "invocation_id": context.invocation_id,
    }
    headers = {"X-Sample": "yes", "Set-Cookie": "a=1; Path=/"}
    return func.HttpResponse(json.dumps(seen), status_code=201, headers=headers, mimetype="application/json")


@app.route(route="items/special")
def special(req: func.HttpRequest) -> str:
    return f"special {req.method}"


@app.route()
def text(req: func.HttpRequest) -> str:
    print("a print of the app does not disturb the host")  # noqa: T201 - a test checks that apps may print
    return f"text {req.params.get('q')}"


@app.route(route="files/{kind:alpha}/{*path}", methods=["GET"])
def files(req: func.HttpRequest) -> str:
    return json.dumps(dict(req.route_params))


@app.route(route="both", methods=["GET"])
def both_get(req: func.HttpRequest) -> str:
    return "get"


@app.route(route="both", methods=["POST"])
def both_post(req: func.HttpRequest) -> str:
    return "post"


@app.route(methods=["POST"])
def echo(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse(req.get_body(), mimetype="application/octet-stream")
    response.headers["X-Many"] = req.headers.get("x-many", "")
    response.headers.add("Set-Cookie", "a=1; Path=/")
    response.headers.add("Set-Cookie", "b=2")
    return response


@app.route(methods=["GET"])
def empty(req: func.HttpRequest) -> func.HttpResponse:
    return None  # type: ignore[return-value]  # the host answers 204


@app.route(methods=["GET"])
def broken(req: func.HttpRequest) -> func.HttpResponse:
    raise RuntimeError("a secret of the app")


@app.route(methods=["GET"])
def wrong_type(req: func.HttpRequest) -> func.HttpResponse:
    return {"not": "a response"}  # type: ignore[return-value]  # the host answers 500


@app.route(methods=["GET"])
async def asynchronous(req: func.HttpRequest) -> func.HttpResponse:
    await asyncio.sleep(0)
    return func.HttpResponse("async")


_waiting: list[asyncio.Event] = []


@app.route(methods=["GET"])
async def meeting(req: func.HttpRequest) -> str:
    """Returns when two invocations run at the same time."""
    if _waiting:
        _waiting.pop().set()
    else:
        _waiting.append(asyncio.Event())
        await _waiting[0].wait()
    return "met"


@app.route(methods=["GET"])
def process(req: func.HttpRequest) -> str:
    return str(os.getpid())


@app.route(methods=["GET"])
def gated(req: func.HttpRequest) -> str:
    record("start", function="gated")
    wait_for_gate(req.params["gate"])
    return "through"


@app.timer_trigger(arg_name="timer", schedule="0 */5 * * * *")
def every_five_minutes(timer: func.TimerRequest) -> None:
    record("timer")
