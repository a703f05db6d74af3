"""A client of the jobs API: submits jobs, sends commands, waits for their end."""

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import httpx

ENDS = frozenset({"completed", "completed_with_errors", "failed", "cancelled"})

_POLL_SECONDS = 0.2


class JobRequestError(Exception):
    """The API refused a request; the message contains its answer."""


class JobTimeoutError(Exception):
    """A job did not end within the time limit."""


class JobsClient:
    """Talks to the API of a running app.

    Args:
        base_url: the app's URL without `/api`.
    """

    def __init__(self, base_url: str) -> None:
        self._http = httpx.Client(base_url=f"{base_url}/api", timeout=60, trust_env=False)

    def submit(self, job_type: str, parameters: Mapping[str, Any], key: str | None = None) -> str:
        """Submits a job and returns its id; every call creates a new job unless it repeats a `key`.

        Raises:
            JobRequestError: the API does not answer 202.
        """
        response = self._http.post(
            f"/jobs/{job_type}", json=parameters, headers={"Idempotency-Key": key or uuid.uuid4().hex}
        )
        if response.status_code != httpx.codes.ACCEPTED:
            raise JobRequestError(f"POST /jobs/{job_type} returned {response.status_code}: {response.text}")
        return str(response.json()["job_id"])

    def order(self, job_id: str, verb: str) -> str:
        """Cancels, retries or resumes a job, as `verb` says; returns the job's new status.

        Raises:
            JobRequestError: the API does not answer 202.
        """
        response = self._http.post(f"/jobs/{job_id}/{verb}")
        if response.status_code != httpx.codes.ACCEPTED:
            raise JobRequestError(f"POST /jobs/{job_id}/{verb} returned {response.status_code}: {response.text}")
        return str(response.json()["status"])

    def job(self, job_id: str) -> dict[str, Any]:
        """Returns the answer of `GET /jobs/{job_id}`."""
        return self._get(f"/jobs/{job_id}")

    def batches(self, job_id: str) -> list[dict[str, Any]]:
        """Returns all batches of a job, page by page."""
        return self._pages(f"/jobs/{job_id}/batches", "batches")

    def tasks(self, job_id: str) -> list[dict[str, Any]]:
        """Returns all tasks of a job, page by page."""
        return self._pages(f"/jobs/{job_id}/tasks", "tasks")

    def wait(
        self, job_id: str, timeout_seconds: float, on_progress: Callable[[dict[str, Any]], None] = lambda _: None
    ) -> dict[str, Any]:
        """Polls a job until it ends and returns it; calls `on_progress` with every answer.

        Raises:
            JobTimeoutError: the job did not end within `timeout_seconds`.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            job = self.job(job_id)
            on_progress(job)
            if job["status"] in ENDS:
                return job
            if time.monotonic() > deadline:
                raise JobTimeoutError(f"job {job_id} has not ended after {timeout_seconds:g} s: {job}")
            time.sleep(_POLL_SECONDS)

    def close(self) -> None:
        """Closes the HTTP connections."""
        self._http.close()

    def _get(self, path: str, parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        response = self._http.get(path, params=parameters)
        if response.status_code != httpx.codes.OK:
            raise JobRequestError(f"GET {path} returned {response.status_code}: {response.text}")
        body: dict[str, Any] = response.json()
        return body

    def _pages(self, path: str, name: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        after = ""
        while True:
            page = self._get(path, {"limit": 1000, "after": after})
            rows += page[name]
            if page["next"] is None:
                return rows
            after = page["next"]
