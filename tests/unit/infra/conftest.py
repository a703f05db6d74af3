"""The templates of infra/, evaluated as `azd up` would deploy them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.stack import ROOT
from tests.support.bicep.evaluation import Deployment, deploy

INFRA = ROOT / "infra"

_GIVEN = {
    "environmentName": "dev",
    "location": "westeurope",
    "principalId": "11111111-1111-1111-1111-111111111111",
    "principalName": "someone@example.com",
}

Deploy = Callable[..., Deployment]


@pytest.fixture
def deployed() -> Deploy:
    """Evaluates infra/main.bicep; keyword arguments are parameters."""

    def run(**parameters: Any) -> Deployment:
        return deploy(INFRA / "main.bicep", {**_GIVEN, **parameters})

    return run


def templates() -> list[Path]:
    return sorted(INFRA.rglob("*.bicep"))
