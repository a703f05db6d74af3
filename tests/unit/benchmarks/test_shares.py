import pytest

from benchmarks.shares import Need, Share, shares

Tables = list[tuple[str, Need]]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def divided(needs: Tables, seconds: float, taken: dict[str, float] | None = None) -> dict[str, Share | None]:
    """The shares of tables that take what they are given, or what is said."""
    clock, found = Clock(), {}
    for table, share in shares(needs, seconds, clock):
        found[table] = share
        if share is not None:
            clock.now += (taken or {}).get(table, share.seconds)
    return found


def test_each_table_gets_what_it_needs_and_its_part_of_the_rest() -> None:
    needs = [("dispatch", Need(30, 3)), ("drain", Need(20)), ("latency", Need(10))]

    found = divided(needs, 110)

    assert found == {
        "dispatch": Share(60, 80),  # 30 and three fifths of the 50 that are left over
        "drain": Share(30, 40),
        "latency": Share(20, 20),
    }


def test_a_table_that_does_not_fit_gets_nothing_and_smaller_ones_after_it_do() -> None:
    needs = [("dispatch", Need(30)), ("growth", Need(50)), ("inserts", Need(5))]

    assert divided(needs, 45) == {"dispatch": Share(35, 40), "growth": None, "inserts": Share(10, 10)}


def test_no_table_fits_into_no_time() -> None:
    assert divided([("dispatch", Need(30)), ("drain", Need(20))], 10) == {"dispatch": None, "drain": None}


@pytest.mark.parametrize(("taken", "left"), [(10.0, 90.0), (70.0, 30.0), (90.0, 10.0)])
def test_what_a_table_leaves_or_takes_too_much_is_that_of_the_next(taken: float, left: float) -> None:
    needs = [("dispatch", Need(30)), ("drain", Need(10))]

    assert divided(needs, 100, {"dispatch": taken})["drain"] == Share(left, left)


def test_a_table_that_took_the_time_of_the_next_leaves_it_out() -> None:
    needs = [("dispatch", Need(30)), ("drain", Need(20)), ("inserts", Need(5))]

    found = divided(needs, 60, {"dispatch": 50})

    assert (found["drain"], found["inserts"]) == (None, Share(10, 10))
