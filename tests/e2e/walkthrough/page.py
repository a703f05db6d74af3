"""The page docs/walkthrough.md: its prose is written by hand, its blocks are recorded."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from local.stack import ROOT

README = ROOT / "README.md"
PAGE = ROOT / "docs" / "walkthrough.md"
PICTURES = ROOT / "docs" / "walkthrough"
WORKER = "laptop 4242"
"""The name of the worker in the page; by itself it is another one on each machine and in each run."""

_PROMPT = "$ "
_BLOCK = re.compile(r"<!-- recorded: (?P<name>[a-z]+) -->\n```console\n(?P<text>.*?)```\n", re.DOTALL)
_PICTURE = re.compile(r"!\[[^\]]+\]\(walkthrough/(?P<name>[a-z]+)\.png\)")

# What differs from run to run; the page says so.
_TIME = re.compile(r"\b(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\b")
_RATE = re.compile(r"[\d,]+ tasks/s")
_RATES_OF_STAGES = re.compile(r"(?<=TASKS/S\n)(\d+ .* )[\d,.]+$", re.MULTILINE)


def block(ran: Iterable[tuple[str, str]]) -> str:
    """The text of a block: commands, each with what it has left on the screen."""
    shown = "".join(f"{_PROMPT}{command}\n" + (f"{screen}\n" if screen else "") for command, screen in ran)
    return _RATES_OF_STAGES.sub(r"\1…", _RATE.sub("… tasks/s", _TIME.sub("hh:mm:ss", shown)))


def order(text: str) -> list[str]:
    """The names of the blocks and pictures of a page, in their order."""
    found = [*_BLOCK.finditer(text), *_PICTURE.finditer(text)]
    return [each["name"] for each in sorted(found, key=lambda each: each.start())]


def commands(text: str) -> dict[str, list[str]]:
    """The commands of each block of a page."""
    return {
        each["name"]: [line.removeprefix(_PROMPT) for line in each["text"].splitlines() if line.startswith(_PROMPT)]
        for each in _BLOCK.finditer(text)
    }


def write(page: Path, blocks: Mapping[str, str]) -> None:
    """Replaces the blocks of a page."""

    def recorded(each: re.Match[str]) -> str:
        return f"<!-- recorded: {each['name']} -->\n```console\n{blocks[each['name']]}```\n"

    page.write_text(_BLOCK.sub(recorded, page.read_text(encoding="utf-8")), encoding="utf-8")
