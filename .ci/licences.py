"""Writes docs/licences.md: the licences of what the app runs with, as the installed packages state them."""

import re
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]

_HEAD = """# Licences

Lockstep itself is under the [MIT licence](../LICENSE). This table lists what the app runs with, `requirements.lock`, as
its packages state it; `make licences` writes it, `make sbom` writes the same and more as CycloneDX. `pip` installs
them; the repository holds the libraries of the monitor alone, with their licences beside them.

| package | version | licence |
|---|---|---|
"""


def main() -> None:
    """Writes the page from the packages of this Python that the lock names."""
    text = (ROOT / "requirements.lock").read_text()
    rows = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", text, re.MULTILINE):
        try:
            found = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            continue  # of another Python or another system
        if found["Version"] == version:
            rows[name] = f"| {name} | {version} | {_licence(found)} |\n"
    (ROOT / "docs" / "licences.md").write_text(_HEAD + "".join(rows[name] for name in sorted(rows)))
    sys.stdout.write(f"docs/licences.md: {len(rows)} packages\n")


def _licence(found: metadata.PackageMetadata) -> str:
    """The SPDX expression, or else the classifiers, or else the first line of the field."""
    if expression := found.get("License-Expression"):
        return expression
    classifiers = [each for each in found.get_all("Classifier") or [] if each.startswith("License :: ")]
    if classifiers:
        return ", ".join(each.rpartition(" :: ")[2] for each in classifiers)
    return (found.get("License") or "not stated").strip().splitlines()[0]


if __name__ == "__main__":
    main()
