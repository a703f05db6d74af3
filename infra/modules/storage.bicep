// The storage account of the Functions host, and the container of the app's packages. It has no usable keys.
param suffix string
param location string
param tags object
param isPrivate bool

@description('Whether its queues carry the messages of the app.')
param hasQueues bool

@description('A further queue, that is told the ends of jobs; none if empty.')
param jobEventsQueue string
param identityPrincipalId string

var roles = loadJsonContent('../roles.json')
var queues = loadJsonContent('../queues.json')

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' = {
  name: 'st${suffix}'
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
  properties: {
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'None'
      defaultAction: isPrivate ? 'Deny' : 'Allow'
    }
  }

  resource blobs 'blobServices' = {
    name: 'default'

    resource packages 'containers' = {
      name: 'app-package'
      properties: { publicAccess: 'None' }
    }
  }
}

// The Functions host keeps the leases of its timers and the keys of its functions in blobs, and creates their containers.
resource owner 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, identityPrincipalId, roles['Storage Blob Data Owner'])
  scope: account
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles['Storage Blob Data Owner'])
    principalId: identityPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2024-01-01' = if (hasQueues) {
  parent: account
  name: 'default'
}

resource queue 'Microsoft.Storage/storageAccounts/queueServices/queues@2024-01-01' = [
  for name in (hasQueues ? concat(queues.names, empty(jobEventsQueue) ? [] : [jobEventsQueue]) : []): {
    parent: queueService
    name: name
  }
]

// On the account, not on each queue: the Functions host makes a queue for the messages that it gives up on.
resource messages 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (hasQueues) {
  name: guid(account.id, identityPrincipalId, roles['Storage Queue Data Contributor'])
  scope: account
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles['Storage Queue Data Contributor'])
    principalId: identityPrincipalId
    principalType: 'ServicePrincipal'
  }
}

output id string = account.id
output name string = account.name
output packageContainerUrl string = '${account.properties.primaryEndpoints.blob}${account::blobs::packages.name}'
