"""What a method does is said once, at the port; the classes that implement the port mark the method `@override`."""

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from typing_extensions import override

from controllers.base import BatchWindow
from core.definitions import AlignedBatch
from repositories.ports import MessageQueue, Rows

ROOT = Path(__file__).parents[2]
APP = ("api", "controllers", "core", "engine", "repositories", "telemetry", "triggers")
FAKES = "tests/fakes"
CHECKED = (*APP, "local", FAKES)


def classes_in(*folders: str) -> Iterator[type]:
    for path in (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))):
        if path.name == "__main__.py":  # to import it is to run it
            continue
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        module = importlib.import_module(name)
        yield from (each for each in vars(module).values() if inspect.isclass(each) and each.__module__ == name)


def is_port(base: type) -> bool:
    return getattr(base, "_is_protocol", False) and base.__module__.split(".")[0] in (*APP, "local")


def methods(cls: type) -> dict[str, Callable[..., Any]]:
    """The methods and properties that a class defines itself, as functions."""
    found = {name: unwrapped(each) for name, each in vars(cls).items()}
    return {name: each for name, each in found.items() if inspect.isfunction(each)}


def unwrapped(attribute: object) -> object:
    if isinstance(attribute, property):
        return attribute.fget
    if isinstance(attribute, cached_property):
        return attribute.func
    return attribute.__func__ if isinstance(attribute, classmethod | staticmethod) else attribute


def is_override(method: Callable[..., Any]) -> bool:
    return getattr(method, "__override__", False)


_LABELS = re.compile(r"^ *(\w+:$|\w+: )", re.MULTILINE)
"""The headings of sections, and the names that they explain."""


def repeats(said: str | None, port: str | None) -> bool:
    """Whether most words of a sentence are those of the port's docstring."""
    known = set(words(port or ""))
    sentences = [words(sentence) for sentence in re.split(r"[.;]\s|\n\n", _LABELS.sub("", said or ""))]
    return any(sum(word in known for word in each) > len(each) / 2 for each in sentences)


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


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
    assert not {cls: found for cls in classes_in(*CHECKED) if (found := said_twice(cls))}


def test_the_methods_of_a_port_are_marked_where_they_are_implemented() -> None:
    assert not {cls: found for cls in classes_in(*CHECKED) if (found := unmarked(cls))}


def test_every_port_has_a_real_implementation_and_a_fake() -> None:
    classes = list(classes_in("repositories", FAKES))
    ports = {each for each in classes if is_port(each) and each.__module__.startswith("repositories.ports")} - {
        Rows
    }  # the fakes have tables in its place
    places = {each: {cls.__module__.split(".")[0] for cls in classes if each in cls.__mro__[1:]} for each in ports}
    assert places == {port: {"repositories", "tests"} for port in ports}


def test_a_docstring_that_repeats_its_port_is_seen() -> None:
    class Repeats(MessageQueue):
        @override
        def ping(self) -> list[str]:
            """Checks that the broker can be reached."""
            return []

    class Adds(MessageQueue):
        @override
        def ping(self) -> list[str]:
            """Opens a link, and sends nothing over it.

            Raises:
                QueueError: a thousand links are open.
            """
            return []

    class RepeatsLater(MessageQueue):
        @override
        def ping(self) -> list[str]:
            """Opens a link. So it checks that the broker can be reached."""
            return []

    assert [said_twice(each) for each in (Repeats, Adds, RepeatsLater)] == [{"ping"}, set(), {"ping"}]


def test_a_property_is_seen() -> None:
    class Port(Protocol):
        @property
        def age(self) -> int:
            """The seconds since it began."""
            ...

    class Repeats(Port):
        @property
        @override
        def age(self) -> int:
            """The seconds since its beginning."""
            return 0

    assert said_twice(Repeats) == {"age"}


def test_a_method_that_is_not_marked_is_seen() -> None:
    class Forgets(MessageQueue):
        def ping(self) -> list[str]:
            return []

        def close(self) -> None:
            pass

    class ForgetsToo(BatchWindow):
        def put_atomic(self, batch: AlignedBatch) -> None:
            pass

    assert (unmarked(Forgets), unmarked(ForgetsToo)) == ({"ping"}, {"put_atomic"})
