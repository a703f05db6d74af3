// The namespace, the queues of ../queues.json, and what the app may do with each of them.
param suffix string
param location string
param tags object
param sku string
param isPrivate bool
param queueRights string
param jobEventsQueue string
param identityPrincipalId string

var queues = loadJsonContent('../queues.json')
var roles = loadJsonContent('../roles.json')
var roleNames = queueRights == 'manage'
  ? ['Azure Service Bus Data Owner']
  : ['Azure Service Bus Data Receiver', 'Azure Service Bus Data Sender']
var grants = flatten(map(range(0, length(queues.names)), index => map(roleNames, role => { index: index, role: role })))

resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' = {
  name: 'sb-${suffix}'
  location: location
  tags: tags
  sku: {
    name: sku
    tier: sku
  }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
  }
}

resource queue 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' = [
  for name in queues.names: {
    parent: namespace
    name: name
    properties: queues.properties
  }
]

resource events 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' = if (!empty(jobEventsQueue)) {
  parent: namespace
  name: empty(jobEventsQueue) ? 'none' : jobEventsQueue
  properties: {
    requiresDuplicateDetection: true
    duplicateDetectionHistoryTimeWindow: 'P1D'
    deadLetteringOnMessageExpiration: true
  }
}

// On each queue, not on the namespace: the app cannot read, change or delete other queues of the namespace.
resource grant 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for each in grants: {
    name: guid(queue[each.index].id, identityPrincipalId, roles[each.role])
    scope: queue[each.index]
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[each.role])
      principalId: identityPrincipalId
      principalType: 'ServicePrincipal'
    }
  }
]

resource eventsGrant 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(jobEventsQueue)) {
  name: guid(events.id, identityPrincipalId, roles['Azure Service Bus Data Sender'])
  scope: events
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles['Azure Service Bus Data Sender'])
    principalId: identityPrincipalId
    principalType: 'ServicePrincipal'
  }
}

output id string = namespace.id
output host string = '${namespace.name}.servicebus.windows.net'
