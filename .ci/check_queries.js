// Checks the queries of infra/queries with the parser of Kusto itself, on the columns of the tables that they read.
// Usage: node .ci/check_queries.js DIRECTORY_OF_NODE_MODULES
const fs = require("fs");
const path = require("path");

const modules = path.resolve(process.argv[2], "@kusto/language-service-next");
require(path.join(modules, "bridge.min.js"));
require(path.join(modules, "Kusto.Language.Bridge.min.js"));

// https://learn.microsoft.com/azure/azure-monitor/reference/tables/apptraces and .../apprequests
const TABLES = `let AppTraces = datatable(TimeGenerated: datetime, Message: string, SeverityLevel: int, ItemCount: int,
  OperationId: string, AppRoleInstance: string, Properties: dynamic)[];
let AppRequests = datatable(TimeGenerated: datetime, OperationName: string, Name: string, Success: bool, DurationMs: real,
  ItemCount: int, ResultCode: string, AppRoleInstance: string)[];
`;

const folder = path.join(__dirname, "..", "infra", "queries");
let problems = 0;
const files = fs.readdirSync(folder).filter((name) => name.endsWith(".kql"));
for (const name of files) {
  const query = TABLES + fs.readFileSync(path.join(folder, name), "utf8");
  const found = Kusto.Language.KustoCode.ParseAndAnalyze(query, Kusto.Language.GlobalState.Default).GetDiagnostics();
  for (let at = 0; at < found.Count; at += 1) {
    const one = found.getItem(at);
    console.log(`${name}: ${one.Message} (${query.substr(one.Start, one.Length)})`);
    problems += 1;
  }
}
console.log(`${files.length} queries, ${problems} problems`);
process.exit(problems || !files.length ? 1 : 0);
