"""A part of the matrix by hand: python -m tests.faults.answers --call claim --answer unanswered."""

import argparse
import sys
import tempfile
from pathlib import Path

from local.postgres import EmbeddedPostgres
from tests.faults.answers import plan
from tests.faults.answers.matrix import Matrix
from tests.faults.answers.plan import Case
from tests.faults.answers.proxy import Answer
from tests.faults.answers.trials import Outcome


def main() -> int:
    """Runs the chosen cases and prints a line for each; returns 1 if something did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.answers")
    parser.add_argument("--call", default="", help="what the case contains: function, place, call, scenario")
    parser.add_argument("--answer", action="append", choices=list(Answer), help="all by default")
    parser.add_argument("--some", action="store_true", help="only the short form")
    arguments = parser.parse_args()
    violated = 0
    with (
        tempfile.TemporaryDirectory(prefix="lockstep-postgres-") as directory,
        EmbeddedPostgres.start(Path(directory, "data"), durable=False) as server,
        Matrix.open(server.url("postgres").removesuffix("/postgres")) as matrix,
    ):
        cases = [
            case
            for case in (plan.some() if arguments.some else plan.every(matrix.recordings()))
            if arguments.call in str(case) and case.strike.answer in (arguments.answer or list(Answer))
        ]
        sys.stdout.write(f"{len(cases)} cases\n")
        for case, outcome in matrix.start(cases).items():
            violated += _tell(case, outcome.result())
    return 1 if violated else 0


def _tell(case: Case, outcome: Outcome) -> bool:
    held = outcome.struck and not outcome.violations and not outcome.late
    sys.stdout.write(
        f"{'held' if held else 'VIOLATED'}: {case}: health within {outcome.health_seconds:.1f} s, neighbour after "
        f"{outcome.neighbour_seconds:.1f} s; {outcome.lives} lives, {outcome.passed_seconds:.0f} s passed, "
        f"played again {outcome.played_again} times\n"
    )
    for violation in (*outcome.violations, *outcome.late):
        sys.stdout.write(f"    {violation}\n")
    sys.stdout.flush()
    return not held


if __name__ == "__main__":
    sys.exit(main())
