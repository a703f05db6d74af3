"""The defaults of parameters, for tests that do not build what has them."""

from collections.abc import Callable
from inspect import Parameter, signature

import pytest


def set_defaults(patch: pytest.MonkeyPatch, function: Callable[..., object], **changed: object) -> None:
    """Changes the defaults of some positional parameters; the others keep theirs.

    Raises:
        AssertionError: the function has no such parameter, or it has no default.
    """
    parameters = signature(function).parameters.values()
    defaults = {
        each.name: each.default
        for each in parameters
        if each.kind != Parameter.KEYWORD_ONLY
        if each.default is not Parameter.empty
    }
    assert changed.keys() <= defaults.keys()
    patch.setattr(function, "__defaults__", tuple({**defaults, **changed}.values()))
