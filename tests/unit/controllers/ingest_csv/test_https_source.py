import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controllers.storage.https_source import HttpsSource
from core.errors import PermanentTaskError, SourceError, SourceUnavailableError
from tests.unit.controllers.ingest_csv.support import Ingestion
from tests.unit.controllers.ingest_csv.tls_server import Answer, TlsServer, ranged, running, write_certificate

DATA = b"id,name\n" + b"".join(b"%d,name %d\n" % (n, n) for n in range(500))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TlsServer]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("NO_PROXY", "localhost")
    with running(certificate) as server:
        server.routes["/file.csv"] = ranged(DATA, '"one"')
        yield server


@pytest.fixture
def remote(server: TlsServer, ingestion: Ingestion) -> Ingestion:
    return replace(ingestion, allowed_source_hosts=frozenset({server.host}))


def _open(server: TlsServer, path: str = "/file.csv") -> HttpsSource:
    return HttpsSource(server.url(path), "the file", frozenset({server.host}))


def test_a_job_loads_a_file_over_https(server: TlsServer, remote: Ingestion) -> None:
    result = remote.run(server.url("/file.csv"), chunk_bytes=1_000)
    assert result["rows_loaded"] == 500
    assert result["chunks"] > 5
    assert remote.rows[499] == {"id": "499", "name": "name 499"}


def test_a_signature_in_the_url_is_sent_but_not_reported(server: TlsServer, remote: Ingestion) -> None:
    server.routes["/file.csv?sig=secret"] = ranged(DATA)
    assert remote.run(server.url("/file.csv?sig=secret"))["source"] == server.url("/file.csv")
    server.routes["/file.csv?sig=secret"] = lambda _: Answer(403)
    with pytest.raises(SourceError) as caught:
        remote.run(server.url("/file.csv?sig=secret"))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://me:pssst@HOST/file.csv", "a URL of host localhost must not contain a user name or a password"),
        ("https://pssst@[HOST/file.csv", "a URL cannot be read: its host is not valid"),
        ("https://pssst@\N{CARE OF}.example/file.csv", "a URL cannot be read: its host is not valid"),
        ("https://HOST/my file.csv?st=pssst", "has characters that need percent-encoding"),
        ("https://HOST/d\N{LATIN SMALL LETTER U WITH DIAERESIS}nn.csv?st=pssst", "has characters that need"),
    ],
)
def test_a_url_that_cannot_be_requested_is_refused_and_not_reported(server: TlsServer, url: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason) as caught:
        HttpsSource(url.replace("HOST", server.host), "the file", frozenset({server.host})).read(0, 1)
    assert "pssst" not in "".join(traceback.format_exception(caught.value))
    assert server.requests == []


def test_a_file_may_be_read_from_any_byte_up_to_its_end(server: TlsServer) -> None:
    source = _open(server)
    assert source.read(0, 10) == DATA[:10]
    assert source.read(100, 50) == DATA[100:150]
    assert source.read(len(DATA) - 5, 100) == DATA[-5:]
    assert source.read(len(DATA), 100) == b""


def test_an_empty_file_reads_as_nothing(server: TlsServer) -> None:
    server.routes["/empty"] = ranged(b"")
    assert _open(server, "/empty").read(0, 100) == b""


def test_later_reads_ask_for_the_file_of_the_first(server: TlsServer) -> None:
    source = _open(server)
    source.read(0, 10)
    source.read(10, 10)
    assert [request["If-Range"] for request in server.requests] == [None, '"one"']
    server.routes["/file.csv"] = ranged(DATA, '"two"')
    with pytest.raises(SourceError, match="changed after the job began to read it"):
        source.read(20, 10)


def test_a_weak_etag_is_not_asked_for(server: TlsServer) -> None:
    server.routes["/weak"] = ranged(DATA, 'W/"one"')
    source = _open(server, "/weak")
    source.read(0, 10)
    source.read(10, 10)
    assert server.requests[-1]["If-Range"] is None


def test_a_file_of_another_size_is_another_file(server: TlsServer) -> None:
    server.routes["/plain"] = ranged(DATA)
    source = _open(server, "/plain")
    source.read(0, 10)
    server.routes["/plain"] = ranged(DATA + b"more")
    with pytest.raises(SourceError, match="changed after the job began to read it"):
        source.read(10, 10)


@pytest.mark.parametrize("etag", ['"one"', None], ids=["by its ETag", "by its size"])
def test_a_version_from_before_is_the_only_one_that_is_read(server: TlsServer, etag: str | None) -> None:
    server.routes["/versions"] = ranged(DATA, etag)
    source = _open(server, "/versions")
    source.read(0, 10)
    version = source.version()
    hosts = frozenset({server.host})
    assert HttpsSource(server.url("/versions"), "the file", hosts, version).read(5, 10) == DATA[5:15]
    server.routes["/versions"] = ranged(DATA + b"more", etag and '"two"')
    with pytest.raises(SourceError, match="changed after the job began to read it"):
        HttpsSource(server.url("/versions"), "the file", hosts, version).read(5, 10)


def test_a_file_that_became_shorter_is_not_taken_for_its_end(server: TlsServer) -> None:
    server.routes["/plain"] = ranged(DATA)
    source = _open(server, "/plain")
    source.read(0, 10)
    server.routes["/plain"] = ranged(DATA[:50])
    for offset in (10, 45, 50, 100):
        with pytest.raises(SourceError, match="changed after the job began to read it"):
            source.read(offset, 10)


def test_an_answer_with_another_etag_is_another_file(server: TlsServer) -> None:
    source = _open(server)
    source.read(0, 10)
    server.routes["/file.csv"] = lambda _: Answer(
        206, {"Content-Range": f"bytes 10-19/{len(DATA)}", "ETag": '"two"'}, DATA[10:20]
    )
    with pytest.raises(SourceError, match="changed after the job began to read it"):
        source.read(10, 10)


def test_a_task_whose_range_changed_fails_for_good(server: TlsServer, remote: Ingestion) -> None:
    task = next(remote.load_tasks(remote.job(server.url("/file.csv"), chunk_bytes=1_000)))
    server.routes["/file.csv"] = ranged(DATA.replace(b"name 7", b"NAME 7"))
    with pytest.raises(PermanentTaskError, match="changed after the job began to read it"):
        remote.run_task(task)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(200, {}, DATA), "does not answer range requests"),
        (Answer(206, {}, DATA[:10]), "another range"),
        (Answer(206, {"Content-Range": "bytes 0-9/*"}, DATA[:10]), "another range"),
        (Answer(206, {"Content-Range": "bytes 5-9/100"}, DATA[5:10]), "another range"),
        (Answer(206, {"Content-Range": "bytes 0-100/100"}, DATA[:101]), "another range"),
        (Answer(206, {"Content-Range": "bytes 0-19/100"}, DATA[:20]), "another range"),
        (Answer(206, {"Content-Range": "bytes 0-9/100", "Content-Encoding": "gzip"}, DATA[:10]), "compressed"),
        (Answer(404), "answers 404"),
        (Answer(403), "answers 403"),
    ],
)
def test_a_server_that_cannot_serve_ranges_of_the_file_is_a_clear_error(
    server: TlsServer, answer: Answer, message: str
) -> None:
    server.routes["/bad"] = lambda _: answer
    with pytest.raises(SourceError, match=message):
        _open(server, "/bad").read(0, 10)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(503),
        Answer(429),
        Answer(206, {"Content-Range": "bytes 0-9/100"}, DATA[:4], announced_bytes=10),
        Answer(206, {"Content-Range": "bytes 0-3/100"}, DATA[:4]),
        Answer(206, {"Content-Range": "bytes 0-3/8"}, DATA[:4]),
    ],
    ids=["busy", "throttled", "broken off", "short", "short before the end"],
)
def test_a_temporary_error_may_be_tried_again(server: TlsServer, answer: Answer) -> None:
    server.routes["/busy"] = lambda _: answer
    with pytest.raises(SourceUnavailableError):
        _open(server, "/busy").read(0, 10)


def test_an_unreachable_server_may_be_tried_again(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "localhost")
    with running(certificate) as server:
        source = _open(server)
    with pytest.raises(SourceUnavailableError):
        source.read(0, 10)


def test_a_certificate_of_unknown_origin_is_refused(server: TlsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(SourceUnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
        _open(server).read(0, 10)
    assert server.requests == []


def test_a_host_that_is_not_allowed_is_never_asked(server: TlsServer, ingestion: Ingestion) -> None:
    for hosts in ((), ("localhost",), ("localhost:1",), ("example.com", f"127.0.0.1:{server.server_port}")):
        there = replace(ingestion, allowed_source_hosts=frozenset(hosts))
        with pytest.raises(SourceError, match="not among the allowed source hosts"):
            next(there.load_tasks(there.job(server.url("/file.csv"))))
    assert server.requests == []


def test_a_task_checks_the_host_again(server: TlsServer, remote: Ingestion, ingestion: Ingestion) -> None:
    task = next(remote.load_tasks(remote.job(server.url("/file.csv"))))
    with pytest.raises(PermanentTaskError, match="not among the allowed source hosts"):
        replace(ingestion, allowed_source_hosts=frozenset()).run_task(task)


def test_an_allowed_host_without_a_port_means_the_default_one() -> None:
    hosts = frozenset({"Example.com"})
    HttpsSource("https://example.com/a.csv", "a", hosts)
    HttpsSource("https://EXAMPLE.com:443/a.csv", "a", hosts)
    with pytest.raises(SourceError):
        HttpsSource("https://example.com:8443/a.csv", "a", hosts)


def test_a_redirect_to_an_allowed_host_is_followed(server: TlsServer) -> None:
    server.routes["/moved"] = lambda _: Answer(302, {"Location": "/file.csv"})
    assert _open(server, "/moved").read(3, 5) == DATA[3:8]


@pytest.mark.parametrize(
    "location",
    [
        "https://127.0.0.1:{port}/file.csv",
        "http://localhost:{port}/file.csv",
        "https://localhost:{port}@example.com/file.csv",
        "https://localhost:99999/file.csv",
        "https://[localhost:{port}/file.csv",
        "ftp://localhost:{port}/file.csv",
        "file:///etc/passwd",
    ],
)
def test_a_redirect_to_anywhere_else_is_refused(server: TlsServer, location: str) -> None:
    target = location.format(port=server.server_port)
    server.routes["/moved"] = lambda _: Answer(302, {"Location": target})
    with pytest.raises(SourceError):
        _open(server, "/moved").read(0, 10)
    assert len(server.requests) == 1
