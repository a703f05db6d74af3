from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Item(Generic[T]):
    """One item of a source.

    Attributes:
        value: the item.
        cursor: from which the items after this one can be read; pass it to the task that is made of the item.
    """

    value: T
    cursor: Any
