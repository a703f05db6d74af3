"""The templates of infra/, evaluated as `azd up` would deploy them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.stack import ROOT
from tests.support.bicep.evaluation import Deployment, deploy
from tests.support.bicep.variants import GIVEN

INFRA = ROOT / "infra"

Deploy = Callable[..., Deployment]


@pytest.fixture
def deployed() -> Deploy:
    """Evaluates infra/main.bicep; keyword arguments are parameters."""

    def run(**parameters: Any) -> Deployment:
        return deploy(INFRA / "main.bicep", {**GIVEN, **parameters})

    return run


def templates() -> list[Path]:
    return sorted(INFRA.rglob("*.bicep"))
