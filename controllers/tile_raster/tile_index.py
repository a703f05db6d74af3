"""The list of a job's tiles, in the order of the grid: a JSON object a line."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from controllers import authoring as lockstep
from controllers.tile_raster.durable_files import written_whole
from controllers.tile_raster.errors import TargetError
from controllers.tile_raster.plan import Plan, Target


def write_index(plan: Plan, target: Target, results: Iterable[lockstep.TaskResult]) -> dict[str, lockstep.JsonValue]:
    """Writes the list from the results of the tasks that have cut the tiles; returns its checksum and the totals.

    Raises:
        TargetError: a tile has no result.
    """
    tiles = size = 0
    digest = hashlib.sha256()
    with written_whole(target.index, target.partial) as partial, partial.open("wb") as stream:
        for each in results:
            if each.task_index != tiles or each.status != lockstep.TaskStatus.COMPLETED:
                raise TargetError(f"the tile {tiles} was not cut")
            line = (lockstep.json_text.encode(each.result) + "\n").encode()
            stream.write(line)
            digest.update(line)
            tiles += 1
            size += each.result["bytes"]
    if tiles != plan.grid.count:
        raise TargetError(f"{tiles:,} of {plan.grid.count:,} tiles were cut")
    return {"tiles": tiles, "tile_bytes": size, "sha256": digest.hexdigest()}


def read_index(target: Target, sha256: str) -> list[int]:
    """Returns the CRC-32 of each tile's core.

    Raises:
        TargetError: the list is not the one with this checksum.
    """
    try:
        content = target.index.read_bytes()
    except FileNotFoundError:
        content = b""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise TargetError(f"the list of tiles {target.index.name} was changed or deleted after the job wrote it")
    return [int(each["crc32"]) for each in _lines(content)]


def _lines(content: bytes) -> Iterator[Mapping[str, Any]]:
    return (json.loads(line) for line in content.splitlines())
