"""A part of the matrix by hand: python -m tests.faults.crash --size 100 --point two_phase."""

import argparse
import sys
import tempfile
from pathlib import Path

from local.postgres import EmbeddedPostgres
from tests.faults.crash import plan
from tests.faults.crash.matrix import SIZES, Case, Matrix
from tests.faults.crash.trials import Outcome


def main() -> int:
    """Runs the chosen cases and prints a line for each; returns 1 if an invariant did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.crash")
    parser.add_argument(
        "--size", type=int, action="append", choices=SIZES, help="tasks of the job; all sizes by default"
    )
    parser.add_argument("--point", default="", help="what the point's name contains")
    arguments = parser.parse_args()
    violated = 0
    with (
        tempfile.TemporaryDirectory(prefix="lockstep-postgres-") as directory,
        EmbeddedPostgres.start(Path(directory, "data"), durable=False) as server,
        Matrix.open(server.url("postgres").removesuffix("/postgres")) as matrix,
    ):
        for size in arguments.size or SIZES:
            recordings = matrix.recordings(size)
            cases = [case for case in (*plan.once(recordings), *plan.twice(recordings)) if arguments.point in str(case)]
            violated += sum(_tell(size, case, outcome) for case, outcome in matrix.run(cases, size).items())
    return 1 if violated else 0


def _tell(size: int, case: Case, outcome: Outcome) -> bool:
    held = outcome.kills > 0 and not outcome.violations
    sys.stdout.write(
        f"{'held' if held else 'VIOLATED'}: {size} tasks, {', then '.join(map(str, case.points))}, killed "
        f"{outcome.kills} times in {case.scenario!r}; {outcome.lives} lives, {outcome.passed_seconds:.0f} s passed, "
        f"played again {outcome.played_again} times\n"
    )
    for violation in outcome.violations:
        sys.stdout.write(f"    {violation}\n")
    sys.stdout.flush()
    return not held


if __name__ == "__main__":
    sys.exit(main())
