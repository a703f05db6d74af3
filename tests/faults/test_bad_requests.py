"""Requests as schemathesis makes them of the OpenAPI document, right ones and wrong ones, against the real stack."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, CheckFunction, HookContext, Response
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance, unsupported_method

from api.document import document
from api.requests import JOB_ID
from controllers.registry import Registry
from core.ids import job_id_for_key
from local.functions_host.process import HostProcess
from local.jobs_client import JobsClient
from local.postgres import EmbeddedPostgres
from local.service_bus.process import EmulatorProcess
from local.stack import ROOT
from tests.faults.figures import record
from tests.faults.sizes import size

KEY = "the-key-of-these-tests"
HEADERS = {"x-functions-key": KEY}
_WAIT_SECONDS = 60
_APP_DIR = Path(__file__).parent / "api_app"


@pytest.fixture(scope="module")
def environment(postgres: EmbeddedPostgres) -> Iterator[dict[str, str]]:
    """The settings of a database and a broker."""
    with EmulatorProcess.start() as broker:
        yield {
            "DATABASE_URL": postgres.url("bad_requests"),
            "ServiceBusConnection": broker.connection_string,
            "DATA_DIR": str(ROOT / "samples"),
        }


@pytest.fixture(scope="module")
def answers() -> Iterator[Counter[str]]:
    """Counts requests by operation and status."""
    counter: Counter[str] = Counter()
    yield counter
    record("bad requests", requests=counter.total(), **{key: counter[key] for key in sorted(counter)})


@pytest.fixture(scope="module")
def base_url(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The routes without the consumers of the queues: a job of a million tasks can be asked for, and is not run."""
    _run_jobs(environment)
    directory = tmp_path_factory.mktemp("bad_requests")
    keys = directory / "keys.json"
    keys.write_text(json.dumps({"masterKey": "another", "functionKeys": {"default": KEY}}))
    log, settings = directory / "functions.log", {**environment, "PYTHONPATH": str(ROOT)}
    with HostProcess.start(_APP_DIR, env=settings, arguments=["--keys", str(keys)], log_file=log) as host:
        url = f"{host.base_url}/api"
        accepted = _send("POST", f"{url}/jobs/hello_world", json={"n": 150}, headers={"Idempotency-Key": "waiting"})
        assert accepted.status_code == 202
        yield url


def _run_jobs(environment: dict[str, str]) -> None:
    """Runs a good job and a bad one to their ends: what they leave is there to be asked for."""
    with HostProcess.start(ROOT, env=environment) as host, closing(JobsClient(host.base_url)) as client:
        good = client.submit("hello_world", {"n": 150}, key="good")
        bad = client.submit("ingest_csv", {"source": "nowhere.csv"}, key="bad")
        assert [client.wait(job_id, _WAIT_SECONDS)["status"] for job_id in (good, bad)] == ["completed", "failed"]


SCHEMA = schemathesis.openapi.from_dict(document(Registry()))
JOB_IDS = [job_id_for_key(key) for key in ("good", "bad", "waiting")]


@SCHEMA.hook
def map_path_parameters(context: HookContext, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Puts ids of jobs that there are in place of some of those that are made up."""
    job_id = str((path_parameters or {}).get("job_id"))
    if not re.fullmatch(JOB_ID, job_id):
        return path_parameters
    chosen = sum(job_id.encode()) % (len(JOB_IDS) + 1)
    return {"job_id": [*JOB_IDS, job_id][chosen]}


def test_the_document_that_is_served_is_the_one_that_is_tested(base_url: str) -> None:
    served = httpx.get(f"{base_url}/openapi.json", headers=HEADERS, trust_env=False).json()
    assert served == json.loads(json.dumps(document(Registry())))


run = settings(
    max_examples=size(25, 200),
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


# By the headers too: only with a parameter of pytest's own has each operation an id of its own (pytest 9.2).
@SCHEMA.parametrize()
@pytest.mark.parametrize("headers", [HEADERS], ids=["with_a_key"])
@run
def test_every_answer_is_as_the_document_says(
    case: Case[Any], headers: dict[str, str], base_url: str, answers: Counter[str]
) -> None:
    response = case.call(base_url=base_url, headers=headers)
    case.validate_response(response, headers=headers, excluded_checks=_unfit_checks(case, response))
    answers[f"{case.operation.label} {response.status_code}"] += 1


def _unfit_checks(case: Case[Any], response: Response) -> list[CheckFunction]:
    excluded: list[CheckFunction] = [unsupported_method]  # a method is a part of the route in Azure: 404, not 405
    # What a source may be is more than a schema can say; of each string, that it holds no NUL, would be too much of it.
    if case.operation.path == "/jobs/ingest_csv" or "\\u0000" in json.dumps(case.body, default=str):
        excluded.append(positive_data_acceptance)
    if "" in dict(parse_qsl(urlsplit(str(response.request.url)).query, keep_blank_values=True)).values():
        excluded.append(negative_data_rejection)  # an empty value never reaches a function in Azure
    return excluded


def test_sequences_of_requests_are_answered_as_the_document_says(base_url: str, answers: Counter[str]) -> None:
    class Sequences(SCHEMA.as_state_machine()):  # type: ignore[misc] # a class that a function makes
        def get_call_kwargs(self, case: Case[Any]) -> dict[str, Any]:
            return {"base_url": base_url, "headers": HEADERS}

        def validate_response(self, response: Response, case: Case[Any], **kwargs: Any) -> None:
            answers[f"sequences: {case.operation.label} {response.status_code}"] += 1
            case.validate_response(response, headers=HEADERS, excluded_checks=_unfit_checks(case, response))

    Sequences.run(settings=settings(run, max_examples=size(8, 100), stateful_step_count=6))


BODIES = [
    b"",
    b"\xff\xfe\x00",
    b"\xef\xbb\xbf{}",
    b"[" * 100_000,
    b'{"n":' * 50_000,
    b'{"n": {"a": ' + b"[" * 900 + b"]" * 900 + b"}}",
    b'{"n": ' + b"9" * 5_000 + b"}",
    b'{"n": -1e999}',
    b'{"n": NaN}',
    b'{"n": 1, "n": "2"}',
    b'{"n": 1, "name": "\\u0000"}',
    b'{"n": 1, "name": "\\ud800"}',
    b'{"n": 1, "\\ud800": 1}',
    b'{"n": 1, "name": "\xff"}',
    b'{"source": "\\u0000"}',
    b'{"source": "https://[::1"}',
    b'{"source": "a.csv", "delimiter": "\\ud800"}',
]


@pytest.mark.parametrize("job_type", ["hello_world", "ingest_csv", "%00", "%ff", "%2e%2e", "a%2fb", "x" * 5_000])
@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:20]))
def test_a_body_that_is_no_submission_is_refused(base_url: str, body: bytes, job_type: str) -> None:
    response = _send("POST", f"{base_url}/jobs/{job_type}", content=body)
    assert response.status_code in {400, 404}
    assert response.headers["Content-Type"] == "application/problem+json"


FIELD_VALUES = st.lists(st.sampled_from([byte for byte in range(0x21, 0x100) if byte != 0x7F]), max_size=300).map(bytes)
"""What HTTP lets a header hold (RFC 9110, section 5.5), but for spaces between."""


@run
@given(body=st.binary(), key=FIELD_VALUES)
def test_any_bytes_get_an_answer(base_url: str, answers: Counter[str], body: bytes, key: bytes) -> None:
    response = _send("POST", f"{base_url}/jobs/hello_world", content=body, headers={b"Idempotency-Key": key})
    answers[f"POST any bytes {response.status_code}"] += 1
    assert response.status_code < 500


TEXTS = st.text(st.characters(codec="utf-8"), max_size=50) | st.sampled_from(["\0", "9" * 30, "-1", "1e3", "%", "'"])


@run
@given(path=TEXTS, query=st.dictionaries(st.sampled_from(["after", "before", "limit", "status", "x"]), TEXTS))
@pytest.mark.parametrize("route", ["jobs/{}", "jobs/{}/batches", f"jobs/{JOB_IDS[0]}/tasks", "dead-letters"])
def test_any_path_and_query_get_an_answer(
    base_url: str, answers: Counter[str], route: str, path: str, query: dict[str, str]
) -> None:
    response = _send("GET", f"{base_url}/{route.format(quote(path, safe=''))}", params=query)
    answers[f"GET any text {response.status_code}"] += 1
    assert response.status_code in {200, 400, 404}


def test_the_routes_are_in_health_after_all_that(base_url: str) -> None:
    assert _send("GET", f"{base_url}/health").status_code == 200
    assert _send("POST", f"{base_url}/jobs/hello_world", json={"n": 1_000_000}).status_code == 202


def _send(method: str, url: str, **request: Any) -> httpx.Response:
    headers = {**HEADERS, **request.pop("headers", {})}
    return httpx.request(method, url, headers=headers, timeout=60, trust_env=False, **request)
