"""Finds the functions of an app, by the public API of azure-functions (v2 programming model)."""

import importlib
import inspect
import json
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import azure.functions as func
from azure.functions import meta

from local.functions_host.errors import AppLoadError
from local.functions_host.protocol import IndexedFunction

SUPPORTED_BINDINGS = frozenset({"httpTrigger", "http", "serviceBusTrigger", "timerTrigger"})


@dataclass(frozen=True, slots=True)
class LoadedFunction:
    """A function of the app, ready to be called in this process."""

    indexed: IndexedFunction
    call: Callable[..., Any]
    is_async: bool
    wants_context: bool
    trigger: Mapping[str, Any]
    returns_http: bool


def load_app(app_dir: Path) -> dict[str, LoadedFunction]:
    """Import ``function_app.py`` of a directory and index its functions, those of blueprints included.

    Raises:
        AppLoadError: there is no such file, no single FunctionApp in it, or a function has a wrong binding.
        Exception: whatever the app's own code raises while it is imported.
    """
    if not (app_dir / "function_app.py").is_file():
        raise AppLoadError(f"{app_dir} has no function_app.py")
    sys.path[0] = str(app_dir)
    module = importlib.import_module("function_app")
    apps = {id(value): value for value in vars(module).values() if isinstance(value, func.FunctionRegister)}
    if len(apps) != 1:
        raise AppLoadError(f"function_app.py must define one FunctionApp, found {len(apps)}")
    (app,) = apps.values()
    functions = [_load(function) for function in app.get_functions()]
    return {function.indexed.name: function for function in functions}


def _load(function: Any) -> LoadedFunction:
    name = function.get_function_name()
    bindings = json.loads(function.get_function_json())["bindings"]
    for binding in bindings:
        if binding["type"] not in SUPPORTED_BINDINGS:
            raise AppLoadError(f"function {name}: this host has no binding of type {binding['type']}")
    trigger = next(binding for binding in bindings if binding["type"].endswith("Trigger"))
    call = function.get_user_function()
    _check_signature(name, call, trigger)
    return LoadedFunction(
        indexed=IndexedFunction(name, bindings),
        call=call,
        is_async=inspect.iscoroutinefunction(call),
        wants_context="context" in inspect.signature(call).parameters,
        trigger=trigger,
        returns_http=any(binding["type"] == "http" and binding["name"] == "$return" for binding in bindings),
    )


def _check_signature(name: str, call: Callable[..., Any], trigger: Mapping[str, Any]) -> None:
    """Refuse what Azure's worker refuses: parameters without a binding, bindings without a parameter, wrong types."""
    parameters = set(inspect.signature(call).parameters) - {"context"}
    if parameters != {trigger["name"]}:
        expected = [trigger["name"]]
        raise AppLoadError(f"function {name}: parameters {sorted(parameters)} do not match its bindings {expected}")
    annotation = typing.get_type_hints(call).get(trigger["name"])
    if annotation is None:
        return
    converter = meta.get_binding_registry().get(trigger["type"])
    try:
        fits = converter.check_input_type_annotation(annotation)
    except TypeError:  # the converter calls issubclass, and a generic type is not a class
        fits = False
    if not fits:
        raise AppLoadError(f"function {name}: a {trigger['type']} cannot be given as {annotation}")


def indexed(functions: Mapping[str, LoadedFunction]) -> Sequence[IndexedFunction]:
    """The part of loaded functions that the host needs to know."""
    return [function.indexed for function in functions.values()]
