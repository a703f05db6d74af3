from pathlib import Path

import pytest

from benchmarks.hot_spots import HotSpot, hot_spots

PROFILE = """\
process 1:"python -m benchmarks";main (a.py);wait (b.py) 90
process 1:"python -m benchmarks";process 2:"python -m broker";main (c.py);handle (d.py);parse (e.py) 3
process 1:"python -m benchmarks";process 2:"python -m broker";main (c.py);handle (d.py);parse (e.py);parse (e.py) 2
process 1:"python -m benchmarks";process 2:"python -m broker";main (c.py);handle (d.py) 5
process 1:"python -m benchmarks";process 2:"python -m broker";main (c.py);mishandle (d.py) 70
process 1:"python -m benchmarks";process 3:"python -m client";main (c.py);handle (d.py);wait (b.py) 80
"""


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "profile.raw"
    path.write_text(PROFILE)
    return path


def test_a_function_counts_once_for_each_sample_of_its_process_within_the_frame_asked_for(profile: Path) -> None:
    assert hot_spots(profile, "broker", "handle") == [
        HotSpot("handle (d.py)", total=1.0, alone=0.5),
        HotSpot("parse (e.py)", total=0.5, alone=0.5),
    ]


def test_a_profile_without_such_samples_is_an_error(profile: Path) -> None:
    with pytest.raises(ValueError, match="no sample"):
        hot_spots(profile, "broker", "encode")
