"""One stack for the tests of the command and the client, with jobs of each kind, and the command as it is installed."""

import json
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from local.functions_host.process import HostProcess
from local.postgres import EmbeddedPostgres
from local.service_bus.process import EmulatorProcess
from local.stack import ROOT
from tests.e2e.commands.installed import Installed
from tests.e2e.commands.stack import NEVER, Seeded, Stack, seed
from tests.support.long_deadlines import LONG_DATABASE_DEADLINES

_APP_DIR = Path(__file__).parent / "app"
_KEY = "the-key-of-the-command"


@pytest.fixture(scope="session")
def stack(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("commands")
    keys, data_dir = directory / "keys.json", directory / "data"
    data_dir.mkdir()
    keys.write_text(json.dumps({"masterKey": "another", "functionKeys": {"default": _KEY}}))
    database_url = postgres.url("commands")
    with EmulatorProcess.start() as broker:
        environment = {
            "DATABASE_URL": database_url,
            "ServiceBusConnection": broker.connection_string,
            "SERVICE_BUS_MANAGEMENT_URL": broker.management_url,
            "DATA_DIR": str(data_dir),
            "PYTHON_THREADPOOL_THREAD_COUNT": "32",
            "PYTHONPATH": str(ROOT),
            # A task is held for as long as the tests run.
            "AzureFunctionsJobHost__functionTimeout": "-1",
            **LONG_DATABASE_DEADLINES,
        }
        arguments, log_file = ["--keys", str(keys)], directory / "functions.log"
        with (
            HostProcess.start(_APP_DIR, env=environment, log_file=log_file, arguments=arguments) as host,
            closing(
                httpx.Client(base_url=host.base_url, headers={"x-functions-key": _KEY}, trust_env=False, timeout=60)
            ) as http,
        ):
            yield Stack(host.base_url, _KEY, database_url, data_dir, http)
            (data_dir / NEVER).touch()


@pytest.fixture(scope="session")
def it(stack: Stack) -> Seeded:
    return seed(stack)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed.make(tmp_path_factory.mktemp("installed"))


@pytest.fixture(autouse=True)
def environment(stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The app and its key by variables, no profile, and wide lines."""
    monkeypatch.setenv("LOCKSTEP_URL", stack.url)
    monkeypatch.setenv("LOCKSTEP_KEY", stack.key)
    monkeypatch.setenv("LOCKSTEP_PROFILES", str(tmp_path / "profiles.toml"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("LOCKSTEP_PROFILE", raising=False)


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Has commands notice Ctrl-C, even if a script runs these tests in the background, where children ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
