"""The request bodies of the control interface."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Skip(BaseModel):
    """How far to set the clock forward; at most one day."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    seconds: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


class Restart(BaseModel):
    """The options of a restart.

    Attributes:
        seconds: the length of the outage, None until the emulator is told to resume.
        lose_messages: whether all messages are deleted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    seconds: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] | None = 0
    lose_messages: bool = False
