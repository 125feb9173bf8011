// Is the schema one that other implementations read the same way? Checks it, and the operations that clients are
// generated from, with the reference implementation.
//   node schema.mjs <schema.graphql> <folder of operations>
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { buildSchema, parse, validate, validateSchema } from "graphql";

const [schemaFile, folder] = process.argv.slice(2);
if (!folder) {
  console.error("usage: node schema.mjs <schema.graphql> <folder of operations>");
  process.exit(2);
}

const schema = buildSchema(readFileSync(schemaFile, "utf8"));
const files = readdirSync(folder).filter((name) => name.endsWith(".graphql"));
const checks = [["the schema", validateSchema(schema)]];
for (const name of files) {
  checks.push([name, validate(schema, parse(readFileSync(path.join(folder, name), "utf8")))]);
}

for (const [name, errors] of checks) {
  console.log(`${errors.length ? "not ok" : "ok"} ${name}`);
  for (const error of errors) console.log(`  ${error.message}`);
}
const failed = checks.filter(([, errors]) => errors.length).length;
console.log(`${checks.length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
