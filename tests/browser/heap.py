"""What the heap of a page holds after a collection of garbage."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import CDPSession, Page

_MIB = 2**20
_VALUES = frozenset({"object", "closure", "array"})
"""The kinds of nodes in a heap snapshot of V8 that a script makes; the strings come with them."""


@dataclass(frozen=True)
class HeapSize:
    """Sizes of a page, as Chromium's DevTools count them."""

    heap_mib: float
    code_mib: float
    """The code that V8 has compiled, which grows while functions become hot, and what it knows for that."""
    objects: int
    """Objects, arrays and functions: what a page that forgets nothing has more of with each answer."""
    nodes: int
    listeners: int


def heap_size(page: Page) -> HeapSize:
    """Collects garbage and counts what is left."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable")
    for _ in range(3):
        devtools.send("HeapProfiler.collectGarbage")
    found = {each["name"]: each["value"] for each in devtools.send("Performance.getMetrics")["metrics"]}
    counts, sizes = _by_kind(_snapshot(devtools))
    devtools.detach()
    return HeapSize(
        heap_mib=round(found["JSHeapUsedSize"] / _MIB, 2),
        code_mib=round(sizes["code"] / _MIB, 2),
        objects=sum(counts[kind] for kind in _VALUES),
        nodes=int(found["Nodes"]),
        listeners=int(found["JSEventListeners"]),
    )


def _snapshot(devtools: CDPSession) -> dict[str, Any]:
    chunks: list[str] = []
    devtools.on("HeapProfiler.addHeapSnapshotChunk", lambda event: chunks.append(event["chunk"]))
    devtools.send("HeapProfiler.takeHeapSnapshot", {"reportProgress": False})
    snapshot: dict[str, Any] = json.loads("".join(chunks))
    return snapshot


def _by_kind(snapshot: dict[str, Any]) -> tuple[Counter[str], Counter[str]]:
    """The number of nodes of each kind, and their bytes."""
    meta, nodes = snapshot["snapshot"]["meta"], snapshot["nodes"]
    fields, kinds = meta["node_fields"], meta["node_types"][0]
    counts, sizes = Counter[str](), Counter[str]()
    for start in range(0, len(nodes), len(fields)):
        kind = kinds[nodes[start + fields.index("type")]]
        counts[kind] += 1
        sizes[kind] += nodes[start + fields.index("self_size")]
    return counts, sizes
