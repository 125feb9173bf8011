import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { buildSchema, execute, subscribe, validate } from "graphql";
import { createClient, type Client } from "graphql-ws";
import { useServer } from "graphql-ws/use/ws";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { signedInTab, type Tab } from "../support/clients.js";
import { FakeServer } from "../support/server.js";

let fake: FakeServer;
let tab: Tab;
let http: Server;
let client: Client;
/** What each connection was opened with. */
let opened: (string | undefined)[];
/** Tokens that the server does not take. */
let refused: Set<string>;

beforeEach(async () => {
  fake = new FakeServer();
  tab = await signedInTab(fake);
  opened = [];
  refused = new Set();
  http = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => http.once("listening", resolve));
  const schema = buildSchema("type Query { a: Int } type Subscription { ticks: Int }");
  const roots = {
    async *ticks() {
      for (let tick = 1; ; tick += 1) {
        yield { ticks: tick };
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
  };
  useServer(
    {
      schema,
      execute,
      subscribe,
      validate,
      roots: { subscription: roots as any },
      onConnect: ({ connectionParams }) => {
        const authorization = connectionParams?.["authorization"] as string | undefined;
        opened.push(authorization);
        return authorization !== undefined && !refused.has(authorization); // false closes with 4403
      },
    },
    new WebSocketServer({ server: http }),
  );
  client = createClient({
    url: `ws://127.0.0.1:${(http.address() as AddressInfo).port}`,
    webSocketImpl: WebSocket,
    connectionParams: tab.keywheel.connectionParams,
    retryWait: async () => undefined,
  });
});

afterEach(async () => {
  await client.dispose();
  http.closeAllConnections();
  http.close();
  vi.restoreAllMocks();
});

/** Waits for the next tick of a subscription. */
function nextTick(): Promise<unknown> {
  return new Promise((resolve, reject) => {
    client.subscribe({ query: "subscription { ticks }" }, { next: resolve, error: reject, complete: () => undefined });
  });
}

test("a socket is opened with the access token", async () => {
  await nextTick();
  expect(opened).toEqual(["Bearer at_1"]);
  expect(fake.counts.refreshToken).toBe(0);
});

test("one that was refused with 4403 comes back with a new token, though by the clock the old one was good", async () => {
  refused.add("Bearer at_1");
  await nextTick();
  expect(opened).toEqual(["Bearer at_1", "Bearer at_2"]);
  expect(fake.counts.refreshToken).toBe(1);
});

test("an expired token is renewed before the first connection", async () => {
  const now = performance.now();
  vi.spyOn(performance, "now").mockImplementation(() => now + 301_000);
  await nextTick();
  expect(opened).toEqual(["Bearer at_2"]);
});

test("while Keywheel cannot be asked, the socket tries on with what there is", async () => {
  refused.add("Bearer at_1");
  let calls = 0;
  fake.fate = (field) => (field === "refreshToken" && (calls += 1) <= 3 ? "request lost" : "arrives");
  await nextTick();
  expect(opened).toEqual(["Bearer at_1", "Bearer at_1", "Bearer at_2"]);
});

test("somebody who is signed out connects without a token", async () => {
  await tab.keywheel.logout();
  expect(await tab.keywheel.connectionParams()).toEqual({});
});

describe("a socket that was closed", () => {
  const gone = { code: 4403, reason: "SESSION_REVOKED" };
  const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

  test("since the session was ended signs out at once, and asks nobody", async () => {
    await nextTick();
    tab.keywheel.closed(gone);
    await settle();
    expect(tab.goodbyes).toEqual(["SESSION_REVOKED"]);
    expect(fake.counts.refreshToken).toBe(0);
    tab.keywheel.closed(gone);
    await settle();
    expect(tab.goodbyes).toHaveLength(1);
  });

  test.each([{ code: 4403, reason: "TOKEN_EXPIRED" }, { code: 1006, reason: "" }, new Error("no socket"), undefined])(
    "for another reason signs nobody out: %o",
    async (event) => {
      await nextTick();
      tab.keywheel.closed(event);
      await settle();
      expect(tab.keywheel.state.status).toBe("signedIn");
    },
  );

  test("late, when there is a new session, does not end that", async () => {
    await nextTick();
    await tab.keywheel.login({ identifier: "ada", password: "right" });
    tab.keywheel.closed(gone);
    await settle();
    expect(tab.keywheel.state).toMatchObject({ status: "signedIn", session: "ses_2" });
  });
});
