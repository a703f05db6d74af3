import re

import pytest
from pydantic import ValidationError

from controllers.ingest_csv import IngestCsvParameters


@pytest.mark.parametrize(
    "source",
    [
        "airports.csv",
        "a folder/airports.csv",
        "./a.csv",
        "a..b.csv",
        "https://example.com/a.csv?sig=x",
        "https://example.com:8443/a",
    ],
)
def test_a_relative_path_and_an_https_url_are_accepted(source: str) -> None:
    assert IngestCsvParameters(source=source).source == source


@pytest.mark.parametrize(
    "source",
    [
        "",
        "/etc/passwd",
        "../secret.csv",
        "a/../../secret.csv",
        "a\x00.csv",
        "a\n.csv",
        "http://example.com/a.csv",
        "ftp://example.com/a.csv",
        "file:///etc/passwd",
        "HTTP://example.com/a.csv",
        "https:///a.csv",
        "https://user:password@example.com/a.csv",
        "https://user@example.com/a.csv",
        "https://example.com/a b.csv",
        "https://example.com/\N{LATIN SMALL LETTER E WITH ACUTE}.csv",
        "https://example.com:port/a.csv",
        "https://example.com/a.csv#row=1",
        "x" * 2_001,
    ],
)
def test_any_other_source_is_refused(source: str) -> None:
    with pytest.raises(ValidationError):
        IngestCsvParameters(source=source)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", " ", "\x1f", "^"])
def test_a_delimiter_is_one_ascii_character(delimiter: str) -> None:
    assert IngestCsvParameters(source="a.csv", delimiter=delimiter).delimiter == delimiter


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n", "\r", "\x00", "\N{SECTION SIGN}", ",\n"])
def test_a_delimiter_that_cannot_work_is_refused(delimiter: str) -> None:
    with pytest.raises(ValidationError):
        IngestCsvParameters(source="a.csv", delimiter=delimiter)


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n", "\x00", "\N{SECTION SIGN}"])
def test_a_refused_delimiter_is_told_in_words(delimiter: str) -> None:
    with pytest.raises(ValidationError) as caught:
        IngestCsvParameters(source="a.csv", delimiter=delimiter)
    (error,) = caught.value.errors()
    assert error["msg"] == "Value error, a delimiter is one ASCII character, no quote and no line break"


def test_the_schema_allows_the_delimiters_that_are_accepted() -> None:
    pattern = IngestCsvParameters.model_json_schema()["properties"]["delimiter"]["pattern"]
    for character in map(chr, range(256)):
        try:
            IngestCsvParameters(source="a.csv", delimiter=character)
        except ValidationError:
            assert re.search(pattern, character) is None
        else:
            assert re.search(pattern, character) is not None


@pytest.mark.parametrize("chunk_bytes", [511, 16 * 1024 * 1024 + 1])
def test_a_chunk_size_out_of_bounds_is_refused(chunk_bytes: int) -> None:
    with pytest.raises(ValidationError):
        IngestCsvParameters(source="a.csv", chunk_bytes=chunk_bytes)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_fraction_out_of_bounds_is_refused(fraction: float) -> None:
    with pytest.raises(ValidationError):
        IngestCsvParameters(source="a.csv", max_rejected_fraction=fraction)
