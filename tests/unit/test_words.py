"""One word a thing, in plain English: what the glossary of `docs/architecture.md` has replaced does not return."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

_ROOT = Path(__file__).parents[2]
_FOLDERS = (
    *("api", "benchmarks", "cli", "client", "controllers", "core", "docs", "engine", "local", "repositories"),
    *("samples", "telemetry", "tests", "triggers", ".ci", ".github"),
)
_KINDS = {".py", ".sql", ".md", ".json", ".yml", ".yaml", ".toml", ".txt", ".example"}
_OTHER_FILES = {"Makefile", "run"}
_BETWEEN = r"(?:[ _-][a-z0-9'`]+){0,3}[ _-]"
"""Between the two words of a phrase: up to three others."""


class Banned(NamedTuple):
    """A word or phrase that is not used.

    Attributes:
        pattern: finds it, whatever its case; it begins and ends where words do.
        instead: what to say.
        example: what the pattern must find.
    """

    pattern: str
    instead: str
    example: str


_BANNED = [
    Banned("shall", "will, must, or the present tense", "it shall end"),
    Banned("(is|are|was|were|be|been)[ _]away", "is unavailable, cannot be reached", "while PostgreSQL is away"),
    Banned(f"(comes?|came|coming){_BETWEEN}back", "is delivered again, is rescheduled", "a_message_comes_back"),
    Banned(f"(sees?|saw|seen|seeing){_BETWEEN}through", "waits for an outage to end", "an outage is seen through"),
    Banned("(sees?|saw|seen|seeing)[ _]to[ _]it", "makes sure, or name who does it", "the sweeper sees to it"),
    Banned("what[ _](is|are|was)[ _]to[ _]be", "name the thing", "what is to be sent"),
    Banned(f"hand(s|ed|ing)?{_BETWEEN}back", "release", "a worker hands tasks back"),
    Banned(f"(gives?|gave|given|giving){_BETWEEN}back", "release, return", "it gives the lease back"),
    Banned(f"put(s|ting)?{_BETWEEN}back", "reopen, return", "the stage puts them all back"),
    Banned(f"open(s|ed|ing)?{_BETWEEN}again", "reopen", "the stage is opened again"),
    Banned("(stage|batch)[ _]?queues?", "dispatch window; a queue is a broker's", "a StageQueue"),
    Banned("[a-z]*stoppers?", "canceller", "the StageStopper"),
    Banned("patience|patiently", "outage waiter", "with patience"),
    Banned(r"(?<=[._])resumes|resumes(?=\w*[=(])", "redispatches; the verb is for the route alone", "message.resumes"),
    Banned("[\"']resumes[\"']", "redispatches; the verb is for the route alone", 'fields["resumes"]'),
    Banned("retention(?!_days)", "pruning; RETENTION_DAYS is the period", "the retention of jobs"),
]
_ANY = re.compile(rf"(?<![a-z])(?:{'|'.join(each.pattern for each in _BANNED)})(?![a-z])", re.IGNORECASE)
_LINE_BREAK = re.compile(r"[\"']?[ \t]*\n[ \t]*(?:#|--|//|>)*[ \t]*(?:f?[\"'](?=\w))?")

_ALLOWED = {
    # The old name on the wire, which messages in flight may bear.
    "core/messages.py": {'"resumes"'},
    "tests/property/test_messages.py": {'"resumes"'},
    "tests/unit/core/test_messages.py": {'"resumes"'},
    # The names that the decision replaced.
    "docs/decisions/0012-the-engine-has-five-rooms.md": {"patience", "stagequeue"},
    # Names of files that do not change any more.
    "docs/decisions/0010-opened-again-through-the-outbox.md": {"opened-again"},
    "docs/architecture.md": {"opened-again"},
    "docs/decisions/README.md": {"opened-again"},
    "repositories/sql/migrations/0006.retention.sql": {"retention"},
    "tests/unit/repositories/test_migration_kinds.py": {"retention"},  # names the migration
}


def _files() -> Iterator[Path]:
    for path in (*_ROOT.iterdir(), *(path for folder in _FOLDERS for path in (_ROOT / folder).rglob("*"))):
        if (path.suffix in _KINDS or path.name in _OTHER_FILES) and path.is_file() and path != Path(__file__):
            yield path


def banned(text: str) -> set[str]:
    """The banned words in a text, in lower case; a phrase may go on in the next line of a comment or literal."""
    paragraphs = re.split(r"\n\s*\n", text)
    lines = (re.sub(r"\s+", " ", _LINE_BREAK.sub(" ", paragraph)) for paragraph in paragraphs)
    return {match[0].lower() for line in lines for match in _ANY.finditer(line)}


def test_every_file_uses_the_words_of_the_glossary() -> None:
    found = {}
    for path in _files():
        name = path.relative_to(_ROOT).as_posix()
        if words := banned(name) | banned(path.read_text()):
            found[name] = words
    assert found == _ALLOWED, [f"instead of {each.example!r}: {each.instead}" for each in _BANNED]


@pytest.mark.parametrize("word", _BANNED, ids=lambda word: word.example)
def test_a_banned_word_is_seen(word: Banned) -> None:
    assert banned(word.example) == {
        match[0].lower() for match in re.finditer(word.pattern, word.example, re.IGNORECASE)
    }
    assert banned(word.example)


@pytest.mark.parametrize(
    "text",
    [
        "# it puts them\n    # back",
        "-- puts\n-- them back",
        "> puts   them\n> back",
        'raise Error(\n    "it puts them "\n    f"back"\n)',
    ],
)
def test_a_phrase_is_seen_across_lines(text: str) -> None:
    assert banned(text) == {"puts them back"}


@pytest.mark.parametrize(
    "text",
    [
        "marshall",
        "RETENTION_DAYS and retention_days",
        "a client resumes a job",
        '"""Resumes a job."""',
        "it puts\n\nback",
        "a task queue",
    ],
)
def test_other_words_are_not_seen(text: str) -> None:
    assert banned(text) == set()
