"""A pytest plugin: it orders the tests, and decides which of them share a worker under ``--numprocesses``.

Tests go to workers one by one, in the order of the collection. Two rules keep the tests of a module on one worker:

- they use a fixture of scope ``module`` from that module, which only one worker should set up;
- they are marked ``one_worker``, because they use something that the machine has once, such as a port. Modules whose
  markers have the same name, as in ``one_worker("commands")``, share a worker, and with it the fixtures of the session.

The marker ``spread`` turns the first rule off, where a test takes much longer than the fixture.

The order keeps every core busy until the end. Tests with a time limit of their own are the longest and begin first.
Tests marked ``computes`` use a whole core, tests marked ``waits`` hardly any: the former are spread among the latter.

Workers collect the tests and know their markers; the scheduler knows ids alone. So each worker writes to a file which
tests belong together. ``--dist loadgroup`` would pass this in the ids, but pytest 9.2 has ids that it cannot change:
https://github.com/pytest-dev/pytest-xdist/issues/1386.
"""

import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

_FILE = "file_of_groups"
_DIRECTORY = pytest.StashKey[Path]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts by time limits, and spreads the tests that compute over those that wait."""
    computing = [item for item in items if item.get_closest_marker("computes")]
    others = [item for item in items if not item.get_closest_marker("computes")]
    others.sort(key=_time_limit, reverse=True)
    waiting = [index for index, item in enumerate(others) if item.get_closest_marker("waits")] or [len(others)]
    for number, item in reversed(list(enumerate(computing))):
        others.insert(waiting[number * len(waiting) // len(computing)], item)
    items[:] = others


def pytest_configure(config: pytest.Config) -> None:
    directory = TemporaryDirectory(prefix="lockstep-groups-")
    config.add_cleanup(directory.cleanup)
    config.stash[_DIRECTORY] = Path(directory.name)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    """Tells a worker where to write its groups."""
    node.workerinput[_FILE] = str(node.config.stash[_DIRECTORY] / node.gateway.id)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reports the end of the collection
def pytest_collection_finish(session: pytest.Session) -> None:
    """Writes the groups, if this is a worker."""
    if file := getattr(session.config, "workerinput", {}).get(_FILE):
        Path(file).write_text(json.dumps({item.nodeid: group_of(item) for item in session.items}))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    return _Scheduling(config, log)


class _Scheduling(LoadScopeScheduling):  # type: ignore[misc] # the library has no types
    """Sends the tests of a group to one worker."""

    def __init__(self, config: pytest.Config, log: object) -> None:
        super().__init__(config, log)
        self._groups: dict[str, str] = {}

    def add_node_collection(self, node: WorkerController, collection: list[str]) -> None:
        alike = [test_id for test_id, times in Counter(collection).items() if times > 1]
        if alike:  # pytest-xdist would run one of them and say nothing about the others
            raise pytest.UsageError(f"every test needs an id of its own; there are several of {', '.join(alike)}")
        self._groups.update(json.loads(Path(node.workerinput[_FILE]).read_text()))
        super().add_node_collection(node, collection)

    def _split_scope(self, nodeid: str) -> str:
        return self._groups[nodeid]


def group_of(item: pytest.Item) -> str:
    """The id of a test's module if its tests belong together, or what `one_worker` names; else the id of the test."""
    together = _uses_fixture_of_module(item) and not item.get_closest_marker("spread")
    one_worker = item.get_closest_marker("one_worker")
    if one_worker and one_worker.args:
        return str(one_worker.args[0])
    return _module_id(item) if together or one_worker else item.nodeid


def _uses_fixture_of_module(item: pytest.Item) -> bool:
    if not isinstance(item, pytest.Function):
        return False
    used = [definitions[-1] for definitions in item._fixtureinfo.name2fixturedefs.values()]
    return any(fixture.scope == "module" and fixture.baseid == _module_id(item) for fixture in used)


def _module_id(item: pytest.Item) -> str:
    return item.nodeid.split("::", 1)[0]


def _time_limit(item: pytest.Item) -> float:
    """In seconds, 0 where a test has none of its own."""
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker else 0
