// Everything that Lockstep needs in Azure, in a resource group of its own. docs/azure.md says how to deploy it.
targetScope = 'subscription'

@description('Names the environment of azd, and with it the resource group.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('The region of all resources.')
@metadata({ azd: { type: 'location' } })
param location string

@description('Who deploys: azd always puts who is signed in. Becomes the administrator of PostgreSQL, to create the role of the app and to migrate.')
param principalId string

@description('Of who deploys; azd puts this, too.')
@allowed(['User', 'ServicePrincipal'])
param principalType string = 'User'

@description('The object id of a group of Entra that is the administrator of PostgreSQL instead of who deploys; who deploys if empty.')
param administratorGroupId string = ''

@description('The name of the administrator in Entra: a user principal name, or the name of a group or an application.')
param principalName string

@description('FC1 is Flex Consumption; EP1, EP2 and EP3 are Premium.')
@allowed(['FC1', 'EP1', 'EP2', 'EP3'])
param planSku string = 'FC1'

@description('On Flex Consumption, the most instances of each function group: HTTP, and each function of a queue. On Premium, the most of the app, at most 20. Each may open databasePoolSize connections to PostgreSQL.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Of an instance on Flex Consumption.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('Requests that an instance on Flex Consumption answers at once; Azure would say 1 for Python. No more than the 32 threads of a worker.')
@minValue(1)
@maxValue(32)
param httpConcurrency int = 16

@description('Instances that never stop. On Flex Consumption, for example [{name: \'http\', instanceCount: 1}, {name: \'function:run_job_message\', instanceCount: 1}]; on Premium, the counts are added up.')
param alwaysReady array = []

@description('App settings beside those that reach PostgreSQL, Service Bus and storage; docs/configuration.md lists them.')
param moreAppSettings object = {}

@description('Connections of each instance to PostgreSQL. Times the instances that are busy at once, no more than the server admits (docs/azure.md, Scale).')
@minValue(1)
@maxValue(200)
param databasePoolSize int = 10

@description('What carries the messages: a namespace of Service Bus, or queues of the storage account, without Service Bus.')
@allowed(['serviceBus', 'storage'])
param transport string = 'serviceBus'

@description('Premium is needed for private endpoints.')
@allowed(['Standard', 'Premium'])
param serviceBusSku string = 'Standard'

@description('What the app may do with its queues. manage: the scale controller sees how long they are. listenAndSend: it does not (docs/decisions/0047).')
@allowed(['manage', 'listenAndSend'])
param queueRights string = 'manage'

@description('A queue that is told the ends of jobs (JOB_EVENTS); none if empty.')
param jobEventsQueue string = ''

@allowed(['16', '17', '18'])
param postgresVersion string = '18'

param postgresSku string = 'Standard_B2s'

@allowed(['Burstable', 'GeneralPurpose', 'MemoryOptimized'])
param postgresTier string = 'Burstable'

@minValue(32)
param postgresStorageGB int = 32

@allowed(['Disabled', 'SameZone', 'ZoneRedundant'])
param postgresHighAvailability string = 'Disabled'

@description('The public address from which the database is migrated; no rule for it if empty.')
param deployerIpAddress string = ''

@description('A virtual network, private endpoints, and no public access to PostgreSQL, Service Bus and storage.')
param privateNetwork bool = false

@description('Who is told of alerts; nobody if empty.')
param alertEmail string = ''

@minValue(30)
param logRetentionDays int = 30

var suffix = toLower(uniqueString(subscription().id, environmentName, location))
var tags = { 'azd-env-name': environmentName }
var isFlex = planSku == 'FC1'
var databaseName = 'lockstep'
var hasServiceBus = transport == 'serviceBus'

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: 'id-lockstep-${suffix}'
    location: location
    tags: tags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    suffix: suffix
    location: location
    tags: tags
    retentionDays: logRetentionDays
    identityPrincipalId: identity.outputs.principalId
  }
}

module network 'modules/network.bicep' = if (privateNetwork) {
  name: 'network'
  scope: group
  params: {
    suffix: suffix
    location: location
    tags: tags
    isFlex: isFlex
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    suffix: suffix
    location: location
    tags: tags
    isPrivate: privateNetwork
    hasQueues: !hasServiceBus
    jobEventsQueue: jobEventsQueue
    identityPrincipalId: identity.outputs.principalId
  }
}

module serviceBus 'modules/service-bus.bicep' = if (hasServiceBus) {
  name: 'service-bus'
  scope: group
  params: {
    suffix: suffix
    location: location
    tags: tags
    sku: privateNetwork ? 'Premium' : serviceBusSku
    isPrivate: privateNetwork
    queueRights: queueRights
    jobEventsQueue: jobEventsQueue
    identityPrincipalId: identity.outputs.principalId
  }
}

module database 'modules/database.bicep' = {
  name: 'database'
  scope: group
  params: {
    suffix: suffix
    location: location
    tags: tags
    version: postgresVersion
    sku: postgresSku
    tier: postgresTier
    storageGB: postgresStorageGB
    highAvailability: postgresHighAvailability
    databaseName: databaseName
    administratorId: empty(administratorGroupId) ? principalId : administratorGroupId
    administratorName: principalName
    administratorType: empty(administratorGroupId) ? principalType : 'Group'
    deployerIpAddress: deployerIpAddress
    isPrivate: privateNetwork
  }
}

module endpoints 'modules/private-endpoints.bicep' = if (privateNetwork) {
  name: 'private-endpoints'
  scope: group
  params: {
    location: location
    tags: tags
    networkId: network!.outputs.networkId
    subnetId: network!.outputs.endpointSubnetId
    targets: concat(
      [
        { name: 'blob', resourceId: storage.outputs.id, groupId: 'blob', zone: 'privatelink.blob.${environment().suffixes.storage}' }
        { name: 'database', resourceId: database.outputs.id, groupId: 'postgresqlServer', zone: 'privatelink.postgres.database.azure.com' }
      ],
      hasServiceBus
        ? [{ name: 'service-bus', resourceId: serviceBus!.outputs.id, groupId: 'namespace', zone: 'privatelink.servicebus.windows.net' }]
        : [{ name: 'queue', resourceId: storage.outputs.id, groupId: 'queue', zone: 'privatelink.queue.${environment().suffixes.storage}' }]
    )
  }
}

module app 'modules/app.bicep' = {
  name: 'app'
  scope: group
  params: {
    name: 'func-${suffix}'
    planName: 'plan-${suffix}'
    location: location
    tags: tags
    planSku: planSku
    maximumInstanceCount: maximumInstanceCount
    instanceMemoryMB: instanceMemoryMB
    httpConcurrency: httpConcurrency
    alwaysReady: alwaysReady
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    identityName: identity.outputs.name
    subnetId: privateNetwork ? network!.outputs.appSubnetId : ''
    storageName: storage.outputs.name
    packageContainerUrl: storage.outputs.packageContainerUrl
    serviceBusHost: hasServiceBus ? serviceBus!.outputs.host : ''
    databaseHost: database.outputs.host
    databaseName: databaseName
    databasePoolSize: databasePoolSize
    jobEventsQueue: jobEventsQueue
    applicationInsightsConnection: monitoring.outputs.connectionString
    moreAppSettings: moreAppSettings
  }
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    suffix: suffix
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    serviceBusId: hasServiceBus ? serviceBus!.outputs.id : ''
    databaseId: database.outputs.id
    email: alertEmail
  }
}

output AZURE_LOCATION string = location
output AZURE_RESOURCE_GROUP string = group.name
output LOCKSTEP_APP string = app.outputs.name
output LOCKSTEP_URL string = app.outputs.url
output LOCKSTEP_DATABASE_HOST string = database.outputs.host
output LOCKSTEP_DATABASE_NAME string = databaseName
output LOCKSTEP_DATABASE_ADMINISTRATOR string = principalName
output LOCKSTEP_IDENTITY_NAME string = identity.outputs.name
output LOCKSTEP_IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId
output LOCKSTEP_PACKAGE_CONTAINER_URL string = storage.outputs.packageContainerUrl
