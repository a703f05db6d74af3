"""A key goes to the app that it belongs to, and is shown nowhere."""

from pathlib import Path

import pytest

from cli.exits import UsageError
from cli.profiles import LOCAL_URL, profiles_file, target
from tests.unit.cli.conftest import run_command

PROFILES = """
default = "local"

[profiles.local]
url = "http://127.0.0.1:7071"

[profiles.production]
url = "https://prod.example"
key = "prod-key"

[profiles.staging]
url = "https://stage.example"
key_env = "STAGE_KEY"
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "profiles.toml"
    file.write_text(PROFILES)
    return {"LOCKSTEP_PROFILES": str(file), "STAGE_KEY": "stage-key"}


@pytest.mark.parametrize(
    ("url", "profile", "added", "expected"),
    [
        (None, None, {}, ("http://127.0.0.1:7071", None)),
        (None, "production", {}, ("https://prod.example", "prod-key")),
        (None, "staging", {}, ("https://stage.example", "stage-key")),
        (None, None, {"LOCKSTEP_PROFILE": "staging"}, ("https://stage.example", "stage-key")),
        (None, None, {"LOCKSTEP_URL": "https://env.example", "LOCKSTEP_KEY": "k"}, ("https://env.example", "k")),
        ("https://given.example", None, {"LOCKSTEP_KEY": "k"}, ("https://given.example", "k")),
        # The key of the environment is not sent to the app of a profile, and the other way round.
        (None, "local", {"LOCKSTEP_URL": "https://env.example", "LOCKSTEP_KEY": "k"}, ("http://127.0.0.1:7071", None)),
        ("https://given.example", None, {"LOCKSTEP_PROFILE": "production"}, ("https://given.example", None)),
    ],
)
def test_url_and_key_come_from_the_same_place(
    environment: dict[str, str],
    url: str | None,
    profile: str | None,
    added: dict[str, str],
    expected: tuple[str, str | None],
) -> None:
    found = target(url, profile, {**environment, **added})
    assert (found.url, found.key) == expected
    assert found.key is None or found.key not in repr(found)


def test_without_anything_it_is_the_app_on_this_machine(tmp_path: Path) -> None:
    nothing = {"LOCKSTEP_PROFILES": str(tmp_path / "none.toml")}
    assert target(None, None, nothing).url == LOCAL_URL


def test_the_file_is_in_the_users_directory_of_configurations() -> None:
    assert profiles_file({"XDG_CONFIG_HOME": "/conf"}) == Path("/conf/lockstep/profiles.toml")
    assert profiles_file({}).parts[-3:] == (".config", "lockstep", "profiles.toml")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("profiles = 1", "must be tables"),
        ("[profiles.production]\nkey = 'pssst'", "needs url"),
        ("[profiles.production]\nurl = 'https://a'\nkey = 3", "must be texts"),
        ("[profiles.production]\nurl = 'https://a'\npassword = 'pssst'", "needs url"),
        ("[profiles.other]\nurl = 'https://a'\nkey = 'pssst'", "it has: other"),
        ("key = 'pssst", "cannot be read"),
    ],
)
def test_a_profile_that_cannot_be_used_is_named_without_its_key(
    environment: dict[str, str], text: str, complaint: str
) -> None:
    Path(environment["LOCKSTEP_PROFILES"]).write_text(text)
    with pytest.raises(UsageError, match=complaint) as caught:
        target(None, "production", environment)
    assert "pssst" not in str(caught.value)


def test_both_options_are_refused(environment: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        target("https://a", "local", environment)


def test_profiles_are_listed_without_their_keys(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKSTEP_PROFILES", environment["LOCKSTEP_PROFILES"])
    ran = run_command("profiles")
    assert ran.code == 0
    assert "https://prod.example" in ran.out
    assert "prod-key" not in ran.out + ran.err
    assert run_command("profiles", "--json").documents[1]["has_key"] is True


def test_a_missing_profile_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = run_command("--profile", "nowhere", "jobs")
    assert ran.code == 2
    assert "there is no profile 'nowhere'" in ran.err
