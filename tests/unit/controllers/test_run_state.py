from controllers import authoring as lockstep
from controllers.run_state import UnsavedRunState


def test_a_context_made_by_hand_keeps_its_checkpoint_and_progress_in_memory(context: lockstep.TaskContext) -> None:
    assert context.last_checkpoint is None
    context.checkpoint([1])
    context.progress(0.5, "half")
    context.progress(0.7)
    assert context.last_checkpoint == [1]
    assert isinstance(context.state, UnsavedRunState)
    assert context.state.progressed == [(0.5, "half"), (0.7, "")]
