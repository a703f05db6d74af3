"""The job type that README shows is complete, runs, and has at most 20 lines; the lines of the other one exist."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from controllers.registry import CONTROLLERS
from tests.support.drive import stand

_README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def word_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """README's file, imported from a file of its own."""
    block = re.search(r"```python\n(# controllers/word_count\.py\n.*?)```", _README.read_text(), re.DOTALL)
    assert block
    path = tmp_path / "word_count.py"
    path.write_text(block[1])
    spec = importlib.util.spec_from_file_location("word_count", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "word_count", module)
    spec.loader.exec_module(module)
    return module


def test_the_job_type_of_the_readme_runs_when_one_line_registers_it(word_count: ModuleType) -> None:
    with stand(*CONTROLLERS, word_count.WordCount) as it:
        job_id = it.submit("word_count", texts=["one two three", "", "four five"])
        it.pump()

        assert (it.job(job_id).status, it.job(job_id).result) == ("completed", [5])


def test_the_job_type_of_the_readme_has_at_most_20_lines(word_count: ModuleType) -> None:
    lines = Path(str(word_count.__file__)).read_text().splitlines()

    assert len([line for line in lines if line.strip()]) <= 20


def test_the_example_with_a_table_is_made_of_lines_of_the_job_type_that_it_names() -> None:
    text = _README.read_text()
    blocks = re.findall(r"```python\n# (visits|job)\.py.*?\n(.*?)```", text, re.DOTALL)
    package = _README.parent / "tests" / "integration" / "page_visits"
    known = {name: package.joinpath(f"{name}.py").read_text().splitlines() for name, _ in blocks}

    assert [name for name, _ in blocks] == ["visits", "job"]
    assert [line for name, block in blocks for line in block.splitlines() if line not in ("", *known[name])] == []
    assert [path.name for path in package.rglob("*.sql") if path.name not in text] == []
