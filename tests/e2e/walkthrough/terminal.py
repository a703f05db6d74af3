"""A terminal as a person has it: commands run in it, and its screen is read."""

import os
import pty
import subprocess
import sys
import termios
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyte

COLUMNS = 120
_ROWS = 200
"""More than a command prints, so that nothing scrolls off the screen."""

_COMMANDS = {"lockstep": "-m cli", "python": ""}


@dataclass(frozen=True)
class Ran:
    """What a command has left on the screen, and its exit code."""

    screen: str
    code: int


class Terminal:
    """A shell with the commands of `make install`, in a directory.

    Args:
        directory: where the commands run.
        programs: an empty directory for `lockstep` and `python`, those of the Python that runs this.
        environment: what is set besides the variables of this process.
    """

    def __init__(self, directory: Path, programs: Path, environment: Mapping[str, str]) -> None:
        for name, module in _COMMANDS.items():
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
            program.chmod(0o755)
        paths = {"PATH": f"{programs}:{os.environ['PATH']}"}
        self._environment = {**os.environ, "TERM": "xterm", **paths, **environment}
        self._directory = directory
        self._last_code = 0

    def run(self, command: str) -> Ran:
        """Runs a command line of bash; `$?` is the exit code of the last one."""
        screen = pyte.Screen(COLUMNS, _ROWS)
        stream = pyte.ByteStream(screen)
        parent, child = pty.openpty()
        try:
            termios.tcsetwinsize(child, (_ROWS, COLUMNS))
            with subprocess.Popen(
                ["bash", "-c", f"(exit {self._last_code}); {command}"],
                cwd=self._directory,
                env=self._environment,
                stdin=child,
                stdout=child,
                stderr=child,
            ) as process:
                os.close(child)
                while data := _read(parent):
                    stream.feed(data)
        finally:
            os.close(parent)
        self._last_code = process.returncode
        lines = [line.rstrip() for line in screen.display]
        return Ran("\n".join(lines).rstrip(), process.returncode)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # of Linux, when the last process that has the terminal ends
        return b""
