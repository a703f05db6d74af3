"""The HTTP routes of the control interface."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from local.service_bus.broker.errors import EntityExistsError, EntityNotFoundError
from local.service_bus.broker.journal import JournalError
from local.service_bus.control.entities import entity_routes
from local.service_bus.control.management import management
from local.service_bus.control.requests import Restart, Skip
from local.service_bus.entities import Tier
from local.service_bus.faults import ArmedFault, Fault, UnknownFaultError
from local.service_bus.service import Service

_HEALTHY = {"status": "healthy", "message": "Service is healthy."}  # as Microsoft's emulator answers
_UNHEALTHY = {"status": "unhealthy", "message": "Service is unhealthy."}

_FAULT: TypeAdapter[Any] = TypeAdapter(Fault)
_RESTART = TypeAdapter(Restart)
_SKIP = TypeAdapter(Skip)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def control_app(service: Service, tier: Tier) -> web.Application:
    """Creates the control interface of `service`; entities that it creates have the limits of `tier`.

    Every response is JSON; an error is {"error": "..."}.
    """
    control = _Control(service)
    app = web.Application(middlewares=[_errors_as_json, management(service)])
    app.add_routes(
        [
            web.get("/health", control.health),
            web.get("/queues", control.queues),
            web.delete("/connections", control.drop_connections),
            web.get("/faults", control.faults),
            web.post("/faults", control.arm),
            web.delete("/faults", control.clear),
            web.delete(r"/faults/{id:[0-9]{1,9}}", control.lift),
            web.post("/restart", control.restart),
            web.post("/resume", control.resume),
            web.post("/clock", control.skip),
            *entity_routes(service, tier),
        ]
    )
    return app


class _Control:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def health(self, _: web.Request) -> web.Response:
        if self._service.listens:
            return web.json_response(_HEALTHY)
        return web.json_response(_UNHEALTHY, status=HTTPStatus.SERVICE_UNAVAILABLE)

    async def queues(self, _: web.Request) -> web.Response:
        return web.json_response([asdict(counts) for counts in self._service.namespace.counts()])

    async def drop_connections(self, _: web.Request) -> web.Response:
        return web.json_response({"dropped": self._service.drop_connections()})

    async def faults(self, _: web.Request) -> web.Response:
        return web.json_response([_armed(fault) for fault in self._service.faults.armed()])

    async def arm(self, request: web.Request) -> web.Response:
        fault = _FAULT.validate_json(await request.read())
        return web.json_response(_armed(self._service.faults.arm(fault)), status=HTTPStatus.CREATED)

    async def clear(self, _: web.Request) -> web.Response:
        self._service.faults.clear()
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def lift(self, request: web.Request) -> web.Response:
        self._service.faults.lift(int(request.match_info["id"]))
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def restart(self, request: web.Request) -> web.Response:
        asked = _RESTART.validate_json(await request.read() or b"{}")
        await self._service.restart(asked.seconds, lose_messages=asked.lose_messages)
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def resume(self, _: web.Request) -> web.Response:
        await self._service.resume()
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def skip(self, request: web.Request) -> web.Response:
        self._service.let_pass(_SKIP.validate_json(await request.read()).seconds)
        return web.Response(status=HTTPStatus.NO_CONTENT)


def _armed(armed: ArmedFault) -> dict[str, Any]:
    return {"id": armed.id, **armed.fault.model_dump(mode="json", exclude={"count"}), "left": armed.left}


@web.middleware
async def _errors_as_json(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPError as exc:
        allow = exc.headers.get("Allow")
        return _error(exc.status, f"{request.method} {request.path}: {exc.reason}", {"Allow": allow} if allow else {})
    except ValidationError as exc:
        problems = [f"{'.'.join(map(str, error['loc']))}: {error['msg']}".lstrip(": ") for error in exc.errors()]
        return _error(HTTPStatus.BAD_REQUEST, "; ".join(problems))
    except (UnknownFaultError, EntityNotFoundError) as exc:
        return _error(HTTPStatus.NOT_FOUND, str(exc))
    except EntityExistsError as exc:
        return _error(HTTPStatus.CONFLICT, str(exc))
    except JournalError as exc:
        return _error(HTTPStatus.SERVICE_UNAVAILABLE, str(exc))


def _error(status: int, error: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response({"error": error}, status=status, headers=headers)
