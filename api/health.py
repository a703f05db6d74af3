"""HTTP route of the health check: database, migrations, broker."""

import logging
from collections.abc import Callable

import azure.functions as func

from api import answers, views
from bootstrap import app
from core.errors import LockstepError

logger = logging.getLogger(__name__)

blueprint = func.Blueprint()


@blueprint.function_name("health")
@blueprint.route(route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def health(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the binding requires it
    """Answers 200 when every part can be used, otherwise 503; the body names the error of each part."""
    checks = {"database": _check(_database), "migrations": _check(_migrations), "broker": _check(_broker)}
    healthy = all(outcome == "ok" for outcome in checks.values())
    return views.json_response(answers.Health(healthy, checks), 200 if healthy else 503)


def _check(probe: Callable[[], str]) -> str:
    try:
        return probe()
    except LockstepError as exc:
        logger.warning("health check failed: %s", exc)
        # The class says enough; the message may contain host names.
        return type(exc).__name__
    except Exception:  # whatever it is, an anonymous caller gets no more than this
        logger.exception("health check failed")
        return "error"


def _database() -> str:
    with app().database.transaction() as work:
        work.now()
    return "ok"


def _migrations() -> str:
    pending = app().pending_migrations()
    return f"pending: {', '.join(pending)}" if pending else "ok"


def _broker() -> str:
    app().queue.ping()
    return "ok"
