"""Fills the page of benchmarks with the tables of JSON files, so that no figure is typed.

A place in the page begins with `<!-- figures of NAME -->` and ends with `<!-- end of figures -->`.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import profile
from benchmarks.machine import text as machine_text
from benchmarks.markdown import table
from benchmarks.targets import judged, verdicts

_PLACE = re.compile(r"(?P<begin><!-- figures of (?P<name>\S+) -->\n).*?(?P<end><!-- end of figures -->)", re.DOTALL)

TARGETS = "targets"


def places(page: str) -> list[str]:
    """The names of the places of a page, in their order."""
    return [place["name"] for place in _PLACE.finditer(page)]


def filled(page: str, texts: Mapping[str, str]) -> str:
    """Returns the page with these texts in their places; places without a text keep what they have.

    Raises:
        ValueError: a text has no place.
    """
    if homeless := sorted(texts.keys() - set(places(page))):
        raise ValueError(f"the page has no place for figures of {', '.join(homeless)}")

    def text_of(place: re.Match[str]) -> str:
        name = place["name"]
        return f"{place['begin']}\n{texts[name]}\n\n{place['end']}" if name in texts else place[0]

    return _PLACE.sub(text_of, page)


def texts_of(directory: Path, units: Mapping[str, str]) -> dict[str, str]:
    """Renders the JSON files of a directory: each table, each profile and what both say about the targets.

    Args:
        directory: with the JSON files.
        units: of the tables, by name.
    """
    texts = {name: figures(document, unit) for name, unit in units.items() if (document := _read(directory, name))}
    if texts:
        texts[TARGETS] = judged(verdicts(directory))
    if document := _read(directory, profile.NAME):
        texts |= {f"{profile.NAME}-{name}": text for name, text in profile.tables(document).items()}
    return texts


def figures(document: Mapping[str, Any], unit: str) -> str:
    """The table of a JSON file, the notes of its lines, and the machine."""
    notes = "\n".join(f"- {line}: {note}" for line, note in document["notes"].items())
    rows = document["rows"]
    return "\n\n".join(filter(None, [table(rows, unit) if rows else "", notes, machine_text(document["machine"])]))


def _read(directory: Path, name: str) -> dict[str, Any] | None:
    json_file = directory / f"{name}.json"
    document: dict[str, Any] | None = json.loads(json_file.read_text()) if json_file.exists() else None
    return document
