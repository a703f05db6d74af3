from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from core.cron import Cron
from core.errors import ConfigurationError


@given(
    st.sampled_from(["* * * * *", "30 2 * * *", "*/7 1-3 * * *", "0 0 29 2 *", "0 3 * * 1", "0 2,3 25-29 3,10 *"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
    st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31)),  # noqa: DTZ001 - hypothesis wants naive limits
    st.timedeltas(timedelta(0), timedelta(days=1)),
)
def test_the_newest_tick_is_the_last_one_before_the_next(
    text: str, timezone: str, start: datetime, length: timedelta
) -> None:
    it, after = Cron("it", text, timezone), start.replace(tzinfo=UTC)
    newest, last = it.newest(after, after + length), None
    following = it.next(after)
    while following is not None and following.astimezone(UTC) <= after + length:
        last, following = following, it.next(following)
    assert newest == last


@given(st.text(alphabet="0159*/-,#LWw MON?²", max_size=20))
def test_any_other_text_is_refused_and_never_crashes(text: str) -> None:
    try:
        Cron("it", f"{text} * * * *", "UTC")
    except ConfigurationError:
        return
