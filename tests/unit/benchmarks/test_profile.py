import pytest

from benchmarks.machine import Machine
from benchmarks.measure import ROOT
from benchmarks.profile import PARKED, Cost, Profiled, costs, rows_of, table, tables

PROFILE = """\
process 1:"python -m benchmarks.line";main (benchmarks/line.py);wait (threading.py) 900
process 1:"python -m benchmarks.line";_worker (concurrent/futures/thread.py) 900
process 1:"python -m benchmarks.line";(engine/);BrokerCalls._work (repositories/broker_calls.py:165) 900
process 1:"python -m benchmarks.line";queued_batches (benchmarks/prepared.py);Worker.run (engine/tasks/worker.py) 900
process 1:"python -m benchmarks.line";Worker.run (engine/tasks/worker.py);_worker (concurrent/futures/thread.py) 900
process 1:"python -m benchmarks.line";process 2:"emulator";Worker.run (engine/tasks/worker.py) 900
process 1:"python -m benchmarks.line";Worker.run (engine/tasks/worker.py);\
PostgresTaskRepository.claim (repositories/tasks.py);PostgresRows.all (repositories/rows.py);\
GuardedCursor.execute (repositories/guarded_connection.py) 40
process 1:"python -m benchmarks.line";Worker.run (engine/tasks/worker.py);PostgresDatabase.transaction (\
repositories/postgres.py);GuardedCursor.execute (repositories/guarded_connection.py) 20
process 1:"python -m benchmarks.line";Worker.run (engine/tasks/worker.py);dumps (json/__init__.py);fold (re.py) 10
process 1:"python -m benchmarks.line";Worker.run (engine/tasks/worker.py) 29
process 1:"python -m benchmarks.line";Worker.run (engine/tasks/worker.py);claim (repositories/tasks.py) 1
"""
WORKER = Profiled("module", {}, ("(engine/",))


def test_a_sample_belongs_to_the_innermost_frame_that_a_rule_knows() -> None:
    found = costs(PROFILE, WORKER, tasks=100, rate=1_000)

    assert found == [
        Cost("PostgreSQL: `TaskRepository.claim`", 400, 0.4),
        Cost("the engine's Python", 290, 0.29),
        Cost("PostgreSQL: begin, commit", 200, 0.2),
        Cost("JSON", 100, 0.1),
        Cost("rows to objects and back", 10, 0.01),
    ]


def test_a_profile_without_such_samples_is_an_error() -> None:
    with pytest.raises(ValueError, match="no sample of Other"):
        costs(PROFILE, Profiled("module", {}, ("Other",)), tasks=1)


@pytest.mark.parametrize("frame", [each for each in PARKED if " (repositories/" in each or " (local/" in each])
def test_the_frames_of_parked_threads_are_functions_of_the_project(frame: str) -> None:
    function, _, path = frame.partition(" (")
    name, method = function.split(".")

    source = (ROOT / path).read_text()

    assert f"class {name}" in source
    assert f"def {method}(" in source


def test_what_takes_little_is_added_up() -> None:
    found = [Cost("much", 98.5, 0.985), Cost("little", 0.9, 0.009), Cost("less", 0.6, 0.006)]

    assert table(found).splitlines() == [
        "| where | us a task | share |",
        "|---|---|---|",
        "| much | 98.5 | 98% |",
        "| the rest | 1.5 | 2% |",
        "| all | 100.0 | 100% |",
    ]


def test_each_profile_of_a_json_file_is_a_table_with_its_tasks_and_the_machine() -> None:
    found = [Cost("JSON", 30.0, 0.75), Cost("threads", 10.0, 0.25)]
    machine = Machine(
        cpu="a processor",
        cores=2,
        memory_gib=8.0,
        system="Linux",
        python="3.11",
        postgresql="18",
        load_average=0.5,
        commit="abc",
    )
    document = {"machine": machine, "rows": rows_of("engine", 1_000, found) + rows_of("drain", 2_000, found[:1])}

    texts = tables(document)

    assert list(texts) == ["engine", "drain"]
    assert texts["engine"].startswith(table(found))
    assert "2,000 tasks; 2 cores (a processor)" in texts["drain"]
