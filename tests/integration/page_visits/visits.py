from collections.abc import Mapping

from controllers import authoring as lockstep

_QUERIES = lockstep.queries.beside(__file__, "visits")


class Visits:
    """The table `page_visits`."""

    def __init__(self, rows: lockstep.Rows) -> None:
        self._rows = rows

    def replace_day(self, day: str, visits: Mapping[str, int]) -> int:
        """Replaces a day's visits by page; returns how many pages there are."""
        self._rows.execute(_QUERIES["clear_day"], {"day": day})
        lines = (lockstep.copy_line(day, page, count) for page, count in visits.items())
        return self._rows.copy(_QUERIES["copy_visits"], lines)

    def of_day(self, day: str) -> dict[str, int]:
        """A day's visits by page."""
        return {row["page"]: row["visits"] for row in self._rows.all(_QUERIES["of_day"], {"day": day})}
