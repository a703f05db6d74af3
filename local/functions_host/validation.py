"""Turns pydantic's validation errors into messages for the user."""

from pydantic import ValidationError


def describe(error: ValidationError) -> str:
    """List the problems with their keys, but without the values, which may be secrets."""
    problems = error.errors(include_url=False, include_input=False)
    texts = ((".".join(map(str, problem["loc"])), problem["msg"].removeprefix("Value error, ")) for problem in problems)
    return "; ".join(f"{place}: {message}" if place else message for place, message in texts)
