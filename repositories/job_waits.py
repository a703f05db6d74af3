"""Waiting jobs and exclusive keys, on PostgreSQL."""

from typing_extensions import override

from core.job_waits import AwaitedJob, JobWait, StartConditions
from core.statuses import JobStatus
from repositories import queries
from repositories.ports import JobWaitRepository
from repositories.ports.rows import Rows

_QUERIES = queries.load("job_waits")


class PostgresJobWaitRepository(JobWaitRepository):
    """Runs the queries of `sql/job_waits.sql`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @override
    def add(self, job_id: str, conditions: StartConditions, exclusive_key: str | None) -> list[str]:
        values = {"job_id": job_id, "start_at": conditions.start_at, "exclusive_key": exclusive_key}
        self._rows.execute(_QUERIES["add"], values)
        if not conditions.after:
            return []
        after = {"job_id": job_id, "after": list(conditions.after)}
        found = {row["job_id"] for row in self._rows.all(_QUERIES["lock_after"], after)}
        missing = sorted(set(conditions.after) - found)
        if not missing:
            self._rows.execute(_QUERIES["add_dependencies"], after)
        return missing

    @override
    def lock(self, job_id: str) -> JobWait | None:
        if self._rows.first(_QUERIES["lock"], {"job_id": job_id}) is None:
            return None
        self._rows.execute(_QUERIES["note_completions"], {"job_id": job_id})
        return self.get(job_id)

    @override
    def get(self, job_id: str) -> JobWait | None:
        row = self._rows.first(_QUERIES["get"], {"job_id": job_id})
        if row is None:
            return None
        found = self._rows.all(_QUERIES["open_after"], {"job_id": job_id})
        awaited = [AwaitedJob(each["job_id"], each["status"] and JobStatus(each["status"])) for each in found]
        return JobWait(**row, open_after=awaited)

    @override
    def take_key(self, job_id: str, *, in_turn: bool) -> bool:
        row = self._rows.first(_QUERIES["take_key"], {"job_id": job_id, "in_turn": in_turn})
        return row is None or bool(row["has_key"])

    @override
    def rival(self, job_id: str) -> str | None:
        row = self._rows.first(_QUERIES["rival"], {"job_id": job_id})
        return None if row is None else row["job_id"]

    @override
    def release(self, job_id: str, *, is_told: bool = True) -> None:
        self._rows.execute(_QUERIES["release"], {"job_id": job_id, "is_told": is_told})

    @override
    def tell(self, job_id: str) -> None:
        self._rows.execute(_QUERIES["tell"], {"job_id": job_id})

    @override
    def wait_again(self, job_id: str) -> None:
        self._rows.execute(_QUERIES["wait_again"], {"job_id": job_id})

    @override
    def release_key(self, job_id: str) -> bool:
        return self._rows.execute(_QUERIES["release_key"], {"job_id": job_id}) == 1

    @override
    def candidates_after(self, job_id: str, limit: int) -> list[str]:
        rows = self._rows.all(_QUERIES["candidates_after"], {"job_id": job_id, "limit": limit})
        return [row["job_id"] for row in rows]

    @override
    def candidates(self, after_turn: int, limit: int) -> list[tuple[int, str]]:
        rows = self._rows.all(_QUERIES["candidates"], {"after_turn": after_turn, "limit": limit})
        return [(row["turn"], row["job_id"]) for row in rows]

    @override
    def release_kept_keys(self, limit: int) -> int:
        found = self._rows.all(_QUERIES["kept_keys"], {"limit": limit})
        return sum(self.release_key(row["job_id"]) for row in found)
