from pathlib import Path

import pytest

from benchmarks import __main__ as command_line
from benchmarks import profile
from benchmarks.page import TARGETS, filled, places, texts_of

RESULTS = Path(command_line.__file__).parent / "results"
PAGE = (RESULTS.parent / "README.md").read_text()

SAMPLE = """\
# Engine

<!-- figures of engine -->

an old table

<!-- end of figures -->

Prose.

<!-- figures of drain -->
<!-- end of figures -->
"""


def test_a_text_takes_the_place_of_what_was_there_and_nothing_else_changes() -> None:
    page = filled(SAMPLE, {"engine": "a new table"})

    assert page == SAMPLE.replace("an old table", "a new table")
    assert filled(page, {"engine": "a new table"}) == page
    assert "<!-- figures of drain -->\n\n| x |\n\n<!-- end of figures -->" in filled(page, {"drain": "| x |"})


def test_a_text_without_a_place_is_an_error() -> None:
    with pytest.raises(ValueError, match="no place for figures of cloud, peers"):
        filled(SAMPLE, {"peers": "", "engine": "", "cloud": ""})


def test_the_page_has_a_place_for_each_table_each_profile_and_the_targets() -> None:
    profiles = {f"{profile.NAME}-{name}" for name in profile.PROFILES}

    assert sorted(places(PAGE)) == sorted({*command_line.UNITS, *profiles, TARGETS})


def test_the_figures_of_the_page_are_those_of_its_json_files() -> None:
    """When it fails: `python -m benchmarks fill`."""
    assert filled(PAGE, texts_of(RESULTS, command_line.UNITS)) == PAGE
