"""Refuses parameters of the query that a route would ignore.

Without a mistyped `status`, a list has all jobs; without a mistyped `start_at`, a job starts at once.
"""

import functools
from collections.abc import Callable

import azure.functions as func

from core.errors import FieldError, InvalidInputError

HttpFunction = Callable[[func.HttpRequest], func.HttpResponse]

_OF_THE_HOST = frozenset({"code", "clientId"})
"""The function key and its name, which the Functions host reads."""


def takes(*names: str) -> Callable[[HttpFunction], HttpFunction]:
    """Answers 400 to a request whose query has other parameters than these. For routes that take any."""

    def decorate(function: HttpFunction) -> HttpFunction:
        @functools.wraps(function)
        def checked(req: func.HttpRequest) -> func.HttpResponse:
            unknown = sorted(req.params.keys() - _OF_THE_HOST - set(names))
            if unknown:
                errors = [FieldError(name, f"{name} is not known; it takes {', '.join(names)}") for name in unknown]
                raise InvalidInputError("; ".join(error.message for error in errors), errors)
            return function(req)

        return checked

    return decorate
