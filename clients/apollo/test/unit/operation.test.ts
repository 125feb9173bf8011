import { parse } from "graphql";
import { describe, expect, test } from "vitest";
import { isOpen, read, scan } from "../../src/operation.js";

/** Document, its root fields, whether it is a query. */
const documents: [string, string[], boolean][] = [
  ["{ me { id } }", ["me"], true],
  ["query Q { settings { passwordMinLength } }", ["settings"], true],
  ["mutation($input: LoginInput!) { login(input: $input) { accessToken user { id } } }", ["login"], false],
  [
    'mutation M($a: In = { login: [{ x: 1 }] }) @d(a: {b: 1}) { tokens: login(input: {a: {b: "}{"}}) { x } me { id } }',
    ["login", "me"],
    false,
  ],
  ["query { a: settings @include(if: true) { b: c { d } } __typename }", ["settings", "__typename"], true],
  ["# mutation { login }\nquery Q { me { login } }", ["me"], true],
  ['query { me(text: """ } mutation { " """) { id } }', ["me"], true],
  ["fragment F on User { login } query { me { ...F } }", ["me"], true],
  ["query { me { ...F } } fragment F on User { login }", ["me"], true],
  ["query { ...F } fragment F on Query { login }", [], true],
  ["query { ... on Query { settings { a } } }", [], true],
  ["subscription { settings }", ["settings"], true],
  ["query mutation { me { id } }", ["me"], true],
];

describe("what a document asks for", () => {
  test.each(documents)("as text: %s", (text, rootFields, isQuery) => {
    expect(scan(text)).toEqual({ rootFields, isQuery });
  });

  test.each(documents.filter(([text]) => !text.startsWith("subscription")))(
    "parsed: %s",
    (text, rootFields, isQuery) => {
      expect(read(parse(text))).toEqual({ rootFields, isQuery });
    },
  );

  test("nothing that can be told", () => {
    expect(scan("")).toEqual({ rootFields: [], isQuery: false });
  });
});

test("an operation is open when all of its fields are", () => {
  const open = (rootFields: string[]) => isOpen({ rootFields, isQuery: true }, ["login", "settings"]);
  expect(open(["settings"])).toBe(true);
  expect(open(["settings", "me"])).toBe(false);
  expect(open([])).toBe(false);
});
