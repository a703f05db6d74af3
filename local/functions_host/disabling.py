"""App settings that disable functions: ``AzureWebJobs.NAME.Disabled``.

On Linux, the name of an environment variable may hold no period, so Azure's host also reads
``AzureWebJobs_NAME_Disabled`` (azure-webjobs-sdk, HostListenerFactory.IsDisabled). Names and values have no case.
"""

from collections.abc import Mapping

_TRUE = frozenset({"1", "true"})


def is_disabled(function: str, environment: Mapping[str, str]) -> bool:
    """Whether an app setting disables a function."""
    names = {f"azurewebjobs.{function}.disabled".lower(), f"azurewebjobs_{function}_disabled".lower()}
    return any(name.lower() in names and value.lower() in _TRUE for name, value in environment.items())
