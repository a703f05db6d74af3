"""The table of `docs/reliability.md`: every step with a kill, and the job sizes that reach it."""

from collections.abc import Iterator, Mapping, Sequence

from tests.faults.crash.matrix import Recording

_FUNCTIONS = (
    "submit_job",
    "run_job_message",
    "run_tasks",
    "run_batch",
    "run_urgent_tasks",
    "run_long_task",
    "sweep",
    "run_schedules",
    "dead_task",
    "dead_batch",
    "dead_urgent_task",
    "dead_long_task",
    "dead_job_message",
    "resend_dead_letter",
    "discard_dead_letter",
    "cancel_job",
    "retry_job",
    "resume_job",
    "cancel_jobs",
    "retry_jobs",
    "delete_jobs",
)
_PASSED, _NOT_PASSED = "held", "-"


def table(recordings: Mapping[int, Sequence[Recording]]) -> str:
    """The table in Markdown.

    Args:
        recordings: of all scenarios, by the size of the job.
    """
    found: dict[tuple[str, str, str], set[int]] = {}
    for size, of_size in recordings.items():
        for passing in (passing for recording in of_size for passing in recording.passings if passing.writes):
            point = passing.point
            found.setdefault((point.function, point.place, point.step), set()).add(size)
    rows = sorted(found, key=lambda row: (_FUNCTIONS.index(row[0]), row))
    return "\n".join(_lines(rows, found, list(recordings)))


def _lines(
    rows: Sequence[tuple[str, str, str]], found: Mapping[tuple[str, str, str], set[int]], sizes: Sequence[int]
) -> Iterator[str]:
    yield f"| function | place | step | {' | '.join(f'{size:,}' for size in sizes)} |"
    yield f"|---|---|---|{'---|' * len(sizes)}"
    for function, place, step in rows:
        cells = [_PASSED if size in found[function, place, step] else _NOT_PASSED for size in sizes]
        yield f"| {function} | {place} | {step} | {' | '.join(cells)} |"
