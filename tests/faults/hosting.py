"""Functions hosts instead of forked workers, for workers with another clock than their host and for HTTP."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from local.functions_host.process import HostProcess
from local.stack import ROOT
from tests.faults.stand import Stand

APP_DIR = Path(__file__).parent / "hosted"


class MortalHosts:
    """Hosts of an app, each of which another one replaces when it is killed.

    Args:
        app_dir: the app.
        number: of hosts.
        environment: their settings.
        log_file: where all of them append their logs.
    """

    def __init__(self, app_dir: Path, number: int, environment: Mapping[str, str], log_file: Path) -> None:
        self._app_dir = app_dir
        # The worker looks for modules only in its app's own directory and in PYTHONPATH.
        self._environment = {**environment, "PYTHONPATH": str(ROOT)}
        self._log_file = log_file
        self.running = [self._start() for _ in range(number)]

    def kill(self, index: int) -> None:
        """Kills a host, and starts another in its place."""
        self.running[index].kill()
        self.running[index] = self._start()

    def kill_worker(self, index: int) -> None:
        """Kills the worker process of a host, which starts another; its messages are abandoned."""
        for process in psutil.Process(self.running[index].pid).children():
            process.kill()

    def stop(self) -> None:
        """Kills all of them."""
        for host in self.running:
            host.kill()

    def _start(self) -> HostProcess:
        return HostProcess.start(self._app_dir, env=self._environment, log_file=self._log_file)


@contextmanager
def hosts_on(stand: Stand, directory: Path, environments: Sequence[Mapping[str, str]]) -> Iterator[list[HostProcess]]:
    """Runs Functions hosts on the database and the broker of a stand without workers.

    Args:
        stand: the stand.
        directory: for their logs.
        environments: the settings of each host, added to the stand's.
    """

    def start(number: int) -> HostProcess:
        env = {**stand.environment, "PYTHONPATH": str(ROOT), **environments[number]}
        return HostProcess.start(APP_DIR, env=env, log_file=directory / f"host-{number}.log")

    with ExitStack() as running, ThreadPoolExecutor(len(environments)) as at_once:
        hosts = list(at_once.map(start, range(len(environments))))
        for host in hosts:
            running.push(host)
        yield hosts
        list(at_once.map(HostProcess.stop, hosts))
