import csv
import gc
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controllers import authoring as lockstep
from controllers.services import Services
from controllers.storage import line_items
from tests.fakes.blobs import FakeBlobStore

Items = Callable[..., Any]


def values(items: Any) -> list[Any]:
    return [each.value for each in items]


def test_each_line_of_ndjson_is_an_item(store: FakeBlobStore, services: Services) -> None:
    store.put("things", "a.ndjson", b'\xef\xbb\xbf{"n": 1}\r\n\n[2]\n  \n"drei \xc3\xa4"')
    assert values(lockstep.ndjson_items(services, "blob://things/a.ndjson")) == [{"n": 1}, [2], "drei ä"]


def test_each_row_of_csv_is_an_item_with_the_names_of_the_header(store: FakeBlobStore, services: Services) -> None:
    store.put("things", "a.csv", b'\xef\xbb\xbfid;text\r\n1;"a;\nb"\r\n\r\n2;""""\r\n')
    found = values(lockstep.csv_items(services, "blob://things/a.csv", delimiter=";"))
    assert found == [{"id": "1", "text": "a;\nb"}, {"id": "2", "text": '"'}]


def test_a_file_without_rows_has_no_items(services: Services) -> None:
    for content in ("", "id,text\n", "\n"):
        services.data_dir.joinpath("a").write_text(content)
        assert values(lockstep.csv_items(services, "a")) == []
    services.data_dir.joinpath("a").write_text("\n\n")
    assert values(lockstep.ndjson_items(services, "a")) == []


@pytest.mark.parametrize(
    ("items", "content", "reason"),
    [
        (lockstep.ndjson_items, b'{"n": 1}\n{"n": secret}\n', "line 2 of 'a' is no JSON"),
        (lockstep.ndjson_items, b"1\n2\n\xff\n", "line 3 of 'a' is not UTF-8"),
        (lockstep.ndjson_items, b"[" * 200_000, "line 1 of 'a' is no JSON"),
        (lockstep.csv_items, b'a,b\n1,"secret\n2"\n3\n', "row that ends in line 4 of 'a' has 1 cells"),
        (lockstep.csv_items, b'a,b\n1,"sec"ret\n', "line 2 of 'a' is no CSV"),
        (lockstep.csv_items, b'a,b\n1,"secret', "line 2 of 'a' is no CSV"),
        (lockstep.csv_items, b"second,id,second\n1,2,3\n", "the header of 'a' names a column twice"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_and_not_quoted(
    services: Services, items: Items, content: bytes, reason: str
) -> None:
    services.data_dir.joinpath("a").write_bytes(content)
    with pytest.raises(lockstep.SourceError, match=reason) as caught:
        values(items(services, "a"))
    assert "sec" not in str(caught.value).replace("second", "")


@pytest.mark.parametrize("items", [lockstep.ndjson_items, lockstep.csv_items])
def test_a_line_that_is_too_long_is_refused_before_it_is_held(
    services: Services, items: Items, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_items, "MAX_LINE_BYTES", 100)
    for content in ("1\n" + "x" * 101 + "\n", "1\n" + "x" * 5_000_000):
        services.data_dir.joinpath("a").write_text(content)
        with pytest.raises(lockstep.SourceError, match="line 2 of 'a' is longer than 100 bytes"):
            values(items(services, "a"))


def test_a_quote_that_is_never_closed_does_not_hold_the_rest_of_the_file(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_items, "MAX_LINE_BYTES", 100)
    services.data_dir.joinpath("a").write_text('a,b\n1,2\n3,"4\n' + "5,6\n" * 1_000)
    rows = lockstep.csv_items(services, "a")
    assert next(rows).value == {"a": "1", "b": "2"}
    with pytest.raises(lockstep.SourceError, match="the row that reaches line 28 of 'a' is longer than 100 bytes"):
        next(rows)


def test_a_cell_may_be_as_long_as_a_line_whatever_the_process_has_read_before(services: Services) -> None:
    before = csv.field_size_limit(131_072)  # that of a process that has only begun
    try:
        services.data_dir.joinpath("a").write_text("a,b\n1," + "x" * 200_000 + "\n")
        assert [len(row["b"]) for row in values(lockstep.csv_items(services, "a"))] == [200_000]
    finally:
        csv.field_size_limit(before)


def test_the_header_is_the_first_line_that_is_not_empty(services: Services) -> None:
    services.data_dir.joinpath("a").write_text("\n\na,b\n\n1,2\n")
    first = next(lockstep.csv_items(services, "a"))
    assert first.value == {"a": "1", "b": "2"}
    assert values(lockstep.csv_items(services, "a", first.cursor)) == []


@pytest.mark.parametrize("content", [b"1\n2\n3\n", b"1\n", b""], ids=["as long", "shorter", "empty"])
@pytest.mark.parametrize("items", [lockstep.ndjson_items, lockstep.csv_items])
def test_a_source_that_changed_is_not_gone_on_with(
    store: FakeBlobStore, services: Services, items: Items, content: bytes
) -> None:
    store.put("things", "a", b"1\n2\n3\n")
    first = next(items(services, "blob://things/a"))
    store.put("things", "a", content)
    with pytest.raises(lockstep.SourceError, match="'blob://things/a' changed after the job began to read it"):
        values(items(services, "blob://things/a", first.cursor))


def test_a_file_that_changes_while_it_is_read_is_refused(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controllers.storage.opener._FileSource.block_bytes", 4)
    path = services.data_dir / "a"
    path.write_text("1\n2\n3\n4\n5\n")
    found = lockstep.ndjson_items(services, "a")
    next(found)
    path.write_text("1\n2\n3\n4\n5\n6\n")
    with pytest.raises(lockstep.SourceError, match="changed"):
        values(found)


@pytest.mark.parametrize("items", [lockstep.ndjson_items, lockstep.csv_items])
def test_a_large_file_takes_no_more_memory_than_a_block(tmp_path: Path, services: Services, items: Items) -> None:
    with services.data_dir.joinpath("a").open("wb") as file:
        for _ in range(40):
            file.write(b"12345678901234567890\n" * 25_000)  # 20 MB
    gc.collect()
    tracemalloc.start()
    try:
        read = items(services, "a")
        for _ in range(60_000):  # past two blocks of a mebibyte
            next(read)
        assert tracemalloc.get_traced_memory()[1] < 12_000_000
    finally:
        tracemalloc.stop()
