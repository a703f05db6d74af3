"""The command as `pip install` leaves it, started as a person or a script does."""

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.wheel import install_alone

TIMEOUT_SECONDS = 280


@dataclass(frozen=True)
class Installed:
    """A virtual environment with nothing but the command, and a directory that is not the checkout."""

    environment: Path
    directory: Path

    @classmethod
    def make(cls, directory: Path) -> "Installed":
        elsewhere = directory / "elsewhere"
        elsewhere.mkdir()
        return cls(install_alone(directory), elsewhere)

    def start(self, line: str, stdin: int = subprocess.DEVNULL, **variables: str) -> subprocess.Popen[str]:
        """Starts a command line, which begins with the name of a program of the environment."""
        program, *arguments = shlex.split(line)
        given = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.Popen(
            [str(self.environment / "bin" / program), *arguments],
            cwd=self.directory,
            env={**given, **variables},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, line: str, expected: int = 0, stdin: str | None = None, **variables: str) -> tuple[str, str]:
        """Runs a command line to its end; returns standard output and standard error."""
        with self.start(line, subprocess.DEVNULL if stdin is None else subprocess.PIPE, **variables) as process:
            out, err = process.communicate(stdin, TIMEOUT_SECONDS)
        assert process.returncode == expected, err
        return out, err
