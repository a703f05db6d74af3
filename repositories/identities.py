"""The identity of the app at Microsoft Entra ID."""

from dataclasses import dataclass, field

from azure.core.credentials import TokenCredential
from azure.identity import (
    ClientSecretCredential,
    DefaultAzureCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)

from core.errors import ConfigurationError


@dataclass(frozen=True)
class Identity:
    """Which identity the settings choose; the names are those of the settings of a connection."""

    credential: str | None = None
    client_id: str | None = None
    tenant_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    resource_id: str | None = None
    token_file: str | None = None


def credential(identity: Identity) -> TokenCredential:
    """Returns what gets the tokens of an identity; it chooses in the order in which the Functions host does.

    Raises:
        ConfigurationError: the settings of a workload identity are not complete.
    """
    client_id, tenant_id = identity.client_id, identity.tenant_id
    kind = (identity.credential or "").lower()
    if kind == "managedidentity" and identity.resource_id is not None:
        return ManagedIdentityCredential(identity_config={"resource_id": identity.resource_id})
    if kind == "managedidentity":
        return ManagedIdentityCredential(client_id=client_id)
    if kind == "workloadidentity":
        try:
            return WorkloadIdentityCredential(
                tenant_id=tenant_id, client_id=client_id, token_file_path=identity.token_file
            )
        except ValueError as exc:  # neither the settings nor AZURE_... name all three
            raise ConfigurationError(f"the workload identity of ServiceBusConnection is not complete: {exc}") from exc
    if client_id and tenant_id and identity.client_secret:
        return ClientSecretCredential(tenant_id, client_id, identity.client_secret)
    if client_id:
        return DefaultAzureCredential(managed_identity_client_id=client_id)
    # Not with None: that would be the system-assigned identity, whatever AZURE_CLIENT_ID says.
    return DefaultAzureCredential()
