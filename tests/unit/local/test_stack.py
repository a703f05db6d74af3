import pytest

from local.stack import endpoint, without_password


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:s%40cret@db:5432/lockstep", "postgresql://me@db:5432/lockstep"),
        ("postgresql://me:a:b/c@db/lockstep?sslmode=require", "postgresql://me@db/lockstep"),
        ("postgresql://postgres@127.0.0.1:5432/lockstep", "postgresql://postgres@127.0.0.1:5432/lockstep"),
        ("postgresql:///lockstep", "postgresql:///lockstep"),
        ("postgresql://me:a@b@db/lockstep", "postgresql://me@db/lockstep"),
        ("postgresql://me:a?b@db/lockstep", "postgresql://me@db/lockstep"),
        ("postgresql://me@db/lockstep?password=s%40cret", "postgresql://me@db/lockstep"),
        ("postgresql://me:secret", "postgresql://..."),
    ],
)
def test_a_database_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


@pytest.mark.parametrize(
    ("connection_string", "shown"),
    [
        ("Endpoint=sb://jobs/;SharedAccessKeyName=all;SharedAccessKey=secret", "sb://jobs/"),
        ("SharedAccessKey=secret;SharedAccessKeyName=all;endpoint=sb://jobs/", "sb://jobs/"),
        ("secret", "..."),
    ],
)
def test_a_namespace_is_shown_without_its_key(connection_string: str, shown: str) -> None:
    assert endpoint(connection_string) == shown
