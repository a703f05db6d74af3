"""The control routes that create and delete queues, topics and subscriptions."""

from http import HTTPStatus
from typing import Any

from aiohttp import web
from pydantic import TypeAdapter

from local.service_bus.broker.errors import EntityNotFoundError
from local.service_bus.broker.namespace import Namespace
from local.service_bus.entities import EntityModel, QueueConfig, SubscriptionConfig, Tier, TopicConfig
from local.service_bus.service import Service

_PROPERTIES = TypeAdapter(dict[str, Any])
_QUEUE = "/queues/{queue:.+}"
_TOPIC = "/topics/{topic:.+}"
_SUBSCRIPTION = _TOPIC + "/subscriptions/{subscription:[^/]+}"


def entity_routes(service: Service, tier: Tier) -> list[web.RouteDef]:
    """The PUT and DELETE routes; the body of a PUT is the `Properties` object of the entity in Config.json."""
    entities = _Entities(service, tier)
    return [
        web.put(_QUEUE, entities.create_queue),
        web.delete(_QUEUE, entities.delete_queue),
        # Before the topics: a subscription's path also matches a topic whose name contains slashes.
        web.put(_SUBSCRIPTION, entities.create_subscription),
        web.delete(_SUBSCRIPTION, entities.delete_subscription),
        web.put(_TOPIC, entities.create_topic),
        web.delete(_TOPIC, entities.delete_topic),
    ]


class _Entities:
    def __init__(self, service: Service, tier: Tier) -> None:
        self._service = service
        self._tier = tier

    @property
    def _namespace(self) -> Namespace:
        return self._service.namespace

    async def create_queue(self, request: web.Request) -> web.Response:
        queue = QueueConfig.model_validate(await _entity(request, "queue"))
        self._namespace.create_queue(queue.name, queue.properties.settings(self._tier))
        return self._created(queue)

    async def create_topic(self, request: web.Request) -> web.Response:
        topic = TopicConfig.model_validate(await _entity(request, "topic"))
        self._namespace.create_topic(topic.name, topic.properties.settings(self._tier))
        return self._created(topic)

    async def create_subscription(self, request: web.Request) -> web.Response:
        subscription = SubscriptionConfig.model_validate(await _entity(request, "subscription"))
        settings = subscription.properties.settings(self._tier)
        self._namespace.create_subscription(request.match_info["topic"], subscription.name, settings)
        return self._created(subscription)

    async def delete_queue(self, request: web.Request) -> web.Response:
        name = request.match_info["queue"]
        if self._namespace.find(name).subscriptions is not None:
            raise EntityNotFoundError(f"The messaging entity '{name}' is a topic.")
        return self._delete(name)

    async def delete_topic(self, request: web.Request) -> web.Response:
        name = request.match_info["topic"]
        if self._namespace.find(name).subscriptions is None:
            raise EntityNotFoundError(f"The messaging entity '{name}' is not a topic.")
        return self._delete(name)

    async def delete_subscription(self, request: web.Request) -> web.Response:
        return self._delete("{topic}/subscriptions/{subscription}".format_map(request.match_info))

    def _created(self, entity: EntityModel) -> web.Response:
        self._namespace.commit()
        return web.json_response(entity.model_dump(mode="json", by_alias=True), status=HTTPStatus.CREATED)

    def _delete(self, path: str) -> web.Response:
        self._service.delete_entity(path)
        self._namespace.commit()
        return web.Response(status=HTTPStatus.NO_CONTENT)


async def _entity(request: web.Request, kind: str) -> dict[str, Any]:
    properties = _PROPERTIES.validate_json(await request.read() or b"{}")
    return {"Name": request.match_info[kind], "Properties": properties}
