"""Parameters of infra/main.bicep that lead through all of its branches."""

from typing import Any

GIVEN: dict[str, Any] = {
    "environmentName": "dev",
    "location": "westeurope",
    "principalId": "11111111-1111-1111-1111-111111111111",
    "principalName": "someone@example.com",
}
"""Those that have no default."""

VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "Premium": {
        "planSku": "EP1",
        "alwaysReady": [{"name": "http", "instanceCount": 2}],
        "deployerIpAddress": "192.0.2.1",
    },
    "private": {
        "privateNetwork": True,
        "queueRights": "listenAndSend",
        "jobEventsQueue": "ends",
        "alertEmail": "operators@example.com",
        "alwaysReady": [{"name": "function:run_job_message", "instanceCount": 1}],
    },
    "storage": {"transport": "storage"},
    "private storage": {"transport": "storage", "privateNetwork": True},
}
