// Does breaking.mjs tell what breaks clients from what does not? On repositories made for it.
//   node --test breaking.test.mjs
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), "keywheel-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function git(repository, ...args) {
  const who = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"];
  execFileSync("git", ["-C", repository, ...who, ...args], { stdio: "pipe" });
}

/** A repository with the schema of today in its first commit. */
function repository(name) {
  const path_ = path.join(folder, name);
  execFileSync("git", ["init", "--quiet", path_]);
  copyFileSync(here("../../schema.graphql"), path.join(path_, "schema.graphql"));
  git(path_, "add", "schema.graphql");
  git(path_, "commit", "--quiet", "-m", "The first");
  return path_;
}

/** Changes the schema; the change must be one. */
function edit(repository, from, to) {
  const file = path.join(repository, "schema.graphql");
  const text = readFileSync(file, "utf8");
  assert.ok(text.includes(from), from);
  writeFileSync(file, text.replace(from, to));
}

function compare(repository) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [here("breaking.mjs"), repository], { encoding: "utf8" });
  return { status, said: stdout + stderr };
}

test("without a tag it says that nothing was compared", () => {
  const plain = repository("plain");
  edit(plain, "  emailVerified: Boolean!\n", "");
  const { status, said } = compare(plain);
  assert.equal(status, 0);
  assert.match(said, /^NOT CHECKED: no tag yet: nothing to compare with$/m);
});

test("a shallow clone without tags says what it lacks", () => {
  const origin = repository("origin");
  git(origin, "tag", "v1.0.0");
  git(origin, "commit", "--quiet", "--allow-empty", "-m", "The second");
  const shallow = path.join(folder, "shallow");
  execFileSync("git", ["clone", "--quiet", "--depth=1", "--no-tags", `file://${origin}`, shallow], { stdio: "pipe" });
  const { status, said } = compare(shallow);
  assert.equal(status, 0);
  assert.match(said, /^NOT CHECKED: this is a shallow clone without a tag/m);
});

test("what is no repository is an error", () => {
  const { status } = compare(mkdtempSync(path.join(folder, "none-")));
  assert.notEqual(status, 0);
});

const BREAKING = [
  ["a field that is gone", "  emailVerified: Boolean!\n", ""],
  ["a field that may be null now", "  accessToken: String!", "  accessToken: String"],
  ["an error code under another name", "  RATE_LIMITED\n", "  SLOW_DOWN\n"],
  ["an input that is asked for now", "input RefreshTokenInput {\n", "input RefreshTokenInput {\n  device: String!\n"],
  ["a mutation under another name", "  logout(", "  signOut("],
];
const HARMLESS = [
  ["nothing", "", ""],
  ["a field more", "type User implements Node {\n", "type User implements Node {\n  displayName: String\n"],
  ["an optional input more", "input RefreshTokenInput {\n", "input RefreshTokenInput {\n  device: String\n"],
  ["an error code more", "  RATE_LIMITED\n", "  RATE_LIMITED\n  TEAPOT\n"],
  ["a field that will go", "  emailVerified: Boolean!", '  emailVerified: Boolean! @deprecated(reason: "Use another.")'],
  ["another description", '"A person who can sign in."', '"A person."'],
];

for (const [expected, cases] of [[1, BREAKING], [0, HARMLESS]]) {
  for (const [name, from, to] of cases) {
    test(`${name} ${expected ? "breaks clients" : "breaks nobody"}`, () => {
      const changed = repository(name.replaceAll(" ", "-"));
      git(changed, "tag", "v0.9.0");
      git(changed, "commit", "--quiet", "--allow-empty", "-m", "Between");
      git(changed, "tag", "v1.0.0");
      edit(changed, from, to);
      const { status, said } = compare(changed);
      assert.equal(status, expected, said);
      assert.match(said, /since v1\.0\.0/);
    });
  }
}
