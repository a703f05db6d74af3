"""The process that runs one line of a benchmark once: `python -m benchmarks.line MODULE JSON`.

The module has a function `measure`, which gets the JSON object and returns a `Measured` without its peak memory.
"""

import importlib
import json
import resource
import sys
from pathlib import Path


def main() -> None:
    """Prints a `Measured` as the last line."""
    module = importlib.import_module(sys.argv[1])
    measured = module.measure(json.loads(sys.argv[2]))
    if measured["peak_rss_mib"] is None:
        measured["peak_rss_mib"] = _peak_rss_mib()
    print(json.dumps(measured), flush=True)


def _peak_rss_mib() -> float:
    # On Linux ru_maxrss includes the parent's peak; VmHWM (in kB) is the peak of this program alone.
    status = Path("/proc/self/status")
    if status.exists():
        line = next(each for each in status.read_text().splitlines() if each.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2  # bytes on macOS


if __name__ == "__main__":
    main()
