from core.failures import grouped, tasks_of
from core.models import TaskError

ERRORS = [
    TaskError("t1", "ValueError", "row 1 is empty"),
    TaskError("t2", "OSError", "no such file: /a"),
    TaskError("t3", "ValueError", "row 33 is empty"),
    TaskError("t4", "KeyError", "row 4 is empty"),
    TaskError("t5", "OSError", "no such file: /a"),
    TaskError("t6", "ValueError", "row 4711 is empty"),
]


def test_the_most_frequent_cause_is_the_first() -> None:
    found = [(each.group.type, each.group.message, each.tasks, each.example.task_id) for each in grouped(ERRORS)]
    assert found == [
        ("ValueError", "row # is empty", 3, "t1"),
        ("OSError", "no such file: #", 2, "t2"),
        ("KeyError", "row # is empty", 1, "t4"),
    ]


def test_the_tasks_of_a_group_are_those_that_it_counts() -> None:
    assert [tasks_of(each.group.id, ERRORS) for each in grouped(ERRORS)] == [["t1", "t3", "t6"], ["t2", "t5"], ["t4"]]


def test_an_unknown_group_has_no_tasks() -> None:
    assert tasks_of("0" * 16, ERRORS) == []


def test_no_errors_have_no_groups() -> None:
    assert grouped([]) == []
