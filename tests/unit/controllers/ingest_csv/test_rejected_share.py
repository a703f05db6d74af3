from typing import Any

import pytest

from controllers.ingest_csv.errors import TooManyRejectedRowsError
from core.errors import JobFailure
from tests.unit.controllers.ingest_csv.support import Ingestion


def _failure(ingestion: Ingestion, content: bytes, **parameters: object) -> str:
    with pytest.raises(TooManyRejectedRowsError) as caught:
        ingestion.run(ingestion.write(content), **parameters)
    assert isinstance(caught.value, JobFailure)
    return str(caught.value)


def test_the_error_counts_the_rows_and_quotes_the_first_rejected_one(ingestion: Ingestion) -> None:
    content = b"a,b\n1,2\n1\n1,\xff\n"
    assert _failure(ingestion, content, has_header=False, max_rejected_fraction=0.25) == (
        "2 of 4 rows are rejected, and max_rejected_fraction is 0.25; "
        "the first is on line 3: the number of columns is 1, not 2"
    )


@pytest.mark.parametrize(
    ("rejected", "loaded", "parameters", "fails"),
    [
        (1, 1, {}, False),
        (2, 1, {}, True),
        (1, 0, {}, True),
        (0, 0, {}, False),
        (0, 5, {"max_rejected_fraction": 0}, False),
        (1, 99, {"max_rejected_fraction": 0}, True),
        (1, 99, {"max_rejected_fraction": 0.01}, False),
        (2, 98, {"max_rejected_fraction": 0.01}, True),
        (5, 0, {"max_rejected_fraction": 1}, False),
    ],
)
def test_a_job_fails_when_a_larger_share_of_rows_is_rejected_than_its_parameters_allow(
    ingestion: Ingestion,
    rejected: int,
    loaded: int,
    parameters: dict[str, float],
    fails: bool,  # noqa: FBT001 - pytest gives it by name
) -> None:
    source = ingestion.write(b"a,b\n" + b"1\n" * rejected + b"1,2\n" * loaded)
    if fails:
        with pytest.raises(TooManyRejectedRowsError):
            ingestion.run(source, **parameters)
    else:
        assert ingestion.run(source, **parameters)["rows_rejected"] == rejected


@pytest.mark.parametrize(
    ("content", "parameters", "hint"),
    [
        (b"id;price;city\n1;2,50;Ulm\n2;3,75;Bonn\n", {}, "with the delimiter ';', the header has 3 columns and not 1"),
        (b"id\tprice, EUR\tcity\n1\t2\tUlm\n", {}, "with the delimiter '\\t', the header has 3 columns and not 2"),
        (b"a|b|c\n1|2;3\n", {"delimiter": ";"}, "with the delimiter '|', the header has 3 columns and not 1"),
        (b"a,b\n1,2;3\n", {"delimiter": ";"}, "with the delimiter ',', the header has 2 columns and not 1"),
        (
            b"1;2\n1;2,5\n2;3,5\n",
            {"has_header": False},
            "with the delimiter ';', the first row has 2 columns and not 1",
        ),
    ],
)
def test_the_error_names_the_delimiter_that_the_first_record_suggests(
    ingestion: Ingestion, content: bytes, parameters: dict[str, Any], hint: str
) -> None:
    assert _failure(ingestion, content, **parameters).endswith(f"; {hint}")


def test_the_error_shows_what_was_read_as_the_header(ingestion: Ingestion) -> None:
    assert _failure(ingestion, b"Report 2024\n\nid,name\n1,Ann\n2,Bo\n").endswith(
        "; 'Report 2024' was read as the header: if it is none, remove the lines before the header"
    )
