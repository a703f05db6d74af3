"""The model of scale: its limits hold, and the page shows what it says."""

from dataclasses import replace

import pytest

from benchmarks.page import filled, places
from benchmarks.scale.lines import LINES, bound, ideal, simulate
from benchmarks.scale.model import App, Cloud, Server
from benchmarks.scale.page import run, tables
from benchmarks.scale.simulation import drain
from local.stack import ROOT

PAGE = ROOT / "docs/scale.md"
NO_CREDITS = Cloud(credits_per_second=None)


def test_one_instance_is_as_fast_as_its_handlers() -> None:
    line = LINES["premium"]
    assert simulate(line, 1).tasks_per_second == pytest.approx(ideal(line, 1), rel=0.05)


def test_a_message_per_task_is_bound_by_the_credits_and_a_message_per_batch_is_not() -> None:
    app = App(most_instances=200, handler_seconds=0.1)
    per_task = drain(100_000, Cloud(), Server(), app)
    per_batch = drain(100_000, Cloud(), Server(), replace(app, message_per_batch=True))
    assert per_task.tasks_per_second == pytest.approx(1_000, rel=0.05)
    assert bound(per_task) == "credits"
    assert per_batch.tasks_per_second > 5 * per_task.tasks_per_second


def test_the_row_of_a_stage_bounds_the_batches_that_end_in_a_second() -> None:
    server = Server(cores=64, commit_seconds=0.01)
    drained = drain(200_000, NO_CREDITS, server, App(most_instances=500, handler_seconds=0.01))
    assert drained.tasks_per_second == pytest.approx(100 / 0.01, rel=0.1)
    assert bound(drained) == "row of the stage"


def test_instances_that_a_full_server_refuses_wait_and_all_tasks_end() -> None:
    small = Server(cores=1, connections=5)
    app = App(most_instances=20, handler_seconds=0.1)
    refused = drain(20_000, NO_CREDITS, small, app)
    pooled = drain(20_000, NO_CREDITS, replace(small, pooled=True), app)
    assert (refused.refused > 0, refused.opened, pooled.refused) == (True, 5, 0)
    assert pooled.tasks_per_second > refused.tasks_per_second


def test_the_scale_controller_starts_as_many_instances_as_the_queue_asks_for() -> None:
    app = App(most_instances=10, is_scaled=True, handler_seconds=0.1)
    assert drain(300, NO_CREDITS, Server(), app).instances == 3
    assert drain(100_000, NO_CREDITS, Server(), app).instances == 10


def test_the_page_has_a_place_for_each_line_and_shows_what_the_model_says() -> None:
    page = PAGE.read_text()
    assert places(page) == [f"scale-{name}" for name in LINES]
    # The whole page takes a minute; one line tells whether it was filled after the model changed.
    [text] = tables(run(["small_pooled"])).values()
    assert filled(page, {"scale-small_pooled": text}) == page
