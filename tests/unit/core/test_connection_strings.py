import pytest

from core.connection_strings import with_root_certificates

HOST = "postgresql://role@jobs.example/jobs"


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_a_server_that_is_verified_is_so_by_the_given_certificates(mode: str) -> None:
    url = with_root_certificates(f"{HOST}?sslmode={mode}", "/etc/a b.pem")
    assert url == f"{HOST}?sslmode={mode}&sslrootcert=/etc/a%20b.pem"


@pytest.mark.parametrize("query", ["", "?sslmode=require", "?sslmode=verify-full&sslrootcert=/mine.pem"])
def test_a_url_that_names_certificates_or_verifies_nothing_stays_as_it_is(query: str) -> None:
    assert with_root_certificates(HOST + query, "/etc/roots.pem") == HOST + query
