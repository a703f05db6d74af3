"""`tile_raster` in hosts that are killed, with tiles that take long and tiles that crash their process."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from local.functions_host.process import HostProcess
from local.jobs_client import JobsClient
from local.stack import ROOT
from tests.faults.figures import record
from tests.faults.invariants import assert_invariants, assert_queues_empty
from tests.faults.leases import LEASE_SECONDS, end_all_leases, rest
from tests.faults.sizes import size
from tests.faults.slow_tiles import Entry, read_diary
from tests.faults.stand import Stand, standing

pytest.importorskip("rasterio", reason="rasterio is not installed")

COLUMNS, ROWS, TILE_SIZE = size((4, 3, 64), (17, 12, 768))
TILES = COLUMNS * ROWS
SLOW = list(range(5, TILES, size(10, 10)))
SLOW_SECONDS = size(6, 65)
CRASHING = size([2], [40, 140])
PAUSE_SECONDS = size(0.2, 0.25)
KILLS_AT_TILES = size([4], [50, 140])
KILL_AT_MOSAIC_TILE = size(0, 100)
# A host that is held up keeps its leases, or two runs of a task would write at once; those of a killed one are ended.
TIMES: dict[str, str] = {
    "LEASE_SECONDS": str(LEASE_SECONDS),
    **size({}, {"SWEEP_AGE_SECONDS": "60", "SILENCE_SECONDS": "60"}),
}
WAIT_SECONDS = size(600, 1_500)


class Host:
    """A host of the app with the slow tiles, and the most memory that its processes have taken."""

    def __init__(self, stand: Stand, log_file: Path) -> None:
        self._stand = stand
        self._environment = {**stand.environment, "PYTHONPATH": str(ROOT), "PYTHON_THREADPOOL_THREAD_COUNT": "32"}
        self._log_file = log_file
        self.kills = 0
        self.peak_mib: Counter[str] = Counter()
        self.running = self._start()

    def kill(self) -> None:
        """Kills the host by SIGKILL, and starts another in its place when its processes and their leases have ended."""
        processes = psutil.Process(self.running.pid).children(recursive=True)
        self.running.kill()
        self.kills += 1
        _, alive = psutil.wait_procs(processes, WAIT_SECONDS)
        assert alive == []
        end_all_leases(self._stand)
        self.running = self._start()

    def measure(self) -> None:
        """Looks at the memory of the host, its worker and the worker's child processes."""
        try:
            host = psutil.Process(self.running.pid)
            processes = {"host": [host], "worker": host.children()}
            processes["child"] = [child for worker in processes["worker"] for child in worker.children()]
            for role, those in processes.items():
                for process in those:
                    self.peak_mib[role] = max(self.peak_mib[role], process.memory_info().rss // 2**20)
        except psutil.NoSuchProcess:
            pass

    def _start(self) -> HostProcess:
        return HostProcess.start(ROOT / "tests/faults/tiling_app", env=self._environment, log_file=self._log_file)


@contextmanager
def hosting(stand: Stand, log_file: Path) -> Iterator[Host]:
    host, ended = Host(stand, log_file), threading.Event()

    def measure() -> None:
        while not ended.wait(0.25):
            host.measure()

    measuring = threading.Thread(target=measure)
    measuring.start()
    try:
        yield host
    finally:
        ended.set()
        measuring.join()
        host.running.kill()


def done_again(diary: list[Entry]) -> list[str]:
    """The steps that were done again although a checkpoint counted them."""
    counted: Counter[str] = Counter()
    again = []
    for entry in diary:
        if entry.kind == "checkpoint":
            counted[entry.task] = entry.number
        elif entry.kind == "step" and entry.number <= counted[entry.task]:
            again.append(f"{entry.task} {entry.number}")
    return again


def assert_equal(one: Path, other: Path) -> None:
    import rasterio  # noqa: PLC0415 - where it is not installed, the test is skipped
    from rasterio.windows import Window  # noqa: PLC0415 - as above

    with rasterio.open(one) as source, rasterio.open(other) as made:
        assert (source.shape, source.count, source.dtypes) == (made.shape, made.count, made.dtypes)
        assert (source.crs, source.transform, source.nodata) == (made.crs, made.transform, made.nodata)
        for top in range(0, source.height, 256):
            rows = Window(0, top, source.width, min(256, source.height - top))
            assert (source.read(window=rows) == made.read(window=rows)).all(), f"rows {top} to {top + 255} differ"


@pytest.mark.waits
@pytest.mark.timeout(WAIT_SECONDS * 2)
def test_a_raster_is_tiled_and_joined_again_while_hosts_and_child_processes_die(
    database_url: str, tmp_path: Path
) -> None:
    from samples.raster import write_raster  # noqa: PLC0415 - it imports rasterio

    data = tmp_path / "data"
    data.mkdir()
    write_raster(data / "source.tif", COLUMNS * TILE_SIZE - 5, ROWS * TILE_SIZE - 7)
    given = {"source": "source.tif", "target": "tiled", "tile_size": TILE_SIZE, "overlap": 16}
    given |= {"slow": SLOW, "slow_seconds": SLOW_SECONDS, "crash": CRASHING, "pause_seconds": PAUSE_SECONDS}
    settings = {**TIMES, "DATA_DIR": str(data), "WORKER_THREADS": "8"}
    lock = size({}, {"LockDuration": "PT1M"})
    with (
        standing(database_url, tmp_path, workers=0, queue_properties=lock, **settings) as stand,
        hosting(stand, tmp_path / "functions.log") as host,
    ):
        began = time.monotonic()
        with closing(JobsClient(host.running.base_url)) as client:
            job_id = client.submit("slow_tiles", given)
        for tiles in KILLS_AT_TILES:
            stand.wait_for_tasks(job_id, tiles, WAIT_SECONDS)
            host.kill()
        if KILL_AT_MOSAIC_TILE:
            reached = Entry("mosaic", "step", KILL_AT_MOSAIC_TILE)
            stand.wait_for(lambda: reached in read_diary(data), WAIT_SECONDS)
            host.kill()
        stand.wait_for_end(job_id, WAIT_SECONDS)
        seconds = time.monotonic() - began
        rest(stand)
        assert_queues_empty(stand.broker)
        result = _result(stand, job_id)
        figures = _figures(stand, job_id)

    assert_invariants(database_url, job_id)
    diary = read_diary(data)
    assert done_again(diary) == []
    assert sum(result["tiles_written_by_run"]) == result["tiles"] == TILES
    assert {entry.task for entry in diary if entry.kind == "crash"} == {f"cut-{index}" for index in CRASHING}
    assert_equal(data / "source.tif", data / "tiled" / "mosaic.tif")
    assert [path.name for path in (data / "tiled").iterdir() if path.name.startswith(".")] == []
    record(
        "tiles of a raster",
        seconds=round(seconds),
        kills=host.kills,
        peak_rss_mib=dict(host.peak_mib),
        tiles_written_by_run=result["tiles_written_by_run"],
        begun=_begun(diary),
        **figures,
    )


def _result(stand: Stand, job_id: str) -> Any:
    [(result,)] = stand.ask("SELECT result FROM jobs WHERE job_id = %s", job_id)
    return result


def _figures(stand: Stand, job_id: str) -> dict[str, Any]:
    rows = stand.ask("SELECT count(*), sum(attempt), sum(failures) FROM tasks WHERE parent_job_id = %s", job_id)
    stages = stand.ask(
        "SELECT extract(epoch FROM finished_at - created_at)::int FROM stages WHERE job_id = %s ORDER BY stage", job_id
    )
    [(tasks, attempts, failures)] = rows
    return {
        "tasks": tasks,
        "attempts": int(attempts),
        "failures": int(failures),
        "stage_seconds": [taken for (taken,) in stages],
    }


def _begun(diary: list[Entry]) -> dict[str, int]:
    """The tasks that began more than once, and how often."""
    begun = Counter(entry.task for entry in diary if entry.kind == "begin")
    return {task: times for task, times in sorted(begun.items()) if times > 1}
