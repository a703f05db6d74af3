from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Skip(BaseModel):
    """How much time shall pass at once; a day at most."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    seconds: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


class Restart(BaseModel):
    """How to restart.

    Attributes:
        seconds: how long nobody listens, None for until the emulator is told to resume.
        lose_messages: whether the queues are empty afterwards.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    seconds: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] | None = 0
    lose_messages: bool = False
