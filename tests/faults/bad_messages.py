"""Bodies of queue messages that nobody can use, as hypothesis makes them up."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.messages import JobAction, JobMessage, TaskMessage

HEX = st.text("0123456789abcdef", min_size=32, max_size=32)
HUGE = [-1, -(10**30), 10**6 + 1, 10**30, 2**63, 1e300, float("inf"), float("nan"), 0.5, True, False]
ODD_TEXTS = ["", "\0", "\ud800", "a" * 100_000, "\N{CAT}", "0" * 32, "%s%(x)s{0}", "f" * 32 + "\n"]

_ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(HUGE + ODD_TEXTS),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=9), children, max_size=4),
    max_leaves=12,
)


def _nested(opening: str, closing: str) -> st.SearchStrategy[bytes]:
    depths = st.sampled_from([50, 300, 900, 950, 960, 970, 980, 990, 1_000, 5_000, 40_000])
    return depths.map(lambda depth: (opening * depth + closing * depth).encode())


def _as_json(value: object) -> bytes:
    return json.dumps(value).encode()


DEEP = _nested("[", "]") | _nested('{"v":', "}") | _nested('{"v":[', "") | _nested('{"v":1,"task_id":[', "]}")
"""Deep nesting, some of it whole, about the depth that the interpreter gives up at."""

DEEP_INSIDE = DEEP.map(lambda deep: b'{"v":' + deep + b"}")

_NO_COUNT: st.SearchStrategy[Any] = (
    st.sampled_from([-1, 10**6 + 1, 10**30, 0.5, 1e300, True, "1", None, [], {}]) | st.text() | st.floats()
)
_NO_TEXT = st.none() | st.booleans() | st.integers() | st.floats() | st.lists(st.text(), max_size=2)
_NO_ID = _NO_TEXT | st.sampled_from(ODD_TEXTS) | st.text(max_size=60)
_NO_VERSION = st.sampled_from([0, 2, 10**30, -1, True, 1.0, "1", None, [1], {"v": 1}])


def _spoilt(good: Mapping[str, Any], wrong: Mapping[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[bytes]:
    """A good message with one field wrong, or with one missing that has no default."""
    needed = [name for name in good if isinstance(good[name], str) or name == "v"]
    one_wrong = [values.map(partial(_with, good, name)) for name, values in wrong.items()]
    one_missing = st.sampled_from(needed).map(lambda gone: {name: good[name] for name in good if name != gone})
    return st.one_of(*one_wrong, one_missing).map(_as_json)


def _with(fields: Mapping[str, Any], name: str, value: object) -> Mapping[str, Any]:
    return {**fields, name: value}


_JOB_ID = "0123456789abcdef" * 2

SPOILT_TASKS = _spoilt(
    json.loads(TaskMessage(f"{_JOB_ID}-s01-t0000000", f"{_JOB_ID}-s1-b0").outgoing().body),
    {
        "v": _NO_VERSION,
        "task_id": _NO_ID | st.sampled_from([f"{_JOB_ID}-s00-t0000000", f"{_JOB_ID}-s01-t00000000"]),
        "batch_id": _NO_ID | st.sampled_from([f"{_JOB_ID}-s2-b0", f"{'f' * 32}-s1-b0", f"{_JOB_ID}-s1-b00000000"]),
        "send": _NO_COUNT | st.just(0),
        "misses": _NO_COUNT,
    },
)

SPOILT_JOBS = _spoilt(
    json.loads(JobMessage(_JOB_ID, 1, JobAction.DISPATCH).outgoing().body),
    {
        "v": _NO_VERSION,
        "job_id": _NO_TEXT | st.sampled_from([text for text in ODD_TEXTS if text != "0" * 32]) | st.text(max_size=31),
        "stage": _NO_COUNT | st.sampled_from([0, 100]),
        "action": _NO_TEXT | st.sampled_from(ODD_TEXTS) | st.text(max_size=5),  # shorter than an action
        "redispatches": _NO_COUNT,
        "failures": _NO_COUNT,
        "deaths": _NO_COUNT,
    },
)

RUBBISH = st.binary(max_size=300) | _ANYTHING.map(_as_json) | DEEP | DEEP_INSIDE
"""What is no message at all, whatever queue it is in."""

ROWLESS_TASKS = HEX.map(
    lambda job_id: TaskMessage(f"{job_id}-s01-t0000000", f"{job_id}-s1-b0", misses=5).outgoing().body
)
ROWLESS_JOBS = HEX.map(lambda job_id: JobMessage(job_id, 1, JobAction.DISPATCH).outgoing().body)
"""Messages in good order about jobs that there are not; those about tasks have been looked for five times."""


def sample(strategy: st.SearchStrategy[bytes], count: int) -> list[bytes]:
    """Some bodies, the same in every run."""
    found: list[bytes] = []

    @settings(max_examples=count, derandomize=True, database=None, deadline=None)
    @given(strategy)
    def collect(body: bytes) -> None:
        found.append(body)

    collect()
    return found
