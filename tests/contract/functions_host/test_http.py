"""HTTP functions over a real socket."""

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from local.functions_host.process import HostProcess
from tests.contract.functions_host.support import SAMPLE_APP, Events, wait_until

# Nothing listens there; HTTP functions do not need a broker.
NO_BROKER = "Endpoint=sb://127.0.0.1:9;SharedAccessKeyName=n;SharedAccessKey=k;UseDevelopmentEmulator=true;"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("http") / "host.log"


@pytest.fixture(scope="module")
def host(log: Path) -> Iterator[HostProcess]:
    settings = {"EVENTS_FILE": str(Events(log.parent).file), "ONE_QUEUE": "one", "Broker": NO_BROKER}
    with HostProcess.start(SAMPLE_APP, env=settings, log_file=log) as host:
        yield host


@pytest.fixture(scope="module")
def client(host: HostProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=host.base_url, timeout=60) as client:
        yield client


def test_a_function_gets_the_whole_request(client: httpx.Client) -> None:
    url = "/api/items/a%20b?x=1&x=2&empty=&q=%C3%BC"
    headers = httpx.Headers({"X-Thing": "ÿes", "Content-Type": "text/plain"}, encoding="utf-8")
    response = client.post(url, content="bodé", headers=headers)
    seen = response.json()
    assert seen["method"] == "POST"
    assert seen["url"] == str(client.base_url.join(url))
    assert seen["params"] == {"x": "1,2", "q": "ü"}
    assert seen["body"] == "bodé"
    assert seen["headers"]["x-thing"] == "ÿes"
    assert seen["headers"]["content-type"] == "text/plain"
    assert seen["function"] == "items"


def test_route_parameters_are_decoded(client: httpx.Client) -> None:
    assert client.get("/api/items/a%20b%2Fc").json()["route_params"] == {"item_id": "a b/c"}
    assert json.loads(client.get("/api/files/img/a/b.png").text) == {"kind": "img", "path": "a/b.png"}


def test_routes_ignore_case_and_a_trailing_slash(client: httpx.Client) -> None:
    assert client.get("/API/Items/X/").json()["route_params"] == {"item_id": "X"}


def test_a_literal_route_takes_precedence_over_a_parameter(client: httpx.Client) -> None:
    assert client.get("/api/items/special").text == "special GET"


def test_a_constraint_keeps_a_route_from_matching(client: httpx.Client) -> None:
    assert client.get("/api/files/123/a").status_code == 404


def test_bodies_are_bytes_in_both_directions(client: httpx.Client) -> None:
    body = bytes(range(256)) * 1000
    response = client.post("/api/echo", content=body)
    assert response.content == body
    assert response.headers["content-type"] == "application/octet-stream"


def test_header_values_come_joined_and_cookies_go_out_one_by_one(client: httpx.Client) -> None:
    response = client.post("/api/echo", headers=[("X-Many", "1"), ("X-Many", "2")])
    assert response.headers["x-many"].replace(" ", "") == "1,2"
    assert response.headers.get_list("set-cookie") == ["a=1; Path=/", "b=2"]


def test_async_functions_run_side_by_side(client: httpx.Client) -> None:
    with ThreadPoolExecutor() as executor:
        first = executor.submit(client.get, "/api/meeting")
        assert client.get("/api/meeting").text == "met"
        assert first.result().text == "met"


def test_an_http_response_keeps_status_headers_and_body(client: httpx.Client) -> None:
    response = client.get("/api/items/1")
    assert response.status_code == 201
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-sample"] == "yes"
    assert response.cookies["a"] == "1"


def test_a_string_is_a_text_response(client: httpx.Client) -> None:
    response = client.get("/api/text?q=1")
    assert (response.status_code, response.text) == (200, "text 1")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


def test_without_methods_every_method_is_answered(client: httpx.Client) -> None:
    assert [client.request(method, "/api/items/special").text for method in ("PUT", "PATCH", "DELETE")] == [
        "special PUT",
        "special PATCH",
        "special DELETE",
    ]
    head = client.head("/api/items/special")
    assert (head.status_code, head.text) == (200, "")


def test_none_is_no_content(client: httpx.Client) -> None:
    response = client.get("/api/empty")
    assert (response.status_code, response.content) == (204, b"")


def test_an_async_function_answers(client: httpx.Client) -> None:
    assert client.get("/api/asynchronous").text == "async"


def test_an_unknown_route_is_404(client: httpx.Client) -> None:
    assert client.get("/api/nothing").status_code == 404
    assert client.get("/items/1").status_code == 404
    assert client.get("/").status_code == 404


def test_a_wrong_method_is_404(client: httpx.Client) -> None:
    assert client.delete("/api/items/1").status_code == 404
    assert client.head("/api/items/1").status_code == 404


def test_a_wrong_method_goes_on_to_a_route_that_takes_it(client: httpx.Client) -> None:
    assert client.get("/api/both").text == "get"
    assert client.post("/api/both").text == "post"


def test_an_exception_is_500_and_stays_in_the_log(client: httpx.Client, log: Path) -> None:
    response = client.get("/api/broken")
    assert (response.status_code, response.content) == (500, b"")
    wait_until(lambda: "RuntimeError: a secret of the app" in log.read_text(), "the host logs it")


def test_a_result_that_is_not_a_response_is_500(client: httpx.Client, log: Path) -> None:
    assert client.get("/api/wrong_type").status_code == 500
    told = "an HTTP function returns an HttpResponse or a str, not dict"
    wait_until(lambda: told in log.read_text(), "the host logs it")


def test_a_body_over_100_megabytes_is_refused(client: httpx.Client) -> None:
    connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port)
    connection.putrequest("POST", "/api/items/1")
    connection.putheader("Content-Length", str(100 * 1024 * 1024 + 1))
    connection.endheaders()  # the answer comes before the body
    response = connection.getresponse()
    response.close()
    connection.close()
    assert response.status == 413


def test_an_app_may_print(client: httpx.Client, log: Path) -> None:
    assert client.get("/api/text").is_success
    wait_until(lambda: "a print of the app" in log.read_text(), "the print is in the log")


def test_functions_run_in_a_process_apart_from_the_host(client: httpx.Client, host: HostProcess) -> None:
    worker = psutil.Process(int(client.get("/api/process").text))
    assert worker.ppid() == host.pid


def test_each_invocation_is_a_line_in_the_log(client: httpx.Client, log: Path) -> None:
    invocation_id = client.get("/api/items/1").json()["invocation_id"]
    told = f"Executed 'items' (Succeeded, Id={invocation_id}, Duration="
    wait_until(lambda: told in log.read_text(), "the host logs it")
