"""Functions hosts instead of forked workers, for workers with another clock than their host and for HTTP."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from local.functions_host.process import HostProcess
from local.stack import ROOT
from tests.faults.stand import Stand

_APP_DIR = Path(__file__).parent / "hosted"


@contextmanager
def hosts_on(stand: Stand, directory: Path, environments: Sequence[Mapping[str, str]]) -> Iterator[list[HostProcess]]:
    """Runs Functions hosts on the database and the broker of a stand without workers.

    Args:
        stand: the stand.
        directory: for their logs.
        environments: the settings of each host, added to the stand's.
    """

    def start(number: int) -> HostProcess:
        # The worker looks for modules only in its app's own directory and in PYTHONPATH.
        env = {**stand.environment, "PYTHONPATH": str(ROOT), **environments[number]}
        return HostProcess.start(_APP_DIR, env=env, log_file=directory / f"host-{number}.log")

    with ExitStack() as running, ThreadPoolExecutor(len(environments)) as at_once:
        hosts = list(at_once.map(start, range(len(environments))))
        for host in hosts:
            running.push(host)
        yield hosts
        list(at_once.map(HostProcess.stop, hosts))
