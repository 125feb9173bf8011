import { readFileSync } from "node:fs";
import {
  buildSchema,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
  type GraphQLInputType,
  type GraphQLObjectType,
} from "graphql";
import { afterAll, beforeAll, expect, test } from "vitest";
import { PUBLIC_FIELDS } from "../../src/index.js";
import { startKeywheel, type RealServer } from "../support/keywheel.js";
import { asked } from "../support/tab.js";

let server: RealServer;
beforeAll(async () => void (server = await startKeywheel()));
afterAll(() => server?.stop());

const schema = buildSchema(readFileSync("../../schema.graphql", "utf8"));

/** Some value that the schema takes. */
function literal(type: GraphQLInputType): string {
  if (isNonNullType(type)) return literal(type.ofType);
  if (isListType(type)) return `[${literal(type.ofType)}]`;
  if (isEnumType(type)) return type.getValues()[0]!.name;
  if (isInputObjectType(type)) {
    const fields = Object.values(type.getFields()).filter((field) => isNonNullType(field.type));
    return `{ ${fields.map((field) => `${field.name}: ${literal(field.type)}`).join(", ")} }`;
  }
  return { Int: "1", Boolean: "true" }[String(type)] ?? '"x"';
}

function fieldsOf(root: GraphQLObjectType): [string, string][] {
  return Object.values(root.getFields()).map((field) => {
    const needed = field.args.filter((arg) => isNonNullType(arg.type));
    const args = needed.length ? `(${needed.map((arg) => `${arg.name}: ${literal(arg.type)}`).join(", ")})` : "";
    return [field.name, `${field.name}${args} ${isLeafType(getNamedType(field.type)) ? "" : "{ __typename }"}`];
  });
}

const queries = fieldsOf(schema.getQueryType()!).map(([name, field]) => [name, `query { ${field} }`] as const);
const mutations = fieldsOf(schema.getMutationType()!).map(([name, field]) => [name, `mutation { ${field} }`] as const);

test.each([...queries, ...mutations])("%s asks for a token exactly if this package sends one", async (name, query) => {
  const { errors } = await asked(server.url, query, "Bearer nonsense");
  const codes = (errors ?? []).map((error: any) => error.extensions.code);
  expect(codes).not.toContain("GRAPHQL_VALIDATION_FAILED"); // or nothing was asked
  const refused = codes.includes("UNAUTHENTICATED");
  const tolerant = name === "logout" || name === "verifyEmail"; // what comes along makes a difference, and is not needed
  expect(refused).toBe(!PUBLIC_FIELDS.includes(name) && !tolerant);
});
