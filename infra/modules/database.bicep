// PostgreSQL, which knows principals of Entra only. Who deploys is its administrator; hooks/prepare_database.py makes the app's role.
param suffix string
param location string
param tags object
param version string
param sku string
param tier string
param storageGB int
param highAvailability string
param databaseName string
param administratorId string
param administratorName string
param administratorType string
param deployerIpAddress string
param isPrivate bool

resource server 'Microsoft.DBforPostgreSQL/flexibleServers@2025-08-01' = {
  name: 'psql-${suffix}'
  location: location
  tags: tags
  sku: {
    name: sku
    tier: tier
  }
  properties: {
    version: version
    authConfig: {
      activeDirectoryAuth: 'Enabled'
      passwordAuth: 'Disabled'
      tenantId: tenant().tenantId
    }
    storage: {
      storageSizeGB: storageGB
      autoGrow: 'Enabled'
    }
    backup: {
      backupRetentionDays: 14
      geoRedundantBackup: 'Disabled'
    }
    highAvailability: { mode: highAvailability }
    network: { publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled' }
  }
}

resource database 'Microsoft.DBforPostgreSQL/flexibleServers/databases@2025-08-01' = {
  parent: server
  name: databaseName
  properties: {
    charset: 'UTF8'
    collation: 'en_US.utf8'
  }
}

// The server takes one change at a time, so each of these waits for the one before it.
// Flex Consumption has no fixed addresses, so without a virtual network the server admits all addresses of Azure.
resource azureAddresses 'Microsoft.DBforPostgreSQL/flexibleServers/firewallRules@2025-08-01' = if (!isPrivate) {
  parent: server
  name: 'azure'
  properties: {
    startIpAddress: '0.0.0.0'
    endIpAddress: '0.0.0.0'
  }
  dependsOn: [database]
}

resource deployerAddress 'Microsoft.DBforPostgreSQL/flexibleServers/firewallRules@2025-08-01' = if (!isPrivate && !empty(deployerIpAddress)) {
  parent: server
  name: 'deployer'
  properties: {
    startIpAddress: deployerIpAddress
    endIpAddress: deployerIpAddress
  }
  dependsOn: [azureAddresses]
}

// The last, because Azure refuses it while the server is not ready. All are named: one that is not deployed passes on no wait.
resource administrator 'Microsoft.DBforPostgreSQL/flexibleServers/administrators@2025-08-01' = {
  parent: server
  name: administratorId
  properties: {
    principalName: administratorName
    principalType: administratorType
    tenantId: tenant().tenantId
  }
  dependsOn: [database, azureAddresses, deployerAddress]
}

output id string = server.id
output host string = server.properties.fullyQualifiedDomainName
