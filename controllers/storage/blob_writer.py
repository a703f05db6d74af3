"""Writes a blob as lines of JSON: in blocks, which become the blob all at once."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from controllers.storage.blob_accounts import BLOB_SCHEME, BlobPlace
from controllers.storage.opener import Places
from core import json_text
from core.errors import BlobError, BlobUnavailableError, SourceError, TargetError, TargetUnavailableError

_BLOCK_BYTES = 4 * 1024 * 1024
MAX_BLOCKS = 50_000
"""Of one blob, a limit of the service: with blocks of 4 MiB, 195 GiB."""

_CONTENT_TYPE = "application/x-ndjson"


def write_ndjson(places: Places, target: str, values: Iterable[Any]) -> dict[str, Any]:
    """Writes values as the lines of a blob; returns its `url`, and how many `lines` and `bytes` it has.

    Readers see the whole blob or, if the writer dies, what was there before. To write the same values again changes
    nothing. One block is in memory at a time.

    Args:
        places: the services of the job.
        target: `blob://CONTAINER/NAME`, in the account of BLOB_ACCOUNT_URL; a blob of this name is replaced.
        values: JSON-able.

    Raises:
        TargetError: the blob cannot be written: there is no such container, or no right to write.
        TargetUnavailableError: the blob cannot be written now.
        UnencodableValueError: a value is not JSON-able.
    """
    place = _place(places, target)
    block_ids: list[str] = []
    lines = size_bytes = 0
    with _writing(target):
        for count, block in _blocks(values):
            if len(block_ids) == MAX_BLOCKS:
                raise TargetError(f"the blob {target!r} has more than {MAX_BLOCKS:,} blocks of {_BLOCK_BYTES:,} bytes")
            # Named by their content: of two writers at once, each commits the blocks that it means, also if they are
            # attempts of the same job whose values differ.
            block_id = f"{len(block_ids):05d}-{hashlib.sha256(block).hexdigest()[:40]}"
            place.store.stage_block(place.container, place.path, block_id, block)
            block_ids.append(block_id)
            lines, size_bytes = lines + count, size_bytes + len(block)
        place.store.commit_blocks(place.container, place.path, block_ids, _CONTENT_TYPE)
    return {"url": target, "lines": lines, "bytes": size_bytes}


def _place(places: Places, target: str) -> BlobPlace:
    if not target.startswith(f"{BLOB_SCHEME}://"):
        raise TargetError("results are written to blob://CONTAINER/NAME, in the account of the app")
    try:
        place = places.blobs.find(target)
    except SourceError as exc:
        raise TargetError(str(exc)) from exc
    if place is None or not place.path:
        raise TargetError(f"{target!r} names no blob")
    return place


def _blocks(values: Iterable[Any]) -> Iterator[tuple[int, bytes]]:
    """Yields blocks of whole lines, each with the number of its lines."""
    block, lines = bytearray(), 0
    for value in values:
        block += json_text.encode(value).encode() + b"\n"
        lines += 1
        if len(block) >= _BLOCK_BYTES:
            yield lines, bytes(block)
            block, lines = bytearray(), 0
    if block:
        yield lines, bytes(block)


@contextmanager
def _writing(target: str) -> Iterator[None]:
    try:
        yield
    except BlobError as exc:
        raise TargetError(f"the blob {target!r} cannot be written: {exc}") from exc
    except BlobUnavailableError as exc:
        raise TargetUnavailableError(f"the blob {target!r} cannot be written now: {exc}") from exc
