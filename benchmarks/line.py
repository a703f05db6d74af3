"""The process that runs one line of a benchmark once: `python -m benchmarks.line MODULE JSON`.

The module has a function `measure`, which gets the JSON object and returns a `Measured` without its peak memory.
"""

import importlib
import json
import os
import sys

from benchmarks.memory import peak_rss_mib


def main() -> None:
    """Prints a `Measured` as the last line."""
    module = importlib.import_module(sys.argv[1])
    measured = module.measure(json.loads(sys.argv[2]))
    if measured["peak_rss_mib"] is None:
        measured["peak_rss_mib"] = peak_rss_mib(os.getpid())
    print(json.dumps(measured), flush=True)


if __name__ == "__main__":
    main()
