"""The management interface of Service Bus, as far as it counts the messages of a queue: ATOM, as the SDK reads it."""

from xml.sax.saxutils import escape

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from local.service_bus.broker.counts import QueueCounts
from local.service_bus.service import Service

_CONTENT_TYPE = "application/atom+xml"
_ATOM = "http://www.w3.org/2005/Atom"
_NETSERVICES = "http://schemas.microsoft.com/netservices"

_NO_ENTITY = f'<feed xmlns="{_ATOM}"><title type="text">Publicly Listed Services</title></feed>'
"""As Service Bus answers, with status 200, for an entity that does not exist."""

_ENTRY = f"""\
<entry xmlns="{_ATOM}"><title type="text">{{name}}</title><content type="application/xml">\
<QueueDescription xmlns="{_NETSERVICES}/2010/10/servicebus/connect">\
<MessageCount>{{all}}</MessageCount><CountDetails xmlns:d="{_NETSERVICES}/2011/06/servicebus">\
<d:ActiveMessageCount>{{active}}</d:ActiveMessageCount>\
<d:DeadLetterMessageCount>{{dead_letter}}</d:DeadLetterMessageCount>\
<d:ScheduledMessageCount>{{scheduled}}</d:ScheduledMessageCount>\
<d:TransferMessageCount>0</d:TransferMessageCount>\
<d:TransferDeadLetterMessageCount>0</d:TransferDeadLetterMessageCount>\
</CountDetails></QueueDescription></content></entry>"""


def management(service: Service) -> Middleware:
    """Describes a queue to requests with `api-version`, which the SDK sends and the control interface has not."""

    @web.middleware
    async def describe(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method != "GET" or "api-version" not in request.query:
            return await handler(request)
        name = request.path.strip("/").lower()
        found = next((each for each in service.namespace.counts() if each.name.lower() == name), None)
        return web.Response(text=_NO_ENTITY if found is None else _entry(found), content_type=_CONTENT_TYPE)

    return describe


def _entry(counts: QueueCounts) -> str:
    # Locked and deferred messages count as active, as in Service Bus.
    active = counts.active + counts.locked + counts.deferred
    return _ENTRY.format(
        name=escape(counts.name),
        all=active + counts.scheduled + counts.dead_letter,
        active=active,
        scheduled=counts.scheduled,
        dead_letter=counts.dead_letter,
    )
