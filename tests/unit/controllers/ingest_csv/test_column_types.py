import pytest

from controllers.ingest_csv.column_types import ColumnType, fits, sampled_types

FITTING = {
    ColumnType.SMALLINT: ["0", "-1", "32767", "-32768"],
    ColumnType.INTEGER: ["0", "2147483647", "-2147483648"],
    ColumnType.BIGINT: ["9223372036854775807", "-9223372036854775808"],
    ColumnType.NUMERIC: ["0", "-0.10", ".5", "-.5", "123456789012345678901234567890.000", "9" * 1_000],
    ColumnType.DOUBLE_PRECISION: ["1", "-1.5e-3", "0e0", "1E+308", "5e-324", "0.0"],
    ColumnType.BOOLEAN: ["true", "FALSE", "t", "f", "yes", "No", "y", "n", "on", "off", "1", "0"],
    ColumnType.DATE: ["2024-02-29", "0001-01-01", "9999-12-31"],
    ColumnType.TIMESTAMP: ["2024-02-29 23:59", "2024-02-29T23:59:59", "2024-02-29T23:59:59.123456"],
    ColumnType.TIMESTAMPTZ: ["2024-02-29 23:59Z", "2024-02-29T23:59:59+14", "2024-02-29T23:59:59.1-05:30"],
    ColumnType.TEXT: [" ", "x", "\\N", "NULL"],
}
MISFITS = {
    ColumnType.SMALLINT: ["32768", "-32769", "1.0"],
    ColumnType.INTEGER: ["2147483648", "01", "+1", " 1", "1 ", "1_0", "\u0661", "1\n", "0x1", "--1", "-"],
    ColumnType.BIGINT: ["9223372036854775808", "00", "9" * 5_000],
    ColumnType.NUMERIC: ["1e3", "1.", ".", "-", "00.5", "1,5", "NaN", "Infinity", "9" * 1_001],
    ColumnType.DOUBLE_PRECISION: ["1e309", "1e-400", "e3", "1e", "nan", "inf", "01.5", "1e5000"],
    ColumnType.BOOLEAN: ["2", "tru", " true", "x"],
    ColumnType.DATE: ["2023-02-29", "2024-2-1", "20240201", "0000-01-01", "01/02/2024", "2024-W01-1", "today"],
    ColumnType.TIMESTAMP: ["2024-02-29", "2024-02-29 24:01", "2024-02-29 10:00:60", "2024-02-29 10:00Z", "now"],
    ColumnType.TIMESTAMPTZ: ["2024-02-29 10:00", "2024-02-29 10:00+15", "2024-02-29 10:00 CET", "2024-02-30 10:00Z"],
}


@pytest.mark.parametrize(("kind", "cell"), [(kind, cell) for kind, cells in FITTING.items() for cell in cells])
def test_a_value_of_the_type_fits(kind: ColumnType, cell: str) -> None:
    assert fits(kind, cell)


@pytest.mark.parametrize(("kind", "cell"), [(kind, cell) for kind, cells in MISFITS.items() for cell in cells])
def test_any_other_value_does_not(kind: ColumnType, cell: str) -> None:
    assert not fits(kind, cell)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "2"], "integer"),
        (["1", "", "3000000000"], "bigint"),
        (["1", "30000000000000000000"], "numeric"),
        (["1", "1.50"], "numeric"),
        (["1.5", "1e3"], "double precision"),
        (["1", "0"], "integer"),
        (["true", "False"], "boolean"),
        (["yes", "no"], "text"),
        (["true", "1"], "text"),
        (["2024-01-01", ""], "date"),
        (["2024-01-01", "2024-01-01 10:00"], "text"),
        (["2024-01-01 10:00", "2024-01-01T10:00:01"], "timestamp"),
        (["2024-01-01 10:00Z"], "timestamptz"),
        (["2024-01-01 10:00Z", "2024-01-01 10:00"], "text"),
        (["1", "007"], "text"),
        (["1", "n/a"], "text"),
        (["", ""], "text"),
        ([], "text"),
    ],
)
def test_a_column_has_the_narrowest_type_that_all_of_its_values_fit(cells: list[str], expected: str) -> None:
    assert sampled_types([[cell, "x"] for cell in cells], 2)[0] == expected


def test_a_row_of_another_length_says_nothing_of_the_types() -> None:
    assert sampled_types([["1", "2"], ["x"], ["x", "y", "z"]], 2) == ["integer", "integer"]
