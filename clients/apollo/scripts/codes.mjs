// Writes src/codes.ts from the enum `ErrorCode` of schema.graphql.
//   node scripts/codes.mjs            writes the file
//   node scripts/codes.mjs --check    fails when the file is not what it would write
import { readFileSync, writeFileSync } from "node:fs";
import { parse } from "graphql";

const SCHEMA = new URL("../../../schema.graphql", import.meta.url);
const FILE = new URL("../src/codes.ts", import.meta.url);

const { definitions } = parse(readFileSync(SCHEMA, "utf8"));
const { values } = definitions.find((definition) => definition.name?.value === "ErrorCode");
const members = values.map(({ name, description }) => {
  const lines = description.value.trim().split("\n");
  const comment =
    lines.length === 1 ? `  /** ${lines[0]} */` : ["  /**", ...lines.map((line) => `   * ${line}`), "   */"].join("\n");
  return `${comment}\n  | "${name.value}"`;
});

const text = `// Written by scripts/codes.mjs from schema.graphql. Do not edit: run \`npm run codes\`.

/** A value of \`extensions.code\`. A newer server may send others: treat those like \`INTERNAL_SERVER_ERROR\`. */
export type ErrorCode =
${members.join("\n")};
`;

if (!process.argv.includes("--check")) {
  writeFileSync(FILE, text);
} else if (readFileSync(FILE, "utf8") !== text) {
  console.error("src/codes.ts is not what schema.graphql says: run `npm run codes`");
  process.exit(1);
}
