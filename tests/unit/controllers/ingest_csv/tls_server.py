"""A TLS server on loopback, with answers that a test chooses."""

import ipaddress
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True)
class Answer:
    """One response; `announced_bytes` is its Content-Length when that is a lie."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    announced_bytes: int | None = None


Route = Callable[[Message], Answer]


class TlsServer(ThreadingHTTPServer):
    """Serves `routes` by path and keeps the headers of every request."""

    daemon_threads = False  # closing the server waits for its threads

    def __init__(self, certificate: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.routes: dict[str, Route] = {}
        self.requests: list[Message] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True)

    @property
    def host(self) -> str:
        return f"localhost:{self.server_port}"

    def url(self, path: str) -> str:
        return f"https://{self.host}{path}"


@contextmanager
def running(certificate: Path) -> Iterator[TlsServer]:
    with TlsServer(certificate) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ranged(data: bytes, etag: str | None = None) -> Route:
    """Answers ranges of a file as a correct server does."""

    def answer(request: Message) -> Answer:
        headers = {} if etag is None else {"ETag": etag}
        if request.get("If-Range", etag) != etag:
            return Answer(200, headers, data)
        start, last = map(int, re.findall(r"\d+", request["Range"]))
        if start >= len(data):
            return Answer(416, {"Content-Range": f"bytes */{len(data)}"})
        end = min(last, len(data) - 1)
        return Answer(206, {**headers, "Content-Range": f"bytes {start}-{end}/{len(data)}"}, data[start : end + 1])

    return answer


def write_certificate(directory: Path) -> Path:
    """Writes a self-signed certificate of localhost, with its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / "localhost.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


class _Handler(BaseHTTPRequestHandler):
    server: TlsServer

    def do_GET(self) -> None:
        self.server.requests.append(self.headers)
        answer = self.server.routes[self.path](self.headers)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        length = len(answer.body) if answer.announced_bytes is None else answer.announced_bytes
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *arguments: object) -> None:
        """Logs nothing: the output belongs to the test."""
