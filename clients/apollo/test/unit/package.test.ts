import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { buildSchema } from "graphql";
import { expect, expectTypeOf, test } from "vitest";
import { PUBLIC_FIELDS, type ErrorCode } from "../../src/index.js";

test("the error codes are those of the schema", () => {
  execFileSync(process.execPath, ["scripts/codes.mjs", "--check"], { stdio: "pipe" });
  expectTypeOf<"REFRESH_TOKEN_REUSED">().toExtend<ErrorCode>();
  expectTypeOf<"NO_ANSWER">().not.toExtend<ErrorCode>();
});

test("no file names a version of Apollo Client, or has one inside", () => {
  const link = readFileSync("src/link.ts", "utf8");
  expect(link.match(/from "@apollo[^"]*"/g)).toEqual(['from "@apollo/client/core"']);
  expect(link).toContain("import { ApolloLink, Observable }");
});

test("the public fields are those that the server's gate asks nothing of", () => {
  const gate = readFileSync("../../src/graphql/gate.rs", "utf8");
  const table = /const FIELDS: .*? = &\[([^]*?)\n\];/.exec(gate)![1]!;
  const asked = new Set([...table.matchAll(/\("(\w+)", Access::\w+\)/g)].map(([, name]) => name!));
  expect(asked).toContain("me");
  const schema = buildSchema(readFileSync("../../schema.graphql", "utf8"));
  const roots = [schema.getQueryType()!, schema.getMutationType()!, schema.getSubscriptionType()!];
  const open = roots.flatMap((root) => Object.keys(root.getFields())).filter((name) => !asked.has(name));
  expect(new Set(PUBLIC_FIELDS)).toEqual(new Set([...open, "__typename", "__schema", "__type"]));
});
