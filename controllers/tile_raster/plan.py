"""The plan of a job: what it found in the source, and that the target is its own.

It is a file in the target, written once with the directory. So every task cuts the same grid, whatever happens to the
source, and no two jobs write to one directory.
"""

import json
import secrets
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from controllers import authoring as lockstep
from controllers.tile_raster.durable_files import sync
from controllers.tile_raster.errors import RasterUnavailableError, TargetError
from controllers.tile_raster.parameters import Compression
from controllers.tile_raster.tile_grid import TileGrid

PLAN_NAME = "tile_raster.json"


@dataclass(frozen=True)
class SourceFile:
    """A raster file as a job found it.

    Attributes:
        bytes: its size.
        modified_ns: when it was changed last.
    """

    path: str
    bytes: int
    modified_ns: int
    width: int
    height: int
    bands: int
    dtype: str


@dataclass(frozen=True)
class Plan:
    """What a job does, to which source, in which target."""

    job_id: str
    target: str
    source: SourceFile
    tile_size: int
    overlap: int
    compression: Compression

    @property
    def grid(self) -> TileGrid:
        """The tiles."""
        return TileGrid(self.source.width, self.source.height, self.tile_size, self.overlap)


@dataclass(frozen=True)
class Target:
    """The directory of a job."""

    directory: Path

    @property
    def tiles(self) -> Path:
        """The directory of the tiles."""
        return self.directory / "tiles"

    @property
    def index(self) -> Path:
        """The list of the tiles."""
        return self.directory / "tiles.jsonl"

    @property
    def mosaic(self) -> Path:
        """The mosaic."""
        return self.directory / "mosaic.tif"

    @property
    def partial(self) -> Path:
        """The directory of files that are not complete."""
        return self.directory / ".partial"


def target_of(target: str, data_dir: Path) -> Target:
    """Returns the directory of a job.

    Raises:
        TargetError: it lies outside DATA_DIR.
        RasterUnavailableError: it cannot be read now.
    """
    try:
        return Target(lockstep.place_of(target, data_dir, "the target"))
    except lockstep.DataPathError as exc:
        raise TargetError(str(exc)) from exc
    except OSError as exc:
        raise RasterUnavailableError(f"the target cannot be read now: {exc.strerror}") from exc


def find_plan(target: Target) -> Plan | None:
    """Returns the plan in a directory; None if there is none."""
    try:
        text = (target.directory / PLAN_NAME).read_text()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise RasterUnavailableError(f"the target cannot be read now: {exc.strerror}") from exc
    try:
        fields: dict[str, Any] = json.loads(text)
        source = SourceFile(**fields.pop("source"))
        return Plan(**fields | {"source": source, "compression": Compression(fields["compression"])})
    except (TypeError, KeyError, ValueError, AttributeError):
        return None  # a file of another kind


def plan_of(target: Target, name: str, job_id: str) -> Plan:
    """Returns the plan of a job.

    Raises:
        TargetError: the target is gone, or another job's.
    """
    plan = find_plan(target)
    if plan is None or plan.job_id != job_id:
        raise TargetError(f"the target {name!r} is not this job's any more: its directory was deleted or replaced")
    return plan


def claim(target: Target, plan: Plan) -> Plan:
    """Makes the target the job's, unless it is already; returns the plan that it has.

    Raises:
        TargetError: it is another job's, or something else.
    """
    parent = target.directory.parent
    new = parent / f"{claim_prefix(plan.job_id)}{secrets.token_hex(8)}"
    try:
        Target(new).tiles.mkdir(parents=True)
        (new / PLAN_NAME).write_text(lockstep.json_text.encode(asdict(plan)))
        sync(new / PLAN_NAME)
        new.rename(target.directory)  # it fails when the target has files
        sync(parent)
    except OSError as exc:
        shutil.rmtree(new, ignore_errors=True)
        found = find_plan(target)
        if found is not None and found.job_id == plan.job_id:
            return found
        if target.directory.exists():
            raise TargetError(f"the target {plan.target!r} exists already") from exc
        raise RasterUnavailableError(f"the target {plan.target!r} cannot be made now: {exc.strerror}") from exc
    return plan


def claim_prefix(job_id: str) -> str:
    """How the names of the directories begin that a job is about to make its target."""
    return f".tile_raster-{job_id}-"
