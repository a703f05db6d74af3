from typing import Any

import pytest

from tests.unit.controllers.ingest_csv.support import Ingestion


@pytest.mark.parametrize(
    ("content", "parameters", "hint"),
    [
        (b"id;price;city\n1;2;Ulm\n2;3;Bonn\n", {}, "';', the header has 3 columns and not 1"),
        (b"id\tcity\n1\tUlm\n", {}, "'\\t', the header has 2 columns and not 1"),
        (b"1;2;Ulm\n2;3;Bonn\n", {"has_header": False}, "';', the first row has 3 columns and not 1"),
        (b'"a;b";c\n"d,e";f\n', {}, "';', the header has 2 columns and not 1"),
        (b"id;price\n" + b"1;2\n" * 50_000, {}, "';', the header has 2 columns and not 1"),
    ],
)
def test_a_job_without_rejected_rows_warns_of_a_delimiter_that_fits_better(
    ingestion: Ingestion, content: bytes, parameters: dict[str, bool], hint: str
) -> None:
    result = ingestion.run(ingestion.write(content), **parameters)
    assert result["rows_rejected"] == 0
    assert result["warnings"] == [f"every row was read as one column; with the delimiter {hint}"]


@pytest.mark.parametrize(
    ("content", "parameters"),
    [
        (b"note\nfirst; second\nthird\n", {}),
        (b"name; note\nAnn\nBo\n", {}),
        (b"a,b\n1;2,3\n", {}),
        (b"2,5;3,5\n2,5;3,5\n", {"has_header": False, "delimiter": ";"}),
        (b'"a;b"\n"c;d"\n', {}),
        (b"a\n", {}),
    ],
)
def test_a_job_does_not_warn_of_delimiters_inside_text(
    ingestion: Ingestion, content: bytes, parameters: dict[str, Any]
) -> None:
    assert ingestion.run(ingestion.write(content), **parameters)["warnings"] == []
