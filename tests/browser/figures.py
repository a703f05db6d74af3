"""The figures of docs/monitor.md: kept as JSON, and written into the page as tables."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PICTURES = "LOCKSTEP_PICTURES"
"""The variable that names the directory of the pictures and figures; `make pictures` sets it."""

_TABLES = re.compile(r"(?<=<!-- figures -->\n).*?(?=<!-- end of figures -->\n)", re.DOTALL)


@dataclass(frozen=True)
class Figures:
    """The figures in a directory."""

    directory: Path

    def save(self, name: str, members: Mapping[str, Any]) -> None:
        """Adds figures to the others, and writes the tables of the page beside the directory, if there is one."""
        file, page = self.directory / "figures.json", self.directory.with_suffix(".md")
        known = json.loads(file.read_text()) if file.exists() else {}
        known[name] = {**known.get(name, {}), **members}
        file.write_text(json.dumps(known, indent=2) + "\n")
        if page.exists():
            page.write_text(with_tables(page.read_text(), known))


def with_tables(page: str, figures: Mapping[str, Any]) -> str:
    """Puts the tables of figures between the two comments of a page."""
    lines = [*_views(figures.get("views", {})), "", *_memory(figures.get("memory", {}))]
    return _TABLES.sub(lambda _: "\n".join(lines) + "\n", page)


def _views(views: Mapping[str, Any]) -> Iterator[str]:
    yield "| view | painted | complete | asks for | answer | 304 |"
    yield "|---|---|---|---|---|---|"
    for name, view in views.items():
        start = f"{name} | {view['painted']} ms | {view['complete']} ms"
        for path, milliseconds in view["requests"].items():
            known = milliseconds["304"]
            yield f"| {start} | `{path}` | {milliseconds['200']} ms | {'' if known is None else f'{known} ms'} |"
            start = " | | "


def _memory(pages: Mapping[str, Any]) -> Iterator[str]:
    yield "| page | after | heap | of it code | objects | nodes | listeners |"
    yield "|---|---|---|---|---|---|---|"
    for name, sizes in pages.items():
        for minutes, size in sizes.items():
            heap = f"{size['heap_mib']} MiB | {size['code_mib']} MiB | {size['objects']}"
            yield f"| {name} | {minutes} min | {heap} | {size['nodes']} | {size['listeners']} |"
