from typing import Any

import pytest
from pydantic import ValidationError

from controllers.ingest_csv import IngestCsv, IngestCsvParameters
from controllers.ingest_csv.table_load import TableMode
from controllers.ingest_csv.table_name import TableName


@pytest.mark.parametrize(
    ("text", "schema", "name"),
    [
        ("visits", None, "visits"),
        ("mine.visits", "mine", "visits"),
        ("mine.jobs", "mine", "jobs"),
        ("Mine.Visits of 2024", "Mine", "Visits of 2024"),
        ("select.table", "select", "table"),
        ('"my.schema"."a ""b"""', "my.schema", 'a "b"'),
        ("x" * 63 + "." + "y" * 63, "x" * 63, "y" * 63),
        ("\u00e9" * 31, None, "\u00e9" * 31),
    ],
)
def test_a_name_is_taken_as_written(text: str, schema: str | None, name: str) -> None:
    assert TableName.parse(text) == TableName(schema, name)
    assert IngestCsvParameters(source="a.csv", table=text).table == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "must be printable and not empty"),
        (".t", "must be printable and not empty"),
        ("s.", "must be printable and not empty"),
        ('""', "must be printable and not empty"),
        ("a.b.c", "quote a part"),
        ('a"b', "quote a part"),
        ('"a', "quote a part"),
        ("a\x00b", "printable"),
        ("a\nb", "printable"),
        ("x" * 64, "at most 63 bytes"),
        ("\u00e9" * 32, "has 64"),
        ("y." + "x" * 64, "at most 63 bytes"),
        ("pg_catalog.t", "PostgreSQL's own"),
        ("information_schema.t", "PostgreSQL's own"),
        ("jobs", "one of Lockstep's own"),
        ("public.tasks", "one of Lockstep's own"),
        ('"ingested_rows"', "one of Lockstep's own"),
        ("ingest_csv_staging_x", "one of Lockstep's own"),
        ("x" * 301, "at most 300 characters"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_in_words(text: str, reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        IngestCsvParameters(source="a.csv", table=text)
    (error,) = caught.value.errors()
    assert error["loc"] == ("table",)
    assert reason in error["msg"]


def test_a_job_without_a_table_has_the_parameters_that_an_older_version_knows() -> None:
    stored = IngestCsvParameters(source="a.csv").model_dump(mode="json")
    assert not stored.keys() & {"table", "mode", "column_types"}
    assert IngestCsvParameters.model_validate(stored) == IngestCsvParameters(source="a.csv")


def test_the_options_of_a_table_are_stored() -> None:
    given = IngestCsvParameters.model_validate(
        {"source": "a.csv", "table": "t", "mode": "replace", "column_types": {"a": "double precision"}}
    )
    assert IngestCsvParameters.model_validate(given.model_dump(mode="json")) == given


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"mode": "append"}, "need the parameter table"),
        ({"column_types": {"a": "text"}}, "need the parameter table"),
        ({"table": "t", "mode": "append", "column_types": {"a": "text"}}, "needs no column_types"),
        ({"table": "t", "mode": "upsert"}, "'create', 'append' or 'replace'"),
        ({"table": "t", "column_types": {"a": "uuid"}}, "'timestamptz' or 'text'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(parameters: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        IngestCsvParameters(source="a.csv", **parameters)


@pytest.mark.parametrize(
    ("table", "key"),
    [
        (None, None),
        ("t", "table public.t"),
        ("public.t", "table public.t"),
        ('"public"."t"', "table public.t"),
        ("Mine.t", "table Mine.t"),
    ],
)
def test_jobs_that_load_into_one_table_have_one_exclusive_key(table: str | None, key: str | None) -> None:
    for mode in TableMode if table else ():
        given = IngestCsvParameters(source="a.csv", table=table, mode=mode)
        assert IngestCsv().exclusive_key(given) == key
    assert IngestCsv().exclusive_key(IngestCsvParameters(source="a.csv")) is None
