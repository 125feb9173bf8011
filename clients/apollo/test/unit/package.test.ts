import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, expectTypeOf, test } from "vitest";
import type { ErrorCode } from "../../src/index.js";

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
