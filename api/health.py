"""HTTP route of the health check: database, migrations, broker, and the outages that this process waits for."""

import logging

import azure.functions as func

from api import service_answers, views
from bootstrap import app
from core.errors import SchemaBehindError
from core.lanes import BATCHES_QUEUE, URGENT_TASKS_QUEUE
from engine.process.current import outages
from engine.process.health_probe import OK, HealthProbe

logger = logging.getLogger(__name__)

blueprint = func.Blueprint()

_OK_WITHOUT = f"{OK} without "
"""A part that can be used, though something is missing that only a few jobs need."""

_OK_BUT = f"{OK}, but "
"""A part that can be used now; a backlog may change that."""

_WAITS_FOR = {URGENT_TASKS_QUEUE: "urgent jobs", BATCHES_QUEUE: "stages with a message per batch"}
"""What needs a queue that a deployment from before it has not."""

_TOLD = "the notices of ended jobs"
"""What needs a queue of others, which `JOB_EVENTS` names."""


@blueprint.function_name("health")
@blueprint.route(route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def health(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the binding requires it
    """Answers 200 when every part can be used, otherwise 503; the body names the error of each part."""
    checks = probe.outcomes()
    healthy = all(outcome == OK or outcome.startswith((_OK_WITHOUT, _OK_BUT)) for outcome in checks.values())
    return views.json_response(service_answers.Health(healthy, checks), 200 if healthy else 503)


def _database() -> str:
    with app().database.transaction() as work:
        work.now()
    return OK


def _migrations() -> str:
    try:
        pending = app().pending_migrations()
    except SchemaBehindError as exc:  # so there is no app: it may not apply them
        pending = list(exc.pending)
    return f"pending: {', '.join(pending)}" if pending else OK


def _connections() -> str:
    shortage = app().connection_budget.shortage()
    return f"{_OK_BUT}{shortage}" if shortage else OK


def _broker() -> str:
    missing = app().queue.ping()
    return (
        _OK_WITHOUT + "; ".join(f"{name}: {_WAITS_FOR.get(name, _TOLD)} wait for it" for name in missing)
        if missing
        else OK
    )


def _outages() -> str:
    waits = outages.waits()
    for error, seconds in waits.items():
        logger.warning("this process has waited %.0f s for the end of an outage: %s", seconds, error)
    return ", ".join(sorted(waits)) or OK


CHECKS = {
    "database": _database,
    "connections": _connections,
    "migrations": _migrations,
    "broker": _broker,
    "outages": _outages,
}

probe = HealthProbe(CHECKS)
"""The health of this process."""
