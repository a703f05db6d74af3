"""The rules on imports and literals that import-linter cannot hold."""

import ast
import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from controllers.base import JobController
from controllers.hello_world import HelloWorld
from controllers.registry import CONTROLLERS

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "triggers", "controllers", "engine", "core", "repositories", "telemetry")
MODULES = ("bootstrap.py", "connections.py", "function_app.py", "migrate.py", "settings.py", "wiring.py")
APP_FILES = sorted(
    [ROOT / name for name in MODULES] + [path for name in PACKAGES for path in (ROOT / name).rglob("*.py")]
)
_WALL_CLOCK = re.compile(
    r"\b(time\.(time|time_ns|localtime|gmtime|ctime|strftime|clock_gettime\w*)|datetime\.(now|utcnow|today)|date\.today)$"
)
_SQL = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM)\s", re.ASCII)


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def each_of(paths: Iterable[Path]) -> pytest.MarkDecorator:
    """Runs a test for each of these files."""
    return pytest.mark.parametrize("path", sorted(paths), ids=named)


def without(*names: str) -> list[Path]:
    """The files of the app that are not, and are not in, one of these."""
    return [path for path in APP_FILES if not any(path.is_relative_to(ROOT / name) for name in names)]


def job_type_files(controllers: Iterable[type] = CONTROLLERS) -> list[Path]:
    """The files of the registered job types: all of a package, or the one file of a job type without a package."""
    modules = [Path(inspect.getfile(each)).relative_to(ROOT) for each in controllers]
    places = {ROOT.joinpath(*module.parts[:2]) for module in modules}
    return sorted(path for place in places for path in ([place] if place.is_file() else place.rglob("*.py")))


def imported(path: Path) -> set[str]:
    """The modules that a file imports, `from a.b import c` as both a.b and a.b.c."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{named(path)} has a relative import"
            modules |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


def roots(path: Path) -> set[str]:
    return {module.split(".")[0] for module in imported(path)}


def literals(path: Path) -> Iterator[str]:
    """The string literals of a file without its docstrings."""
    tree = ast.parse(path.read_text())
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value


def wall_clocks(path: Path) -> set[str]:
    """Where a file reads its machine's time of day; rows and messages use the clock of PostgreSQL."""
    read = {ast.unparse(node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
    return {name for name in read | imported(path) if _WALL_CLOCK.search(name)}


def test_the_entry_point_knows_only_the_api_and_the_triggers() -> None:
    assert roots(ROOT / "function_app.py") <= {"api", "triggers", "azure"}
    azure = {module for module in imported(ROOT / "function_app.py") if module.startswith("azure")}
    assert azure == {"azure.functions"}


@pytest.mark.parametrize("name", ["bootstrap.py", "connections.py", "migrate.py", "settings.py", "wiring.py"])
def test_the_composition_root_knows_nothing_of_those_who_call_it(name: str) -> None:
    assert not roots(ROOT / name) & {"api", "triggers", "function_app"}


def test_the_settings_know_nothing_but_the_core() -> None:
    assert not roots(ROOT / "settings.py") & {"bootstrap", "controllers", "engine", "repositories"}


@each_of(job_type_files())
def test_a_job_type_imports_lockstep_from_one_module_and_other_job_types_never(path: Path) -> None:
    own = ".".join(path.relative_to(ROOT).with_suffix("").parts[:2])
    ours = {
        module
        for module in imported(path)
        if module.split(".")[0] in (*PACKAGES, "bootstrap", "connections", "migrate", "settings", "wiring")
    }
    ours.discard("controllers")  # of `from controllers import authoring`
    assert not {module for module in ours if not f"{module}.".startswith(("controllers.authoring.", f"{own}."))}


def test_a_job_type_may_be_a_package_or_a_single_file() -> None:
    assert {named(path) for path in job_type_files([HelloWorld])} == {
        "controllers/hello_world/__init__.py",
        "controllers/hello_world/job.py",
    }
    assert job_type_files([JobController]) == [ROOT / "controllers" / "base.py"]


@each_of(without("settings.py"))
def test_the_environment_is_read_by_the_settings_alone(path: Path) -> None:
    tree = ast.parse(path.read_text())
    read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & {"environ", "getenv"}
    assert not read
    assert not imported(path) & {"os.environ", "os.getenv"}


@each_of(APP_FILES)
def test_nothing_goes_by_the_clock_of_its_machine(path: Path) -> None:
    assert not wall_clocks(path)


@each_of(without("repositories"))
def test_the_drivers_are_imported_by_the_repositories_alone(path: Path) -> None:
    drivers = ("azure.servicebus", "azure.storage", "psycopg2", "yoyo")
    assert not [module for module in imported(path) if module.startswith(drivers)]


@each_of(APP_FILES)
def test_no_python_file_holds_sql(path: Path) -> None:
    assert not [text for text in literals(path) if _SQL.search(text)]


def test_the_rules_see_what_they_look_for(tmp_path: Path) -> None:
    breach = tmp_path / "breach.py"
    breach.write_text('from os import environ\nimport azure.servicebus\nx = f"SELECT {environ} FROM t"\n')
    assert imported(breach) == {"os", "os.environ", "azure.servicebus"}
    assert [text for text in literals(breach) if _SQL.search(text)] == ["SELECT "]


@pytest.mark.parametrize(
    ("source", "read"),
    [
        ("import time\nage = time.time() - 1\n", {"time.time"}),
        ("import datetime as dt\nnow = dt.datetime.now(dt.UTC)\n", {"dt.datetime.now"}),
        ("from datetime import datetime\nclock = datetime.utcnow\n", {"datetime.utcnow"}),
        ("from time import time_ns\n", {"time.time_ns"}),
        ("import time\nends_at = time.monotonic() + 1\nwork.now()\n", set()),
    ],
)
def test_a_wall_clock_is_seen_however_it_is_read(tmp_path: Path, source: str, read: set[str]) -> None:
    breach = tmp_path / "breach.py"
    breach.write_text(source)
    assert wall_clocks(breach) == read
