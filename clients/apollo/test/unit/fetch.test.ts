import { Client, CombinedError, fetchExchange } from "@urql/core";
import { ClientError, GraphQLClient } from "graphql-request";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createKeywheel, isKeywheelError, type Keywheel } from "../../src/core.js";
import { isStream } from "../../src/stream.js";
import { CREDENTIALS, fakeTime, pass, wait } from "../support/clients.js";
import { FakeServer } from "../support/server.js";
import { Browser } from "../support/tabs.js";

let server: FakeServer;
let keywheel: Keywheel;

beforeEach(async () => {
  fakeTime();
  server = new FakeServer();
  const browser = new Browser();
  const { storage } = browser;
  keywheel = createKeywheel({ url: server.url, storage, tabs: browser.tab(), fetch: server.fetch() });
  await keywheel.login(CREDENTIALS);
});

afterEach(() => {
  expect(server.mistakes).toEqual([]);
  vi.useRealTimers();
});

/** The clients that people use, each asking in its own way. */
const clients = {
  urql() {
    const client = new Client({
      url: server.url,
      exchanges: [fetchExchange],
      fetch: keywheel.fetch,
      preferGetMethod: false,
    });
    const once = async (query: string, mutation = false) => {
      const { data, error } = await (mutation ? client.mutation(query, {}) : client.query(query, {})).toPromise();
      if (error) throw error;
      return data;
    };
    return once;
  },
  "graphql-request"() {
    const client = new GraphQLClient(server.url, { fetch: keywheel.fetch });
    return (query: string) => client.request<any>(query);
  },
};

describe.each(Object.keys(clients) as (keyof typeof clients)[])("%s", (name) => {
  describe.each(["modern", "legacy", "401 json"] as const)("refused, %s", (style) => {
    test("is repaired by one refresh for ten requests", async () => {
      server.style = style;
      const ask = clients[name]();
      server.forgetAccessTokens();
      const answers = await pass(Promise.all(Array.from({ length: 10 }, (_, n) => ask(`query Me${n} { me { id } }`))));
      for (const answer of answers) expect(answer.me.id).toBe("usr_ada");
      expect(server.counts).toMatchObject({ refreshToken: 1, me: 20 });
    });

    test("runs a mutation once", async () => {
      server.style = style;
      server.forgetAccessTokens();
      await clients[name]()("mutation Act { act { id } }", true);
      expect(server.acts).toEqual(["usr_ada"]);
    });

    test("for good is told after one repetition", async () => {
      server.style = style;
      server.stubborn = true;
      const error = await clients[name]()("{ me { id } }").catch((error: unknown) => error);
      expect(isKeywheelError(error, "UNAUTHENTICATED")).toBe(true);
      expect(server.counts).toMatchObject({ refreshToken: 1, me: 2 });
    });
  });

  test("has errors that can be read", async () => {
    server.revoke("ses_1");
    const error = await clients[name]()("{ me { id } }").catch((error: unknown) => error);
    expect(error).toBeInstanceOf(name === "urql" ? CombinedError : ClientError);
    expect(isKeywheelError(error, "UNAUTHENTICATED")).toBe(true);
    expect(keywheel.state).toEqual({ status: "signedOut", reason: "SESSION_REVOKED" });
  });
});

test("public operations go without the token and do not wait", async () => {
  await wait(301);
  await keywheel.fetch(server.url, {
    method: "POST",
    body: JSON.stringify({ query: "query S { settings { passwordMinLength } }" }),
  });
  expect(server.counts.refreshToken).toBe(0);
  expect(server.requests.at(-1)!.headers.get("authorization")).toBeNull();
});

test("a Request can be sent twice", async () => {
  const inner = server.fetch();
  const seen: string[] = [];
  const adopted = createKeywheel({
    url: server.url,
    storage: "memory",
    fetch: async (input, init) => {
      const body = input instanceof Request ? await input.text() : String(init?.body);
      seen.push(body);
      return inner(server.url, { ...init, body });
    },
  });
  await adopted.login(CREDENTIALS);
  server.forgetAccessTokens();
  const body = JSON.stringify({ query: "{ me { id } }" });
  const response = await pass(
    adopted.fetch(new Request(server.url, { method: "POST", body, headers: { "x-own": "1" } })),
  );
  expect((await response.json()).data.me.id).toBe("usr_ada");
  expect(seen.filter((text) => text === body)).toHaveLength(2);
  expect(server.requests.at(-1)!.headers.get("x-own")).toBe("1");
});

test("what is no GraphQL is passed on as it is", async () => {
  const page = new Response("<p>UNAUTHENTICATED</p>", { headers: { "content-type": "text/html" } });
  const odd = createKeywheel({ url: server.url, storage: "memory", fetch: async () => page.clone() });
  const response = await odd.fetch("http://keywheel.test/page");
  expect(await response.text()).toBe("<p>UNAUTHENTICATED</p>");
});

test("headers for a request of another kind", async () => {
  expect(await keywheel.headers()).toEqual({ authorization: "Bearer at_1" });
  await wait(301);
  expect(await pass(keywheel.headers())).toEqual({ authorization: "Bearer at_2" });
  await pass(keywheel.logout());
  expect(await keywheel.headers()).toEqual({});
});

test("React Native, which has no streams, is served too", () => {
  expect(isStream(new ReadableStream())).toBe(true);
  vi.stubGlobal("ReadableStream", undefined);
  expect(isStream("{}")).toBe(false);
  vi.unstubAllGlobals();
});
