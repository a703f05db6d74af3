"""One word a thing, in plain English: what the glossary of `docs/architecture.md` has replaced does not return."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_FOLDERS = ("api", "benchmarks", "controllers", "core", "docs", "engine", "local", "repositories", "tests", "triggers")
_KINDS = {".py", ".sql", ".md", ".json", ".yml"}
_INSTEAD = {
    r"shall": "will, must, or the present tense",
    r"(is|are|was|were)[ _]away": "is unavailable, cannot be reached",
    r"(comes?|came|coming)[ _]back": "is delivered again, is rescheduled, is reachable again",
    r"sees?[ _](it[ _]|this[ _])?through": "waits for an outage to end",
    r"sees?[ _]to[ _]it": "makes sure, or name who does it",
    r"what[ _]is[ _]to[ _]be": "name the thing",
    r"hand(s|ed|ing)?[ _]back": "release",
    r"(gives?|gave|given|giving)[ _]back": "release, return",
    r"put(s|ting)?[ _]back": "reopen",
    r"(stage|batch)_?queue": "dispatch window; a queue is a broker's",
    r"patience|patiently": "outage waiter",
    r"[.\"']resumes": "redispatches; resume is the route alone",
    r"retention(?!_days)": "pruning; RETENTION_DAYS is the period",
}
_BANNED = re.compile(rf"(?<![A-Za-z])({'|'.join(_INSTEAD)})(?![A-Za-z])", re.IGNORECASE)
_ALLOWED = {
    # The old name on the wire, which messages in flight may bear.
    Path("core/messages.py"): {'"resumes'},
    Path("tests/property/test_messages.py"): {'"resumes'},
    Path("tests/unit/core/test_messages.py"): {'"resumes'},
    # The names that the decision replaced.
    Path("docs/decisions/0012-the-engine-has-five-rooms.md"): {"patience", "stagequeue"},
}


def _files() -> Iterator[Path]:
    folders = [_ROOT / folder for folder in _FOLDERS]
    for path in (*_ROOT.iterdir(), *(path for folder in folders for path in folder.rglob("*"))):
        if path.suffix in _KINDS and path.is_file() and path != Path(__file__):
            yield path


def banned(text: str) -> set[str]:
    """The banned words in a text, in lower case."""
    return {match[0].lower() for match in _BANNED.finditer(text)}


def test_every_file_uses_the_words_of_the_glossary() -> None:
    found = {}
    for path in sorted(_files()):
        name = path.relative_to(_ROOT)
        if words := banned(path.read_text()) - _ALLOWED.get(name, set()):
            found[name.as_posix()] = words
    assert not found, f"say instead: {_INSTEAD}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("it shall end", {"shall"}),
        ("marshall", set()),
        ("test_messages_come_back", {"come_back"}),
        ("StageQueue(", {"stagequeue"}),
        ("RETENTION_DAYS and retention_days", set()),
        ("the retention of jobs", {"retention"}),
        ("handed back", {"handed back"}),
    ],
)
def test_a_banned_word_is_seen(text: str, found: set[str]) -> None:
    assert banned(text) == found
