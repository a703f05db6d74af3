from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typing_extensions import override

from controllers import authoring as lockstep
from controllers.ingest_csv.ingested_rows import IngestedRows
from core.errors import TransactionConflictError
from repositories.ports import TransactionKind
from tests.fakes.database import FakeDatabase, FakeUnitOfWork
from tests.fakes.ingested_rows import FakeIngestedRows

JOB = "f" * 32


class ConflictingDatabase(FakeDatabase):
    """Loses a conflict at the end of its first transactions."""

    def __init__(self, conflicts: int) -> None:
        super().__init__(fakes={IngestedRows: FakeIngestedRows})
        self._left = conflicts
        self.kinds: list[TransactionKind] = []

    @override
    @contextmanager
    def transaction(self, kind: TransactionKind = TransactionKind.SHORT) -> Iterator[FakeUnitOfWork]:
        self.kinds.append(kind)
        with super().transaction(kind) as work:
            yield work
            if self._left:
                self._left -= 1
                raise TransactionConflictError("deadlock detected")


def write(work: lockstep.UnitOfWork) -> int:
    return work.repository(IngestedRows).replace_chunk(JOB, 0, [(0, "{}"), (1, "{}")])


def test_a_job_type_writes_again_when_its_transaction_loses_a_conflict() -> None:
    services = lockstep.Services(Path(), frozenset(), ConflictingDatabase(4))

    assert services.transact(write) == 2

    with services.database.transaction() as work:
        assert work.repository(IngestedRows).count(JOB) == 2


def test_a_job_type_learns_of_the_fifth_lost_conflict() -> None:
    services = lockstep.Services(Path(), frozenset(), ConflictingDatabase(5))

    with pytest.raises(TransactionConflictError):
        services.transact(write)


def test_a_job_types_transaction_has_the_limits_of_its_kind() -> None:
    database = ConflictingDatabase(0)
    services = lockstep.Services(Path(), frozenset(), database)

    services.transact(write)

    assert database.kinds == [lockstep.TransactionKind.JOB_TYPE]
