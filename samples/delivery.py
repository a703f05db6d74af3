"""Makes a delivery for the job type `verify_files`: `python -m samples.delivery samples/delivery`.

`sent` has 5,000 files, each with the temperatures that a weather station measured on one day, and the list of their
checksums. `arrived` has what came through of them: three files are missing. Each run makes the same files.
"""

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

STATIONS = 5_000
LOST = (417, 2_208, 4_975)
LIST = "SHA256SUMS"


def make(directory: Path) -> None:
    """Makes both directories.

    Raises:
        FileExistsError: there is such a directory already.
    """
    sent, arrived = directory / "sent", directory / "arrived"
    for each in (sent, arrived):
        each.mkdir(parents=True)
    checksums = ""
    for station in range(1, STATIONS + 1):
        name, content = f"station-{station:04}.csv", _day_of(station)
        (sent / name).write_bytes(content)
        if station not in LOST:
            (arrived / name).write_bytes(content)
        checksums += f"{hashlib.sha256(content).hexdigest()}  {name}\n"
    for each in (sent, arrived):
        (each / LIST).write_text(checksums, encoding="utf-8")


def _day_of(station: int) -> bytes:
    noon = 250 - station * 37 % 300
    rows = (f"{station},{hour},{(noon - 8 * abs(hour - 16) + station * hour % 7) / 10:.1f}" for hour in range(24))
    return "\n".join(("station,hour,temperature", *rows, "")).encode()


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line, and makes the delivery."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    directory = parser.parse_args(arguments).directory
    try:
        make(directory)
    except FileExistsError as exc:
        parser.error(f"{exc.filename} exists already; delete {directory} first")
    print(f"{STATIONS:,} files in {directory}/sent, {STATIONS - len(LOST):,} of them in {directory}/arrived")  # noqa: T201 - a command line speaks on standard output


if __name__ == "__main__":
    main()
