import subprocess
import sys

from local.stack import ROOT

_START = """
import tests.faults.crash.host
from local.functions_host.indexing import load_app
from local.stack import ROOT
print(*load_app(ROOT))
"""


def test_a_worker_starts_in_a_fork_of_the_process_of_crash_points() -> None:
    """A process of pytest has one server of forks, whichever test starts it."""
    started = subprocess.run([sys.executable, "-c", _START], cwd=ROOT, capture_output=True, text=True, check=False)
    assert started.returncode == 0, started.stderr
    assert "run_tasks" in started.stdout.split()
