import { GraphQLError } from "graphql";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { errorInfo, isKeywheelError, KeywheelError } from "../../src/index.js";
import { fakeTime, openTab } from "../support/clients.js";
import { FakeServer, refused } from "../support/server.js";

const extensions = { code: "RATE_LIMITED", retryAfter: 7 };
const errors = [{ message: "slow down", extensions }];

beforeEach(fakeTime);
afterEach(() => void vi.useRealTimers());

describe("the same is read from", () => {
  test.each<[string, unknown]>([
    ["a GraphQL error", new GraphQLError("slow down", { extensions })],
    ["a list of errors", errors],
    ["an answer", { data: null, errors }],
    ["ApolloError of 3, in the answer", { graphQLErrors: errors, networkError: null }],
    ["ApolloError of 3, by status", { graphQLErrors: [], networkError: { statusCode: 429, result: { errors } } }],
    ["CombinedGraphQLErrors of 4", Object.assign(new Error(), { errors })],
    ["ServerError of 4", Object.assign(new Error(), { statusCode: 429, bodyText: JSON.stringify({ errors }) })],
    ["urql", { graphQLErrors: errors }],
    ["graphql-request", { response: { errors, status: 429 } }],
    ["Relay", { source: { errors } }],
    ["a cause", new Error("outer", { cause: new KeywheelError("slow down", extensions as any) })],
    ["the second of two", [{ message: "plain" }, ...errors]],
  ])("%s", (_, error) => {
    expect(errorInfo(error)).toMatchObject(extensions);
    expect(isKeywheelError(error, "RATE_LIMITED")).toBe(true);
    expect(isKeywheelError(error, "SERVICE_UNAVAILABLE", "RATE_LIMITED")).toBe(true);
    expect(isKeywheelError(error, "UNAUTHENTICATED")).toBe(false);
  });

  test.each([200, 429])("what the Apollo Client at hand makes of it, with the status %i", async (status) => {
    const server = new FakeServer();
    const tab = openTab(server);
    server.fate = () => refused(status, extensions);
    const error = await tab.me().catch((error: unknown) => error);
    expect(errorInfo(error)).toMatchObject(extensions);
  });
});

test.each([
  undefined,
  null,
  "text",
  7,
  {},
  [],
  new Error("plain"),
  { bodyText: "<html>" },
  { extensions: { code: 7 } },
])("there is none in %s", (thrown) => expect(errorInfo(thrown)).toBeUndefined());

test("an object that holds itself is no trap", () => {
  const ring: { cause?: unknown } = {};
  ring.cause = ring;
  expect(errorInfo(ring)).toBeUndefined();
});

test("what login rejects with says all there is", async () => {
  const server = new FakeServer();
  const fields = [{ path: ["input", "identifier"], code: "INVALID_EMAIL", message: "Not an email address." }];
  server.fate = () => refused(200, { code: "BAD_USER_INPUT", fields, requestId: "r1" });
  const error = await openTab(server)
    .keywheel.login({ identifier: "", password: "" })
    .catch((error: unknown) => error);
  expect(error).toBeInstanceOf(KeywheelError);
  expect(error).toMatchObject({
    name: "KeywheelError",
    message: "refused",
    code: "BAD_USER_INPUT",
    fields,
    requestId: "r1",
  });
  expect((error as KeywheelError).retryAfter).toBeUndefined();
});
