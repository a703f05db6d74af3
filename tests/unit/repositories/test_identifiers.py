import pytest

from repositories.identifiers import identifier, with_names


def test_a_name_is_quoted_as_a_whole_and_its_quotes_are_doubled() -> None:
    assert identifier("my.schema", 'a "b"; DROP TABLE x') == '"my.schema"."a ""b""; DROP TABLE x"'


@pytest.mark.parametrize("name", ["", "a\x00b", "x" * 64, "\u00e9" * 32])
def test_a_name_that_postgresql_would_cut_or_refuse_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="no name that PostgreSQL can store"):
        identifier(name)


def test_a_name_is_filled_in_once_whatever_it_holds() -> None:
    names = {"a": '"{b}"', "b": '"%s"'}
    assert with_names("{a} {b} %(x)s", names, has_parameters=True) == '"{b}" "%%s" %(x)s'
    assert with_names("{a} {b}", names) == '"{b}" "%s"'


def test_a_placeholder_without_a_name_is_refused() -> None:
    with pytest.raises(KeyError, match="table"):
        with_names("DROP TABLE {table}", {})
