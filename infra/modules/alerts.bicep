// Who is told when jobs get stuck. docs/runbook.md says of each alert what it means and what to do.
param suffix string
param location string
param tags object
param workspaceId string

@description('Empty if there is no namespace of Service Bus.')
param serviceBusId string
param databaseId string
param email string

var actionGroups = empty(email) ? [] : [actions.id]
var metricActions = empty(email) ? [] : [{ actionGroupId: actions.id }]

// An alert fires when its query finds a row in the window; no-sweep, when it finds none.
var rules = [
  {
    name: 'stuck-job'
    title: 'A job does not move on'
    query: loadTextContent('../queries/stuck-jobs.kql')
    severity: 2
    window: 'PT1H'
    every: 'PT15M'
    operator: 'GreaterThan'
  }
  {
    name: 'dead-letters'
    title: 'A message became a dead letter'
    query: loadTextContent('../queries/dead-letters.kql')
    severity: 2
    window: 'PT15M'
    every: 'PT5M'
    operator: 'GreaterThan'
  }
  {
    name: 'outbox-age'
    title: 'Rows wait for the broker'
    query: loadTextContent('../queries/outbox-age.kql')
    severity: 1
    window: 'PT15M'
    every: 'PT5M'
    operator: 'GreaterThan'
  }
  {
    name: 'error-rate'
    title: 'Invocations fail'
    query: loadTextContent('../queries/error-rate.kql')
    severity: 2
    window: 'PT15M'
    every: 'PT5M'
    operator: 'GreaterThan'
  }
  {
    name: 'no-sweep'
    title: 'The sweeper does not run'
    query: loadTextContent('../queries/sweeps.kql')
    severity: 1
    window: 'PT15M'
    every: 'PT5M'
    operator: 'LessThan'
  }
]

var packed = [
  { name: 'stuck-jobs', query: loadTextContent('../queries/stuck-jobs.kql') }
  { name: 'dead-letters', query: loadTextContent('../queries/dead-letters.kql') }
  { name: 'outbox-age', query: loadTextContent('../queries/outbox-age.kql') }
  { name: 'error-rate', query: loadTextContent('../queries/error-rate.kql') }
  { name: 'outages', query: loadTextContent('../queries/outages.kql') }
  { name: 'sweeps', query: loadTextContent('../queries/sweeps.kql') }
  { name: 'failed-jobs', query: loadTextContent('../queries/failed-jobs.kql') }
]

resource actions 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: 'ag-${suffix}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'lockstep'
    enabled: true
    emailReceivers: [
      {
        name: 'operators'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

resource rule 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for each in rules: {
    name: 'lockstep-${each.name}'
    location: location
    tags: tags
    properties: {
      displayName: 'Lockstep: ${each.title}'
      description: 'docs/runbook.md, ${each.name}'
      severity: each.severity
      enabled: true
      scopes: [workspaceId]
      // A new workspace may not know the tables of Application Insights yet; `make check` parses the queries.
      skipQueryValidation: true
      evaluationFrequency: each.every
      windowSize: each.window
      criteria: {
        allOf: [
          {
            query: each.query
            timeAggregation: 'Count'
            operator: each.operator
            threshold: each.operator == 'LessThan' ? 1 : 0
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      autoMitigate: true
      actions: { actionGroups: actionGroups }
    }
  }
]

// The app empties the broker's dead-letter queues within seconds, so a message that stays there is handled by nobody.
resource undrained 'Microsoft.Insights/metricAlerts@2018-03-01' = if (!empty(serviceBusId)) {
  name: 'lockstep-undrained-dead-letters'
  location: 'global'
  tags: tags
  properties: {
    description: 'docs/runbook.md, undrained-dead-letters'
    severity: 2
    enabled: true
    scopes: [serviceBusId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'dead letters'
          criterionType: 'StaticThresholdCriterion'
          metricName: 'DeadletteredMessages'
          // Each queue by itself: the least value of all queues is 0 as long as one of them has no dead letters.
          dimensions: [{ name: 'EntityName', operator: 'Include', values: ['*'] }]
          timeAggregation: 'Minimum'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    autoMitigate: true
    actions: metricActions
  }
}

resource disk 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'lockstep-database-disk'
  location: 'global'
  tags: tags
  properties: {
    description: 'docs/runbook.md, database-disk'
    severity: 1
    enabled: true
    scopes: [databaseId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'disk'
          criterionType: 'StaticThresholdCriterion'
          metricName: 'storage_percent'
          timeAggregation: 'Average'
          operator: 'GreaterThan'
          threshold: 80
        }
      ]
    }
    autoMitigate: true
    actions: metricActions
  }
}

resource pack 'Microsoft.OperationalInsights/queryPacks@2019-09-01' = {
  name: 'lockstep-${suffix}'
  location: location
  tags: tags
  properties: {}
}

resource packedQuery 'Microsoft.OperationalInsights/queryPacks/queries@2019-09-01' = [
  for each in packed: {
    parent: pack
    name: guid(pack.id, each.name)
    properties: {
      displayName: 'Lockstep: ${each.name}'
      description: 'docs/runbook.md'
      body: each.query
      related: { categories: ['applications'] }
    }
  }
]
