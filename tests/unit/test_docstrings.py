"""What a method does is said once, at the port; the classes that implement the port mark the method `@override`."""

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from typing_extensions import override

from repositories.ports import MessageQueue, Rows

ROOT = Path(__file__).parents[2]
APP = ("api", "controllers", "core", "engine", "repositories", "triggers")
FAKES = "tests/fakes"


def classes_in(*folders: str) -> Iterator[type]:
    for path in (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        module = importlib.import_module(name)
        yield from (each for each in vars(module).values() if inspect.isclass(each) and each.__module__ == name)


def is_port(base: type) -> bool:
    return getattr(base, "_is_protocol", False) and base.__module__.startswith("repositories.ports")


def methods(cls: type) -> dict[str, Callable[..., Any]]:
    return {name: each for name, each in vars(cls).items() if inspect.isfunction(each)}


def is_override(method: Callable[..., Any]) -> bool:
    return getattr(method, "__override__", False)


def repeats(said: str | None, port: str | None) -> bool:
    """Whether most words of the first sentence are those of the port's docstring."""
    words = re.findall(r"\w+", re.split(r"\.\s", said or "")[0].lower())
    known = set(re.findall(r"\w+", (port or "").lower()))
    return bool(words) and sum(word in known for word in words) > len(words) / 2


def said_twice(cls: type) -> set[str]:
    """The overriding methods of a class whose docstring repeats one of its bases'."""
    return {
        name
        for name, method in methods(cls).items()
        for base in cls.__mro__[1:]
        if is_override(method) and name in vars(base) and repeats(method.__doc__, vars(base)[name].__doc__)
    }


def unmarked(cls: type) -> set[str]:
    """The methods of a port that a class implements without `@override`."""
    names = {name for base in cls.__mro__[1:] if is_port(base) for name in methods(base) if not name.startswith("_")}
    return {name for name, method in methods(cls).items() if name in names and not is_override(method)}


def test_an_implementation_does_not_repeat_what_its_port_says() -> None:
    assert not {cls: found for cls in classes_in(*APP, FAKES) if (found := said_twice(cls))}


def test_the_methods_of_a_port_are_marked_where_they_are_implemented() -> None:
    assert not {cls: found for cls in classes_in(*APP, FAKES) if (found := unmarked(cls))}


def test_every_port_has_a_real_implementation_and_a_fake() -> None:
    classes = list(classes_in("repositories", FAKES))
    ports = {each for each in classes if is_port(each)} - {Rows}  # the fakes have tables in its place
    places = {each: {cls.__module__.split(".")[0] for cls in classes if each in cls.__mro__[1:]} for each in ports}
    assert places == {port: {"repositories", "tests"} for port in ports}


def test_a_docstring_that_repeats_its_port_is_seen() -> None:
    class Repeats(MessageQueue):
        @override
        def ping(self) -> None:
            """Checks that the broker can be reached."""

    class Adds(MessageQueue):
        @override
        def ping(self) -> None:
            """Opens a link, and sends nothing over it."""

    assert (said_twice(Repeats), said_twice(Adds)) == ({"ping"}, set())


def test_a_method_that_is_not_marked_is_seen() -> None:
    class Forgets(MessageQueue):
        def ping(self) -> None:
            pass

        def close(self) -> None:
            pass

    assert unmarked(Forgets) == {"ping"}
