import pytest

from controllers.ingest_csv.ingested_rows import IngestedRows
from core import json_text
from core.errors import ConstraintViolationError
from repositories.ports import Database
from tests.contract.repositories.building import JOB, OTHER_JOB
from tests.contract.repositories.harness import Harness

ODD_TEXTS = [
    "tab\there",
    "line\nfeed",
    "carriage\rreturn",
    "both\r\n",
    "back\\slash",
    "\\t is no tab, \\N is no null, \\. is no end",
    "\\.",
    "\\N",
    "",
    "\"double\" and 'single'",
    "{1,2} %s %(x)s $1 :x",
    "é 漢字 🌍 \u202e \u2028",
    "\x01\x1f\x7f",
]


def test_loading_a_chunk_again_replaces_it(harness: Harness) -> None:
    with harness.database.transaction() as work:
        assert work.repository(IngestedRows).replace_chunk(JOB, 0, [(0, '"a"'), (1, '"b"')]) == 2
        assert work.repository(IngestedRows).replace_chunk(JOB, 1, [(0, '"c"')]) == 1
        work.repository(IngestedRows).replace_chunk(OTHER_JOB, 0, [(0, '"other"')])
    for rows in ([(0, '"a2"')], [(0, '"a3"'), (1, '"b3"'), (2, '"b4"')]):
        with harness.database.transaction() as work:
            assert work.repository(IngestedRows).replace_chunk(JOB, 0, rows) == len(rows)
            assert work.repository(IngestedRows).count(JOB) == len(rows) + 1
    assert harness.ingested(JOB) == ["a3", "b3", "b4", "c"]


def test_chunks_from_a_number_on_are_cleared(harness: Harness) -> None:
    with harness.database.transaction() as work:
        for chunk in range(4):
            work.repository(IngestedRows).replace_chunk(JOB, chunk, [(0, f'"{chunk}"'), (1, '"too"')])
        work.repository(IngestedRows).replace_chunk(OTHER_JOB, 3, [(0, '"other"')])
        assert work.repository(IngestedRows).clear_from(JOB, 2) == 4
        assert work.repository(IngestedRows).clear_from(JOB, 2) == 0
    assert harness.ingested(JOB) == ["0", "too", "1", "too"]
    assert harness.ingested(OTHER_JOB) == ["other"]


def test_an_empty_chunk_empties_it(database: Database) -> None:
    with database.transaction() as work:
        work.repository(IngestedRows).replace_chunk(JOB, 0, [(0, "{}")])
        assert work.repository(IngestedRows).replace_chunk(JOB, 0, []) == 0
        assert work.repository(IngestedRows).count(JOB) == 0


def test_odd_characters_survive(harness: Harness) -> None:
    rows = [(number, json_text.encode({text: text})) for number, text in enumerate(ODD_TEXTS)]
    with harness.database.transaction() as work:
        work.repository(IngestedRows).replace_chunk(JOB, 0, rows)
    assert harness.ingested(JOB) == [{text: text} for text in ODD_TEXTS]


def test_a_row_number_is_used_once(database: Database) -> None:
    with pytest.raises(ConstraintViolationError) as caught, database.transaction() as work:
        work.repository(IngestedRows).replace_chunk(JOB, 0, [(0, "1"), (0, "2")])
    assert caught.value.constraint == "ingested_rows_pkey"
