"""The process that runs one line of the dispatch benchmark once."""

import json
import resource
import sys
import time
from pathlib import Path

from benchmarks.dispatch_lines import LINES, Bench


def main() -> None:
    """Takes a JSON object (line, tasks, database_url, service_bus); prints a `Measured`."""
    arguments = json.loads(sys.argv[1])
    with Bench.open(arguments["database_url"], arguments["service_bus"]) as bench:
        line = LINES[arguments["line"]]
        line(bench, "0" * 32, 100)
        start = time.perf_counter()
        line(bench, "1" * 32, int(arguments["tasks"]))
        seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "peak_rss_mib": _peak_rss_mib()}))


def _peak_rss_mib() -> float:
    # On Linux ru_maxrss includes the parent's peak; VmHWM (in kB) is the peak of this program alone.
    status = Path("/proc/self/status")
    if status.exists():
        line = next(each for each in status.read_text().splitlines() if each.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2  # bytes on macOS


if __name__ == "__main__":
    main()
