// Is the endpoint GraphQL over HTTP? Asks it with every audit of the graphql-http suite.
//   node audit.mjs <endpoint>
import { serverAudits } from "graphql-http";

const [url] = process.argv.slice(2);
if (!url) {
  console.error("usage: node audit.mjs <endpoint>");
  process.exit(2);
}

let failed = 0;
const audits = serverAudits({ url, fetchFn: fetch });
for (const audit of audits) {
  const result = await audit.fn();
  if (result.status === "ok") continue;
  failed += 1;
  console.log(`${result.status} ${audit.id} ${audit.name}: ${result.reason}`);
}
console.log(`${audits.length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
