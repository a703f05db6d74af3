"""The functions of Bicep that the templates call. Hashes are not Azure's: only equal for equal arguments."""

import hashlib
import uuid
from collections.abc import Callable, Mapping
from functools import reduce
from itertools import chain
from typing import Any


class Runtime(str):
    """A value that Azure knows once the resource exists."""

    __slots__ = ()

    def member(self, name: str) -> "Runtime":
        return Runtime(f"{self[:-1]}.{name}>")


def _union(*values: Any) -> Any:
    """Merges as Bicep does: objects deeply, the later value wins; arrays without repetition."""
    if not isinstance(values[0], Mapping):
        return list(dict.fromkeys(chain.from_iterable(values)))
    found: dict[str, Any] = {}
    for value in values:
        for key, each in value.items():
            both = isinstance(each, Mapping) and isinstance(found.get(key), Mapping)
            found[key] = _union(found[key], each) if both else each
    return found


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "concat": lambda *lists: list(chain.from_iterable(lists)),
    "empty": lambda value: not value,
    "environment": lambda: {"suffixes": {"storage": "core.windows.net"}},
    "flatten": lambda lists: list(chain.from_iterable(lists)),
    "guid": lambda *texts: str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(texts))),
    "length": len,
    "map": lambda values, each: [each(value) for value in values],
    "max": max,
    "min": min,
    "range": lambda start, count: list(range(start, start + count)),
    "reduce": lambda values, start, add: reduce(add, values, start),
    "string": str,
    "subscription": lambda: {"id": "/subscriptions/<subscription>", "subscriptionId": "<subscription>"},
    "subscriptionResourceId": lambda kind, name: f"/subscriptions/<subscription>/providers/{kind}/{name}",
    "tenant": lambda: {"tenantId": "<tenant>"},
    "toLower": str.lower,
    "union": _union,
    "uniqueString": lambda *texts: hashlib.sha256("/".join(texts).encode()).hexdigest()[:13],
}
