"""Imports an app and finds its functions with the public API of azure-functions (v2 programming model)."""

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

SUPPORTED_BINDINGS = frozenset({"httpTrigger", "http", "serviceBusTrigger", "queueTrigger", "timerTrigger"})


@dataclass(frozen=True, slots=True)
class LoadedFunction:
    """A function that this process has imported and can call."""

    indexed: IndexedFunction
    call: Callable[..., Any]
    is_async: bool
    wants_context: bool
    trigger: Mapping[str, Any]
    returns_http: bool


def load_app(app_dir: Path) -> dict[str, LoadedFunction]:
    """Import ``function_app.py`` from a directory and index its functions, including those of blueprints.

    Raises:
        AppLoadError: the file is missing, does not define exactly one FunctionApp, or a binding is wrong.
        Exception: any exception that the app's code raises during the import.
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
            raise AppLoadError(f"function {name}: this host does not support bindings of type {binding['type']}")
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
    """Reject what Azure's worker rejects: parameters without a binding, bindings without a parameter, wrong types."""
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
        raise AppLoadError(f"function {name}: a {trigger['type']} cannot be passed as {annotation}")


def indexed(functions: Mapping[str, LoadedFunction]) -> Sequence[IndexedFunction]:
    """The functions as the host needs them: names and bindings, without the code."""
    return [function.indexed for function in functions.values()]
