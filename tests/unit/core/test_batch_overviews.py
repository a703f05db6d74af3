from datetime import UTC, datetime, timedelta

import pytest

from core.batch_overviews import EndedSpan, bucket_seconds

START = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "width"),
    [(0, 1), (119, 1), (120, 2), (3_600, 60), (86_400, 900), (86_400 * 100, 86_400), (86_400 * 130, 2 * 86_400)],
)
def test_the_width_is_round_and_the_shortest_that_covers_the_span(seconds: float, width: int) -> None:
    assert bucket_seconds(EndedSpan(START, START + timedelta(seconds=seconds)), 120) == width
