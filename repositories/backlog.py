from typing_extensions import override

from core.backlog import MOST_DEAD_LETTERS, BacklogNumbers
from core.lanes import Lane
from repositories import queries
from repositories.ports import BacklogRepository, OldestWaiting
from repositories.ports.backlog import MOST_TRIED_BATCHES
from repositories.ports.rows import Rows

_QUERIES = queries.load("backlog")


class PostgresBacklogRepository(BacklogRepository):
    """Runs the queries of `sql/backlog.sql`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @override
    def numbers(self) -> BacklogNumbers:
        row = self._rows.all(_QUERIES["numbers"], {"most_letters": MOST_DEAD_LETTERS})[0]
        return BacklogNumbers(**row)

    @override
    def oldest(self, most_tried: int = MOST_TRIED_BATCHES) -> list[OldestWaiting]:
        rows = self._rows.all(_QUERIES["oldest"], {"most_tried": most_tried})
        return [OldestWaiting(**{**row, "lane": Lane(row["lane"])}) for row in rows]
