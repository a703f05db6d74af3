"""The parameters of a job: read from the command line, and checked against the JSON Schema of its type."""

import difflib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from cli.exits import UsageError
from client import FieldError
from client.app_answers import JobType

Schema = Mapping[str, Any]


class InvalidParametersError(UsageError):
    """The parameters do not fit the job type.

    Attributes:
        fields: which, and why.
    """

    def __init__(self, job_type: str, fields: Sequence[FieldError]) -> None:
        listed = "".join(f"\n  {each.field}: {each.message}" for each in fields)
        super().__init__(f"the parameters of {job_type} are not valid{listed}")
        self.fields = tuple(fields)


def find_type(job_types: Sequence[JobType], name: str) -> JobType:
    """Returns the job type of this name.

    Raises:
        UsageError: there is none; the error names a similar one.
    """
    known = {each["name"]: each for each in job_types}
    if name in known:
        return known[name]
    similar = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {similar[0]}?" if similar else f"there are: {', '.join(known)}"
    raise UsageError(f"there is no job type {name!r}; {hint}")


def read_parameters(pairs: Sequence[str], json_file: str | None, schema: Schema) -> dict[str, Any]:
    """Reads a JSON object from a file or, for `-`, from standard input; `key=value` replaces its members.

    A value is JSON, or text where it is none or the schema wants text.

    Raises:
        UsageError: a pair has no `=`, or the file has no JSON object.
    """
    return {**(_object(json_file) if json_file is not None else {}), **dict(_pair(pair, schema) for pair in pairs)}


def check(job_type: JobType, parameters: Mapping[str, Any]) -> None:
    """Checks parameters before they are sent.

    Raises:
        InvalidParametersError: they do not fit the schema; it names the fields, as the app does.
    """
    schema = job_type["parameters"]
    errors = sorted(Draft202012Validator(schema).iter_errors(parameters), key=lambda each: list(map(str, each.path)))
    if errors:
        raise InvalidParametersError(job_type["name"], list(_complaints(errors, _has_secrets(schema))))


def _object(json_file: str) -> dict[str, Any]:
    where = "standard input" if json_file == "-" else json_file
    try:
        text = sys.stdin.read() if json_file == "-" else Path(json_file).read_text(encoding="utf-8")
        value = _json(text)
    except OSError as exc:
        raise UsageError(f"{where} cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise UsageError(f"{where} is not JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise UsageError(f'{where} must be a JSON object, as in {{"n": 10}}')
    return value


def _pair(pair: str, schema: Schema) -> tuple[str, Any]:
    name, equals, text = pair.partition("=")
    if not name or not equals:
        raise UsageError("a parameter is key=value, as in -p n=10")
    if _kinds(schema.get("properties", {}).get(name, {}), schema) == {"string"}:
        return name, text
    try:
        return name, _json(text)
    except ValueError:
        return name, text


def _json(text: str) -> Any:
    """Reads JSON, without the NaN and Infinity of Python."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no number of JSON")

    return json.loads(text, parse_constant=refuse)


def _kinds(part: Schema, schema: Schema) -> set[str]:
    """The types that a part of a schema allows, but null, which no text stands for."""
    if "$ref" in part:
        part = schema.get("$defs", {}).get(part["$ref"].rsplit("/", 1)[-1], {})
    parts = part.get("anyOf") or part.get("oneOf")
    if parts:
        return set().union(*(_kinds(each, schema) for each in parts)) - {"null"}
    kind = part.get("type")
    if kind is None:
        return {"string"} if part.get("enum") and all(isinstance(each, str) for each in part["enum"]) else {"any"}
    return {kind} if isinstance(kind, str) else set(kind) - {"null"}


def _complaints(errors: Sequence[ValidationError], has_secrets: bool) -> Iterator[FieldError]:  # noqa: FBT001 - internal
    for each in errors:
        error: Any = best_match([each]) or each
        path = [str(part) for part in error.absolute_path]
        if error.validator == "required":
            missing = [name for name in error.validator_value if name not in error.instance]
            yield from (FieldError(".".join([*path, name]), "is missing") for name in missing)
        elif error.validator == "additionalProperties":
            known = error.schema.get("properties", {})
            for name in sorted(error.instance.keys() - known.keys()):
                similar = difflib.get_close_matches(name, known, 1)
                yield FieldError(".".join([*path, name]), "is not known" + (f"; {similar[0]}?" if similar else ""))
        else:
            # The library's texts contain the value.
            text = f"does not fit {error.validator}: {error.validator_value}" if has_secrets else error.message
            yield FieldError(".".join(path) or "(all)", text)


def _has_secrets(schema: Schema) -> bool:
    return '"writeOnly": true' in json.dumps(schema)
