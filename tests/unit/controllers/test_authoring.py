import re

from controllers import authoring


def test_its_docstring_lists_every_name_that_it_has_for_authors() -> None:
    rows = [line.split("|") for line in (authoring.__doc__ or "").splitlines() if line.startswith("| `")]
    assert sorted(name for row in rows for name in re.findall(r"`(\w+)`", row[1])) == sorted(authoring.__all__)
