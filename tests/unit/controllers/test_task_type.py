import pytest

from controllers import authoring as lockstep
from core.errors import BatchHandlerError, ConfigurationError
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
        "a.b",
        max_attempts=5,
        backoff=lockstep.Backoff(base_seconds=1),
        lane=lockstep.Lane.LONG,
        timeout=90,
        isolated=True,
        max_memory_mib=512,
    )(count_words.handler)
    assert declared.policy == TaskPolicy(
        5,
        lockstep.Backoff(base_seconds=1),
        lockstep.Lane.LONG,
        timeout_seconds=90,
        isolated=True,
        max_memory_mib=512,
    )


def test_one_handler_may_have_two_task_types(context: lockstep.TaskContext) -> None:
    large = lockstep.task_type("words.count_large", lane=lockstep.Lane.LONG)(count_words.handler)
    assert (large.name, large.policy.lane, count_words.policy.lane) == (
        "words.count_large",
        lockstep.Lane.LONG,
        lockstep.Lane.FAST,
    )
    assert large(context, {"text": "one two"}) == 2


@lockstep.batch_handler("words.count_many", max_attempts=5)
def count_many(items: lockstep.TaskItems) -> lockstep.ItemOutcomes:
    return [len(item.parameters["text"].split()) or ValueError("no words") for item in items]


def test_a_batch_handler_is_a_task_type_that_can_be_called_for_one_task(context: lockstep.TaskContext) -> None:
    assert (count_many.name, count_many.policy) == ("words.count_many", TaskPolicy(5))
    assert count_many.task(7, {"text": "one"}) == lockstep.TaskDefinition("words.count_many", {"text": "one"}, 7)
    assert count_many(context, {"text": "one two"}) == 2
    with pytest.raises(ValueError, match="no words"):
        count_many(context, {"text": ""})


def test_a_batch_handler_that_is_called_for_one_task_gives_one_outcome(context: lockstep.TaskContext) -> None:
    mute = lockstep.batch_handler("words.mute")(lambda items: [])
    with pytest.raises(BatchHandlerError, match="gave 0 outcomes for 1 items"):
        mute(context, {})


def test_a_wrong_name_of_a_batch_handler_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="name of a task type"):
        lockstep.batch_handler("")(lambda items: [])
