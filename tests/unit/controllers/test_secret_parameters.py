from datetime import date
from typing import Any

from pydantic import BaseModel, Field, Secret, SecretBytes, SecretStr

from controllers.context import JobParameters
from controllers.hello_world import HelloWorld
from controllers.ingest_csv import IngestCsv
from controllers.secret_parameters import marks_secrets, masked_json, plain_json, secret_values


class Login(BaseModel):
    user: str
    password: SecretStr


class Parameters(JobParameters):
    """Every place where a secret can stand, beside values that JSON writes otherwise."""

    day: date = date(2030, 1, 1)
    logins: list[Login] = Field(default_factory=list)
    by_name: dict[str, SecretStr | None] = Field(default_factory=dict)
    several: frozenset[SecretBytes] = frozenset()
    pair: tuple[int, SecretStr] | None = None
    pin: Secret[int] | None = None
    dated: Secret[date] | None = None


GIVEN: dict[str, Any] = {
    "use_service_bus": True,
    "day": "2030-02-03",
    "logins": [{"user": "u", "password": "one"}, {"user": "v", "password": "two"}],
    "by_name": {"a": "three", "b": None},
    "several": ["four"],
    "pair": [1, "five"],
    "pin": 1234,
    "dated": "2030-04-05",
}


def test_the_rows_get_secrets_as_they_were_given() -> None:
    model = Parameters.model_validate(GIVEN)
    assert plain_json(model) == GIVEN
    assert plain_json(Parameters.model_validate(plain_json(model))) == GIVEN


def test_secrets_are_masked_where_they_stand() -> None:
    assert masked_json(Parameters.model_validate(GIVEN)) == {
        "use_service_bus": True,
        "day": "2030-02-03",
        "logins": [{"user": "u", "password": "***"}, {"user": "v", "password": "***"}],
        "by_name": {"a": "***", "b": None},
        "several": ["***"],
        "pair": [1, "***"],
        "pin": "***",
        "dated": "***",
    }


def test_all_values_of_secrets_are_found() -> None:
    values = secret_values(Parameters.model_validate(GIVEN))
    assert values == {"one", "two", "three", "four", "five", "1234", "2030-04-05"}
    assert secret_values(Parameters(by_name={"a": SecretStr("")})) == frozenset()


def test_a_model_tells_whether_it_marks_secrets() -> None:
    models = [Parameters, Login, HelloWorld.Parameters, IngestCsv.Parameters]
    assert [marks_secrets(model) for model in models] == [True, True, False, False]


def test_parameters_without_secrets_are_encoded_as_pydantic_does() -> None:
    given = IngestCsv.Parameters.model_validate({"source": "https://store.example/a.csv?sig=abc"})
    assert plain_json(given) == given.model_dump(mode="json")
