import pytest

from local.stack import without_password


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:s%40cret@db:5432/lockstep", "postgresql://me@db:5432/lockstep"),
        ("postgresql://me:a:b/c@db/lockstep?sslmode=require", "postgresql://me@db/lockstep?sslmode=require"),
        ("postgresql://postgres@127.0.0.1:5432/lockstep", "postgresql://postgres@127.0.0.1:5432/lockstep"),
        ("postgresql:///lockstep", "postgresql:///lockstep"),
    ],
)
def test_a_database_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown
