from controllers import authoring as lockstep
from core.retry import TaskPolicy


@lockstep.task_type("words.count")
def count_words(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    return len(parameters["text"].split())


def test_a_decorated_handler_is_a_task_type_that_can_still_be_called(context: lockstep.TaskContext) -> None:
    assert (count_words.name, count_words.policy) == ("words.count", TaskPolicy())
    assert count_words(context, {"text": "one two"}) == 2


def test_it_defines_tasks_by_its_name() -> None:
    assert count_words.task(7, {"text": "one"}) == lockstep.TaskDefinition("words.count", {"text": "one"}, 7)


def test_its_options_are_its_policy() -> None:
    declared = lockstep.task_type(
        "a.b", max_attempts=5, backoff=lockstep.Backoff(base_seconds=1), lane=lockstep.Lane.LONG
    )(count_words.handler)
    assert declared.policy == TaskPolicy(5, lockstep.Backoff(base_seconds=1), lockstep.Lane.LONG)


def test_one_handler_may_have_two_task_types(context: lockstep.TaskContext) -> None:
    large = lockstep.task_type("words.count_large", lane=lockstep.Lane.LONG)(count_words.handler)
    assert (large.name, large.policy.lane, count_words.policy.lane) == (
        "words.count_large",
        lockstep.Lane.LONG,
        lockstep.Lane.FAST,
    )
    assert large(context, {"text": "one two"}) == 2
