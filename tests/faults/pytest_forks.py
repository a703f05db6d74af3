"""Runs pytest again and again in forks of one process, which has imported what takes half of a short run.

That process imports packages, and nothing of the project: each run reads the project's files as they are. It gets each
run as a line of JSON on standard input, and says the exit code in a line on standard output.
"""

import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_PACKAGES = (
    *("azure.functions", "azure.identity", "azure.servicebus", "azure.storage.blob", "azure.storage.queue"),
    *("cronsim", "httpx", "psutil", "psycopg2.extras", "psycopg2.pool", "psycopg2.sql", "rich.console"),
    *("pydantic.main", "pydantic.functional_validators", "pydantic.json_schema", "pydantic.plugin._schema_validator"),
    *("yoyo.backends.core.postgresql", "yoyo.migrations"),
    *("execnet", "pytest"),
)
_PLUGINS = ("xdist.plugin", "pytest_timeout")
"""Those that the configuration names; to load all that are installed takes half of a run."""


class Forks:
    """Runs pytest in a directory, in a new process each time.

    Args:
        directory: where it runs; it contains this module.
        timeout_seconds: how long a run may take.
    """

    def __init__(self, directory: Path, timeout_seconds: float) -> None:
        self._directory = directory
        self._timeout_seconds = timeout_seconds
        self._parent: subprocess.Popen[str] | None = None

    def run(self, arguments: Sequence[str], environment: Mapping[str, str], output: Path) -> int:
        """Returns pytest's exit code, or a negative signal.

        Args:
            arguments: of pytest.
            environment: variables besides those of this process.
            output: an empty file, which gets what pytest says.

        Raises:
            TimeoutError: the run was ended because it took too long.
        """
        self._parent = self._parent or self._start()
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        asked = {"arguments": arguments, "environment": environment, "output": str(output)}
        self._parent.stdin.write(f"{json.dumps(asked)}\n")
        self._parent.stdin.flush()
        if not select.select([self._parent.stdout], [], [], self._timeout_seconds)[0]:
            self._end(self._parent)
            raise TimeoutError(output.read_text())
        return int(self._parent.stdout.readline())

    def close(self) -> None:
        """Ends the process."""
        if self._parent is not None:
            self._end(self._parent)

    def _start(self) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        return subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=self._directory,
            env={**environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def _end(self, parent: subprocess.Popen[str]) -> None:
        """Kills the process and the run that it may have begun."""
        self._parent = None
        os.killpg(parent.pid, signal.SIGKILL)
        with parent:
            parent.wait()


def main() -> None:
    """Runs what standard input asks for, one after another, until it ends."""
    for name in (*_PACKAGES, *_PLUGINS):
        importlib.import_module(name)
    gc.freeze()  # pytest collects garbage ten times at its end
    for line in sys.stdin:
        sys.stdout.write(f"{_run(**json.loads(line))}\n")
        sys.stdout.flush()


def _run(arguments: Sequence[str], environment: Mapping[str, str], output: str) -> int:
    """Returns pytest's exit code, or a negative signal.

    Args:
        arguments: of pytest.
        environment: variables besides those of this process.
        output: the file that gets what pytest says.
    """
    pid = os.fork()
    if pid == 0:
        _be_pytest(arguments, environment, output)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def _be_pytest(arguments: Sequence[str], environment: Mapping[str, str], output: str) -> None:
    os.environ.update(environment)
    for source, target in ((os.open(os.devnull, os.O_RDONLY), 0), (os.open(output, os.O_WRONLY), 1), (1, 2)):
        os.dup2(source, target)
    # The interpreter ends as it does after `python -m pytest`: with what modules do at its end.
    plugins = [importlib.import_module(name) for name in _PLUGINS]
    sys.exit(importlib.import_module("pytest").main(list(arguments), plugins))


if __name__ == "__main__":
    main()
