"""What `azd up` would create: the queues that Lockstep needs, an app that starts, and no more rights than it needs."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from core.lanes import QUEUES
from infra.hooks import prepare_database
from local.stack import ROOT
from settings import Settings
from tests.support.bicep.evaluation import Deployment
from tests.support.bicep.syntax import parse
from tests.unit.infra.conftest import INFRA, Deploy, templates

_OTHERS = {"DATABASE_AUTH", "DATABASE_CLIENT_ID", "MIGRATE_ON_START", "MESSAGE_TRANSPORT"}
_OTHERS |= {f"StorageConnection__{each}" for each in ("accountName", "credential", "clientId")}
"""Settings of the connection to PostgreSQL by token, of migrations as a step, and of storage queues."""

_HOST = re.compile("AzureWebJobsStorage__.*|APPLICATIONINSIGHTS_.*|PYTHON_THREADPOOL_THREAD_COUNT")
_PREMIUM = {
    "FUNCTIONS_EXTENSION_VERSION",
    "FUNCTIONS_WORKER_RUNTIME",
    "WEBSITE_RUN_FROM_PACKAGE",
    "WEBSITE_RUN_FROM_PACKAGE_BLOB_MI_RESOURCE_ID",
}

_ROLES = json.loads((INFRA / "roles.json").read_text())

_QUEUE_TYPE = "Microsoft.ServiceBus/namespaces/queues"


def _settings(deployment: Deployment) -> Mapping[str, str]:
    (found,) = (each for each in deployment.of("Microsoft.Web/sites/config") if each.name.endswith("/appsettings"))
    settings: Mapping[str, str] = found.body["properties"]
    return settings


def _rights(deployment: Deployment) -> list[tuple[str, str]]:
    """The role assignments: the kind of resource and the role; the app's identity has all of them."""
    names = {value: name for name, value in _ROLES.items()}
    found = []
    for each in deployment.of("Microsoft.Authorization/roleAssignments"):
        properties = each.body["properties"]
        assert "id-lockstep-" in properties["principalId"]
        kind = each.scope[1:].rpartition("/")[0] if "/queues/" not in each.scope else each.scope.rpartition("/")[2]
        found.append((kind, names[properties["roleDefinitionId"].rpartition("/")[2]]))
    return sorted(found)


def test_the_queues_are_those_of_the_app_with_the_settings_of_the_local_ones(deployed: Deploy) -> None:
    made = {each.name.partition("/")[2]: each.body["properties"] for each in deployed().of(_QUEUE_TYPE)}
    assert made.keys() == set(QUEUES)
    text = re.sub("//[^\n]*", "", (ROOT / "local/service_bus/Config.json").read_text())
    local = {
        each["Name"]: {name[0].lower() + name[1:]: value for name, value in each["Properties"].items()}
        for each in json.loads(text)["UserConfig"]["Namespaces"][0]["Queues"]
    }
    longest = "defaultMessageTimeToLive"
    assert {name: {**each, longest: ""} for name, each in made.items()} == {
        name: {**each, longest: ""} for name, each in local.items()
    }


def test_a_message_waits_as_long_as_its_backlog(deployed: Deploy) -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    for each in deployed().of(_QUEUE_TYPE):
        assert f"`{each.body['properties']['defaultMessageTimeToLive']}`, the default of Standard and Premium" in page


@pytest.mark.parametrize("plan", ["FC1", "EP1"])
def test_the_app_starts_with_its_settings(deployed: Deploy, plan: str) -> None:
    given = _settings(deployed(planSku=plan, jobEventsQueue="ends"))
    known = {each.alias for each in Settings.model_fields.values()}
    own = {name for name in given if not _HOST.fullmatch(name)} - (_PREMIUM if plan == "EP1" else set())
    assert own <= known | _OTHERS
    settings = Settings.from_environment(
        {name: re.sub("<[^>]*>", "made.example", each) for name, each in given.items()}
    )
    assert settings.service_bus_namespace is not None
    assert settings.service_bus_client_id == "made.example"
    assert settings.service_bus_credential == "managedidentity"
    assert settings.job_events == "ends"
    assert settings.database_url.startswith("postgresql://id-lockstep-")


def test_settings_of_ones_own_win(deployed: Deploy) -> None:
    given = _settings(deployed(moreAppSettings={"DATABASE_POOL_SIZE": "8", "RETENTION_DAYS": "7"}))
    assert (given["DATABASE_POOL_SIZE"], given["RETENTION_DAYS"]) == ("8", "7")


def test_flex_consumption_gets_no_setting_that_it_refuses(deployed: Deploy) -> None:
    refused = re.compile(
        "FUNCTIONS_EXTENSION_VERSION|FUNCTIONS_WORKER_.*|FUNCTIONS_MAX_HTTP_.*|WEBSITE_.*|SCM_.*|ENABLE_ORYX_BUILD"
    )
    assert [name for name in _settings(deployed()) if refused.fullmatch(name)] == []


def test_an_instance_answers_several_requests_at_once_on_flex_consumption(deployed: Deploy) -> None:
    """Azure's default for Python is one: each request beside another would start an instance with a pool of its own."""
    made = deployed()
    scale = made.one("Microsoft.Web/sites").body["properties"]["functionAppConfig"]["scaleAndConcurrency"]
    assert scale["triggers"] == {"http": {"perInstanceConcurrency": 16}}
    assert scale["triggers"]["http"]["perInstanceConcurrency"] <= int(_settings(made)["PYTHON_THREADPOOL_THREAD_COUNT"])


def test_flex_consumption_gets_no_property_that_it_rejects(deployed: Deploy) -> None:
    """Azure's error 51021 names them: Azure/terraform-azurerm-avm-res-web-site, pull request 345 and issue 360."""
    rejected = {"alwaysOn", "ftpsState", "functionAppScaleLimit", "functionsRuntimeScaleMonitoringEnabled"}
    rejected |= {"linuxFxVersion", "netFrameworkVersion", "preWarmedInstanceCount", "use32BitWorkerProcess"}
    rejected |= {"minimumElasticInstanceCount", "vnetRouteAllEnabled"}
    made = deployed(privateNetwork=True)
    assert made.one("Microsoft.Web/sites").body["properties"]["siteConfig"].keys() & rejected == set()
    assert [
        each.name.rpartition("/")[2] for each in made.of("Microsoft.Web/sites/basicPublishingCredentialsPolicies")
    ] == ["scm"]


def test_the_plan_scales_as_far_as_its_parameter_says(deployed: Deploy) -> None:
    ready = [{"name": "http", "instanceCount": 1}, {"name": "function:run_job_message", "instanceCount": 2}]
    flex = deployed(maximumInstanceCount=77, instanceMemoryMB=4096, alwaysReady=ready).one("Microsoft.Web/sites")
    config = flex.body["properties"]["functionAppConfig"]
    assert config["runtime"] == {"name": "python", "version": "3.13"}
    assert config["scaleAndConcurrency"] == {
        "maximumInstanceCount": 77,
        "instanceMemoryMB": 4096,
        "alwaysReady": ready,
        "triggers": {"http": {"perInstanceConcurrency": 16}},
    }
    premium = deployed(planSku="EP2", maximumInstanceCount=77, alwaysReady=ready)
    site = premium.one("Microsoft.Web/sites").body["properties"]["siteConfig"]
    assert (site["linuxFxVersion"], site["functionAppScaleLimit"], site["minimumElasticInstanceCount"]) == (
        "Python|3.13",
        20,
        3,
    )
    assert premium.one("Microsoft.Web/serverfarms").body["properties"]["maximumElasticWorkerCount"] == 20


def test_the_default_server_admits_the_connections_of_a_group_that_is_scaled_out(deployed: Deploy) -> None:
    """The limit of Flex Consumption is one of each group; the page says what several busy groups need."""
    made = deployed()
    instances = made.one("Microsoft.Web/sites").body["properties"]["functionAppConfig"]["scaleAndConcurrency"]
    sku = made.one("Microsoft.DBforPostgreSQL/flexibleServers").body["sku"]["name"]
    row = re.search(rf"\| `{sku}`[^|]*\|[^|]*\| (\d+) \| (\d+) \| (\d+) \|", (ROOT / "docs" / "azure.md").read_text())
    assert row is not None
    pool = int(_settings(made)["DATABASE_POOL_SIZE"])
    assert instances["maximumInstanceCount"] * pool <= int(row[2])
    assert int(row[3]) == int(row[2]) // pool


def test_the_app_may_manage_its_queues_and_nothing_else_of_the_namespace(deployed: Deploy) -> None:
    assert _rights(deployed()) == sorted(
        [
            ("Microsoft.Insights/components", "Monitoring Metrics Publisher"),
            ("Microsoft.Storage/storageAccounts", "Storage Blob Data Owner"),
            *((name, "Azure Service Bus Data Owner") for name in QUEUES),
        ]
    )


def test_the_app_may_be_kept_from_managing_its_queues(deployed: Deploy) -> None:
    rights = [
        each for each in _rights(deployed(queueRights="listenAndSend", jobEventsQueue="ends")) if "." not in each[0]
    ]
    both = ("Azure Service Bus Data Receiver", "Azure Service Bus Data Sender")
    assert rights == sorted([("ends", both[1]), *((name, role) for name in QUEUES for role in both)])


def test_without_service_bus_the_queues_are_those_of_the_storage_account(deployed: Deploy) -> None:
    made = deployed(transport="storage")
    assert made.of("Microsoft.ServiceBus/namespaces") == []
    kind = "Microsoft.Storage/storageAccounts/queueServices/queues"
    assert {each.name.rpartition("/")[2] for each in made.of(kind)} == set(QUEUES)
    storage = "Microsoft.Storage/storageAccounts"
    assert [role for kind, role in _rights(made) if kind == storage] == [
        "Storage Blob Data Owner",
        "Storage Queue Data Contributor",
    ]
    given = _settings(made)
    assert given["MESSAGE_TRANSPORT"] == "storage"
    assert f"{given['StorageConnection__accountName']}" == made.one(storage).name
    assert [name for name in given if name.startswith("ServiceBus")] == []
    assert [each.name for each in made.of("Microsoft.Insights/metricAlerts")] == ["lockstep-database-disk"]
    assert deployed().of(kind) == []


def test_without_service_bus_the_ends_of_jobs_have_a_queue_as_well(deployed: Deploy) -> None:
    made = deployed(transport="storage", jobEventsQueue="ends")
    names = {each.name for each in made.of("Microsoft.Storage/storageAccounts/queueServices/queues")}
    assert {name.rsplit("/", 1)[-1] for name in names} == {*QUEUES, "ends"}


def test_a_private_network_reaches_storage_queues(deployed: Deploy) -> None:
    zones = deployed(transport="storage", privateNetwork=True).of("Microsoft.Network/privateDnsZones")
    assert sorted(each.name.split(".")[1] for each in zones) == ["blob", "postgres", "queue"]


def test_role_ids_are_those_of_azures_page_of_built_in_roles() -> None:
    assert _ROLES == {
        "Azure Service Bus Data Owner": "090c5cfd-751d-490a-894a-3ce6f1109419",
        "Azure Service Bus Data Receiver": "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0",
        "Azure Service Bus Data Sender": "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39",
        "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
        "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
        "Storage Queue Data Contributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    }


def test_nothing_can_be_reached_with_a_key_or_a_password(deployed: Deploy) -> None:
    made = deployed()
    assert made.one("Microsoft.Storage/storageAccounts").body["properties"]["allowSharedKeyAccess"] is False
    assert made.one("Microsoft.ServiceBus/namespaces").body["properties"]["disableLocalAuth"] is True
    assert made.one("Microsoft.Insights/components").body["properties"]["DisableLocalAuth"] is True
    server = made.one("Microsoft.DBforPostgreSQL/flexibleServers").body["properties"]
    assert {**server["authConfig"], "tenantId": ""} == {
        "activeDirectoryAuth": "Enabled",
        "passwordAuth": "Disabled",
        "tenantId": "",
    }
    for plan, names in (("FC1", ["scm"]), ("EP1", ["ftp", "scm"])):
        policies = deployed(planSku=plan).of("Microsoft.Web/sites/basicPublishingCredentialsPolicies")
        assert sorted(each.name.rpartition("/")[2] for each in policies) == names
        assert all(each.body["properties"] == {"allow": False} for each in policies)
    assert made.one("Microsoft.Web/sites").body["identity"]["type"] == "UserAssigned"


def test_the_templates_hold_no_secret() -> None:
    secret = re.compile(r"list[A-Z]\w*\(|@secure|SharedAccess|AccountKey|(?i:password(?!Auth|s of))|sig=")
    files = [*templates(), *INFRA.rglob("*.json"), *INFRA.rglob("*.kql")]
    assert [str(path) for path in files if secret.search(path.read_text())] == []


def test_a_private_network_closes_every_public_way_but_that_to_the_app(deployed: Deploy) -> None:
    made = deployed(privateNetwork=True)
    assert made.one("Microsoft.ServiceBus/namespaces").body["sku"]["name"] == "Premium"
    for kind in ("Microsoft.ServiceBus/namespaces", "Microsoft.Storage/storageAccounts"):
        assert made.one(kind).body["properties"]["publicNetworkAccess"] == "Disabled"
    server = made.one("Microsoft.DBforPostgreSQL/flexibleServers").body["properties"]
    assert server["network"]["publicNetworkAccess"] == "Disabled"
    assert made.of("Microsoft.DBforPostgreSQL/flexibleServers/firewallRules") == []
    targets = [
        each.body["properties"]["privateLinkServiceConnections"][0]["properties"]["privateLinkServiceId"].split("/")[2]
        for each in made.of("Microsoft.Network/privateEndpoints")
    ]
    assert sorted(targets) == ["flexibleServers", "namespaces", "storageAccounts"]
    assert made.one("Microsoft.Web/sites").body["properties"]["virtualNetworkSubnetId"].endswith("/app")


_DELEGATIONS = {"FC1": "Microsoft.App/environments", "EP1": "Microsoft.Web/serverFarms"}


@pytest.mark.parametrize(("plan", "delegation"), _DELEGATIONS.items())
def test_the_subnet_of_the_app_is_delegated_to_its_plan(deployed: Deploy, plan: str, delegation: str) -> None:
    network = deployed(privateNetwork=True, planSku=plan).one("Microsoft.Network/virtualNetworks").body["properties"]
    assert network["subnets"][0]["properties"]["delegations"][0]["properties"]["serviceName"] == delegation


def test_the_database_admits_the_address_of_who_deploys(deployed: Deploy) -> None:
    rules = deployed(deployerIpAddress="192.0.2.7").of("Microsoft.DBforPostgreSQL/flexibleServers/firewallRules")
    addresses = {each.name.rpartition("/")[2]: each.body["properties"]["startIpAddress"] for each in rules}
    assert addresses == {"azure": "0.0.0.0", "deployer": "192.0.2.7"}


def test_who_deploys_is_the_administrator_unless_a_group_is(deployed: Deploy) -> None:
    kind = "Microsoft.DBforPostgreSQL/flexibleServers/administrators"
    alone = deployed().one(kind)
    assert alone.name.endswith("/11111111-1111-1111-1111-111111111111")
    assert alone.body["properties"]["principalType"] == "User"
    group = "22222222-2222-2222-2222-222222222222"
    shared = deployed(administratorGroupId=group, principalName="operators", principalType="ServicePrincipal").one(kind)
    assert shared.name.endswith(f"/{group}")
    given = {name: shared.body["properties"][name] for name in ("principalName", "principalType")}
    assert given == {"principalName": "operators", "principalType": "Group"}


def test_nobody_is_told_to_set_what_azd_overwrites() -> None:
    """It puts the principal that is signed in for AZURE_PRINCIPAL_ID and _TYPE, whatever the environment says."""
    page = (ROOT / "docs" / "azure.md").read_text().partition("## Sources")[0]
    assert "AZURE_PRINCIPAL" not in page


@pytest.mark.parametrize("given", [{}, {"deployerIpAddress": "192.0.2.7"}, {"privateNetwork": True}], ids=str)
def test_the_server_gets_one_change_at_a_time_and_its_administrator_last(deployed: Deploy, given: Any) -> None:
    """A principal of Entra is refused while the server is not ready: Azure/azure-postgresql, issue 127."""
    server = "Microsoft.DBforPostgreSQL/flexibleServers"
    changes = [each for each in deployed(**given).resources if each.type.startswith(f"{server}/")]
    (administrator,) = (each for each in changes if each.type.endswith("/administrators"))
    others = [each for each in changes if each is not administrator]
    assert {each.id for each in others} <= set(administrator.after)
    database, *rules = sorted(others, key=lambda each: each.type)
    assert [each.after for each in rules] == [(each.id,) for each in [database, *rules][:-1]]


def test_azd_gives_each_parameter_that_has_no_default() -> None:
    given = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    parameters = {each.name: each for each in parse(INFRA / "main.bicep").of("param")}
    assert given.keys() <= parameters.keys()
    assert {name for name, each in parameters.items() if each.value is None} <= given.keys()


def test_the_page_names_each_parameter_and_each_variable_that_a_user_sets() -> None:
    page = (ROOT / "docs" / "azure.md").read_text()
    variables = re.findall(r"\$\{(LOCKSTEP_[A-Z_]+)", (INFRA / "main.parameters.json").read_text())
    assert [name for name in variables if f"| `{name}` |" not in page] == []
    of_azd = {"environmentName", "location", "principalId", "principalType"}
    parameters = {each.name for each in parse(INFRA / "main.bicep").of("param")} - of_azd
    assert [name for name in sorted(parameters) if f"`{name}`" not in page] == []


def test_the_hook_finds_its_variables_among_the_outputs(deployed: Deploy) -> None:
    assert set(prepare_database.NEEDED) <= deployed().outputs.keys()


def test_azd_deploys_the_app_of_the_template(deployed: Deploy) -> None:
    text = (ROOT / "azure.yaml").read_text()
    service = deployed().one("Microsoft.Web/sites").body["tags"]["azd-service-name"]
    assert f"services:\n  {service}:\n    project: .\n    language: python\n    host: function\n" in text
    hook = re.search(r"run: (\S+)", text)
    assert hook is not None
    assert (ROOT / hook[1]).stat().st_mode & 0o100


def test_an_azd_that_would_upload_the_whole_checkout_is_refused() -> None:
    """Before 1.18.0 it did not read .funcignore."""
    wanted = re.search(r'^requiredVersions:\n  azd: ">= 1\.(\d+)\.0"', (ROOT / "azure.yaml").read_text(), re.MULTILINE)
    assert wanted is not None
    assert int(wanted[1]) >= 18
    assert f"1.{wanted[1]}.0 or newer" in (ROOT / "docs" / "azure.md").read_text()


def test_each_source_that_the_page_cites_is_named_and_each_that_is_named_is_cited() -> None:
    text, _, sources = (ROOT / "docs" / "azure.md").read_text().partition("## Sources")
    cited = {int(number) for number in re.findall(r"\[(\d+)\](?!\()", text)}
    named = [int(number) for number in re.findall(r"^\| (\d+) \|", sources, re.MULTILINE)]
    assert named == [*range(1, len(named) + 1)]
    assert cited == set(named)


def test_the_page_asks_azd_only_for_what_the_template_puts_out(deployed: Deploy) -> None:
    """Or for what azd itself knows; and a variable that is set is one of the parameters, or one that the hook reads."""
    page = (ROOT / "docs" / "azure.md").read_text()
    asked = set(re.findall(r"azd env get-value (\w+)", page))
    asked |= set((re.findall(r"grep -E '\^\((.*?)\)='", page) or [""])[0].split("|"))
    assert len(asked) >= 7
    assert asked <= deployed().outputs.keys() | {"AZURE_SUBSCRIPTION_ID"}
    given = (INFRA / "main.parameters.json").read_text() + (INFRA / "hooks" / "predeploy.sh").read_text()
    assert [
        name for name in re.findall(r"azd env set (\w+)", page) if name != "NAME" and f"${{{name}" not in given
    ] == []
