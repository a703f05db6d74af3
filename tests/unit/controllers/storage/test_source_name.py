import json

import pytest
from pydantic import ValidationError

from controllers import authoring as lockstep


class Parameters(lockstep.JobParameters):
    source: lockstep.SourceName


SECRET = "pssst%2Fpssst%3D"


def submitted(source: str) -> Parameters:
    return Parameters.model_validate_json(json.dumps({"source": source}), strict=True)


@pytest.mark.parametrize(
    "source",
    [
        "a.csv",
        "blob://things/a%20b.csv",
        "https://ours.blob.core.windows.net/things/a.csv",
        "https://host.example/a.csv?format=csv&page=1",
        "https://host.example/a.csv?of=https%3A%2F%2Fother.example%2Fkeys%3Fpage%3D2&significant",
    ],
)
def test_a_source_without_a_secret_is_accepted(source: str) -> None:
    assert submitted(source).source == source


@pytest.mark.parametrize(
    "source",
    [
        f"https://ours.blob.core.windows.net/things/a.csv?sv=2024-11-04&sp=r&sig={SECRET}",
        f"https://host.example/a.csv?SIG={SECRET}",
        f"https://host.example/a.csv?s%69g={SECRET}",
        f"https://host.example/a.csv?X-Amz-Signature={SECRET}",
        f"https://host.example/a.csv?page=1&token={SECRET}",
        f"https://host.example/a.csv?page=1;sig={SECRET}",
        f"https://proxy.example/?url=https://host.example/a.csv?sig={SECRET}",
        f"https://proxy.example/?url=https%3A%2F%2Fhost.example%2Fa.csv%3Fsv%3D1%26sig%3D{SECRET}",
        f"https://proxy.example/?url=https%253A%252F%252Fhost.example%252Fa.csv%253Fsig%253D{SECRET}",
    ],
)
def test_a_secret_in_the_query_is_refused_and_not_repeated(source: str) -> None:
    with pytest.raises(ValidationError) as caught:
        submitted(source)
    (error,) = caught.value.errors(include_input=False)
    assert "has a secret" in error["msg"]
    assert "with its own identity, as blob://CONTAINER/NAME" in error["msg"]
    assert "pssst" not in str(caught.value)


def test_a_job_that_was_accepted_with_a_signature_goes_on() -> None:
    source = f"https://host.example/a.csv?sig={SECRET}"
    assert Parameters.model_validate({"source": source}).source == source


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("blob://things", "blob://CONTAINER/NAME"),
        ("blob://things/", "blob://CONTAINER/NAME"),
        ("blob://T/a.csv", "no name of a container"),
        ("blob://things/a.csv?sig=x", "no query"),
        ("blob://things/../secrets/a.csv", "no '..'"),
        ("blob://things/a.csv#x", "no query and no fragment"),
        ("http://host.example/a.csv", "must be https, or blob://"),
        ("https://user:pw@host.example/a.csv", "user name"),
    ],
)
def test_what_no_setting_can_allow_is_refused(source: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        submitted(source)
