// The Function App and its plan. It reaches everything as its identity: no setting holds a secret.
param name string
param planName string
param location string
param tags object
param planSku string
param maximumInstanceCount int
param instanceMemoryMB int
param httpConcurrency int
param alwaysReady array
param identityId string
param identityClientId string
param identityName string
param subnetId string
param storageName string
param packageContainerUrl string

@description('Of the namespace that carries the messages; the queues of the storage account do if it is empty.')
param serviceBusHost string
param databaseHost string
param databaseName string
param databasePoolSize int
param jobEventsQueue string
param applicationInsightsConnection string
param moreAppSettings object

var isFlex = planSku == 'FC1'
var pythonVersion = '3.13'

var settings = {
  AzureWebJobsStorage__accountName: storageName
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  APPLICATIONINSIGHTS_CONNECTION_STRING: applicationInsightsConnection
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  DATABASE_URL: 'postgresql://${identityName}@${databaseHost}:5432/${databaseName}?sslmode=verify-full'
  DATABASE_AUTH: 'entra'
  MIGRATE_ON_START: 'false'
  DATABASE_POOL_SIZE: string(databasePoolSize)
  PYTHON_THREADPOOL_THREAD_COUNT: '32'
}

var messageSettings = empty(serviceBusHost)
  ? {
      MESSAGE_TRANSPORT: 'storage'
      StorageConnection__accountName: storageName
      StorageConnection__credential: 'managedidentity'
      StorageConnection__clientId: identityClientId
      DATABASE_CLIENT_ID: identityClientId
    }
  : {
      ServiceBusConnection__fullyQualifiedNamespace: serviceBusHost
      ServiceBusConnection__credential: 'managedidentity'
      ServiceBusConnection__clientId: identityClientId
    }

var eventSettings = empty(jobEventsQueue) ? {} : { JOB_EVENTS: jobEventsQueue }

// Flex Consumption refuses these: functionAppConfig says there what they say here.
var premiumSettings = isFlex
  ? {}
  : {
      FUNCTIONS_EXTENSION_VERSION: '~4'
      FUNCTIONS_WORKER_RUNTIME: 'python'
      WEBSITE_RUN_FROM_PACKAGE: '${packageContainerUrl}/app.zip'
      WEBSITE_RUN_FROM_PACKAGE_BLOB_MI_RESOURCE_ID: identityId
    }

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: planName
  location: location
  tags: tags
  kind: isFlex ? 'functionapp' : 'elastic'
  sku: {
    name: planSku
    tier: isFlex ? 'FlexConsumption' : 'ElasticPremium'
  }
  properties: isFlex
    ? { reserved: true }
    : {
        reserved: true
        maximumElasticWorkerCount: min(maximumInstanceCount, 20)
      }
}

var flexProperties = {
  functionAppConfig: {
    deployment: {
      storage: {
        type: 'blobContainer'
        value: packageContainerUrl
        authentication: {
          type: 'UserAssignedIdentity'
          userAssignedIdentityResourceId: identityId
        }
      }
    }
    runtime: {
      name: 'python'
      version: pythonVersion
    }
    scaleAndConcurrency: {
      maximumInstanceCount: maximumInstanceCount
      instanceMemoryMB: instanceMemoryMB
      alwaysReady: alwaysReady
      triggers: { http: { perInstanceConcurrency: httpConcurrency } }
    }
  }
  siteConfig: {
    minTlsVersion: '1.2'
    http20Enabled: true
  }
}

var premiumProperties = {
  siteConfig: {
    linuxFxVersion: 'Python|${pythonVersion}'
    functionAppScaleLimit: min(maximumInstanceCount, 20)
    minimumElasticInstanceCount: max(1, reduce(map(alwaysReady, each => each.instanceCount), 0, (sum, count) => sum + count))
    functionsRuntimeScaleMonitoringEnabled: !empty(subnetId)
    vnetRouteAllEnabled: !empty(subnetId)
    healthCheckPath: '/api/health'
    ftpsState: 'Disabled'
    minTlsVersion: '1.2'
    http20Enabled: true
  }
}

var commonProperties = {
  serverFarmId: plan.id
  httpsOnly: true
  keyVaultReferenceIdentity: identityId
}

var networkProperties = empty(subnetId) ? {} : { virtualNetworkSubnetId: subnetId }

resource site 'Microsoft.Web/sites@2024-04-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'app' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: union(commonProperties, networkProperties, isFlex ? flexProperties : premiumProperties)

  resource appSettings 'config' = {
    name: 'appsettings'
    properties: union(settings, messageSettings, eventSettings, premiumSettings, moreAppSettings)
  }

  // Passwords of publishing would be a second way in.
  resource scm 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }

  // Flex Consumption has no FTP: it rejects ftpsState.
  resource ftp 'basicPublishingCredentialsPolicies' = if (!isFlex) {
    name: 'ftp'
    properties: { allow: false }
  }
}

output name string = site.name
output url string = 'https://${site.properties.defaultHostName}'
