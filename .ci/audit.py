"""Looks up known vulnerabilities of every locked package, those of other Pythons and systems too.

Fails if it finds one. Where the advisories cannot be reached it says so, and fails only with LOCKSTEP_NEEDS_AUDIT=1,
which continuous integration sets where it has the internet. Usage: .ci/audit.py PIP_AUDIT
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

_LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-geo.lock", "requirements-tools.lock")

_UNREACHABLE = re.compile("ConnectionError|ConnectTimeout|MaxRetryError|NameResolutionError|ProxyError|ServiceError")


def main() -> int:
    """Runs pip-audit; returns the exit code."""
    audited, unknown = 0, 0
    for requirements in _requirements():
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("".join(f"{each}\n" for each in requirements))
            file.flush()
            ran = _pip_audit(file.name)
        try:
            found = json.loads(ran.stdout)["dependencies"]
        except ValueError:
            if not _UNREACHABLE.search(ran.stderr):
                sys.stderr.write(ran.stderr)
                return ran.returncode or 1
            unknown += len(requirements)
            continue
        if vulnerable := [each for each in found if each.get("vulns")]:
            sys.stdout.writelines(_lines(vulnerable))
            return 1
        unknown += sum("skip_reason" in each for each in found)
        audited += sum("skip_reason" not in each for each in found)
    if not unknown:
        sys.stdout.write(f"no known vulnerability in {audited} locked packages\n")
        return 0
    sys.stdout.write(
        f"NOT AUDITED: the advisories for {unknown} of {audited + unknown} packages cannot be reached from here\n"
    )
    return 1 if os.environ.get("LOCKSTEP_NEEDS_AUDIT") == "1" else 0


def _requirements() -> Iterator[list[str]]:
    """The locked packages without their markers, in lists that name each package once: another Python has others."""
    versions: dict[str, set[str]] = {}
    for lock in _LOCKS:
        for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", (ROOT / lock).read_text(), re.MULTILINE):
            versions.setdefault(name, set()).add(version)
    for at in range(max(map(len, versions.values()))):
        yield [f"{name}=={sorted(each)[at]}" for name, each in sorted(versions.items()) if len(each) > at]


def _pip_audit(file: str) -> subprocess.CompletedProcess[str]:
    # Without pip: the locks are complete, so nothing needs to be resolved or installed.
    options = ["--disable-pip", "--no-deps", "--progress-spinner", "off", "--format", "json", "--timeout", "15"]
    command = [sys.argv[1], "--requirement", file, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - the Makefile names it


def _lines(vulnerable: list[dict[str, object]]) -> Iterator[str]:
    for each in vulnerable:
        vulnerabilities = each["vulns"]
        assert isinstance(vulnerabilities, list)
        for one in vulnerabilities:
            fixed = ", ".join(one.get("fix_versions", [])) or "no version"
            yield f"{each['name']} {each['version']}: {one['id']}, mended in {fixed}\n"


if __name__ == "__main__":
    sys.exit(main())
