"""How many tasks of a type may start now, how many are woken, and for when."""

from datetime import UTC, datetime, timedelta

from core.task_limits import Candidate, Rate, SlotUse, TaskLimit, admitted, blocking, due_times, first_expiring, to_wake

NOW = datetime(2026, 1, 1, tzinfo=UTC)
THREE = TaskLimit(max_running=3)
RATE = TaskLimit(rate=Rate(3, 60))


def using(running: int = 0, started: int = 0, promised: int = 0) -> SlotUse:
    return SlotUse(NOW, running, started, promised, parked=promised > 0)


def names(text: str, promised: str = "") -> list[Candidate]:
    return [Candidate(each, each in promised) for each in text]


def ago(*seconds: float) -> list[datetime]:
    return [NOW - timedelta(seconds=each) for each in seconds]


def test_as_many_tasks_start_as_slots_are_free() -> None:
    assert admitted(THREE, using(running=1), names("abcd")) == ["a", "b"]
    assert admitted(THREE, using(running=3), names("ab")) == []
    assert admitted(THREE, using(running=5), names("ab")) == [], "the limit was lowered"
    assert admitted(RATE, using(started=2), names("abcd")) == ["a"]
    assert admitted(TaskLimit(2, Rate(5, 60)), using(running=1, started=1), names("abcd")) == ["a"]


def test_slots_that_are_promised_are_left_to_those_who_were_woken() -> None:
    assert admitted(THREE, using(promised=2), names("abcd")) == ["a"]
    assert admitted(THREE, using(promised=2), names("abcd", promised="d")) == ["d", "a"]
    assert admitted(THREE, using(running=2, promised=2), names("abcd", promised="bc")) == ["b"]


def test_it_names_the_limit_that_keeps_a_task_from_starting() -> None:
    both = TaskLimit(3, Rate(3, 60))
    assert blocking(THREE, using(), 3) == "max_running"
    assert blocking(RATE, using(), 3) == "rate"
    assert blocking(both, using(running=2), 1) == "max_running"
    assert blocking(both, using(running=0, started=3), 0) == "rate"


def test_a_task_is_woken_for_each_slot_that_is_neither_held_nor_promised() -> None:
    assert to_wake(THREE, using(running=1, promised=1)) == 1
    assert to_wake(THREE, using(running=3, promised=1)) == 0
    assert to_wake(RATE, using(started=3)) == 3, "for later"
    assert to_wake(TaskLimit(2, Rate(5, 60)), using(running=1, started=5)) == 1
    assert to_wake(TaskLimit(), using(running=7, promised=50)) == 100, "the limit was removed"


def test_a_task_is_woken_for_the_time_when_an_earlier_start_stops_to_count() -> None:
    use = using(started=2)
    assert first_expiring(RATE, use) == 0
    times = due_times(RATE, use, 3, ago(50, 20))
    assert times == [None, NOW + timedelta(seconds=10), NOW + timedelta(seconds=40)]


def test_those_who_are_promised_a_slot_get_the_first_ones() -> None:
    use = using(started=3, promised=1)
    assert first_expiring(RATE, use) == 1
    assert due_times(RATE, use, 1, ago(40, 30)) == [NOW + timedelta(seconds=20)]


def test_a_task_is_woken_at_least_a_second_ahead_if_it_is_not_due() -> None:
    assert due_times(RATE, using(started=3), 1, ago(59.9)) == [NOW + timedelta(seconds=1)]


def test_without_a_rate_tasks_are_due_at_once() -> None:
    assert due_times(THREE, using(), 2, []) == [None, None]
