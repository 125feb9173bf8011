// Does the schema break clients of the last release? Compares schema.graphql with that of the last tag, and fails when it does.
//   node breaking.mjs <repository>
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { CriticalityLevel, diff } from "@graphql-inspector/core";
import { buildSchema } from "graphql";

const [repository] = process.argv.slice(2);
if (!repository) {
  console.error("usage: node breaking.mjs <repository>");
  process.exit(2);
}

const git = (...args) => execFileSync("git", ["-C", repository, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();

/** The last release that this commit comes after, or null. */
function lastTag() {
  // Without it there is no repository at all, and the error says so.
  git("rev-parse", "HEAD");
  try {
    return git("describe", "--tags", "--abbrev=0");
  } catch {
    return null;
  }
}

function notChecked(why) {
  console.log(`NOT CHECKED: ${why}`);
  process.exit(0);
}

const tag = lastTag();
if (!tag) {
  const shallow = git("rev-parse", "--is-shallow-repository") === "true";
  notChecked(shallow ? "this is a shallow clone without a tag; `git fetch --unshallow --tags` brings them" : "no tag yet: nothing to compare with");
}
if (!git("ls-tree", "--name-only", tag, "schema.graphql")) notChecked(`${tag} has no schema.graphql`);

const before = buildSchema(git("show", `${tag}:schema.graphql`));
const now = buildSchema(readFileSync(path.join(repository, "schema.graphql"), "utf8"));
const changes = await diff(before, now);
const breaking = changes.filter(({ criticality }) => criticality.level === CriticalityLevel.Breaking);
for (const { criticality, message } of changes) console.log(`${criticality.level}: ${message}`);
console.log(`${changes.length} changes since ${tag}, ${breaking.length} of them breaking`);
process.exit(breaking.length ? 1 : 0);
