import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache, Observable } from "@apollo/client/core";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { isKeywheelError } from "../../src/index.js";
import {
  apollo,
  ACT,
  CREDENTIALS,
  fakeTime,
  ME,
  openTab,
  pass,
  SETTINGS,
  signedInTab,
  wait,
} from "../support/clients.js";
import { FakeServer } from "../support/server.js";
import { Browser } from "../support/tabs.js";

let server: FakeServer;

beforeEach(() => {
  fakeTime();
  server = new FakeServer();
});

afterEach(() => {
  expect(server.mistakes).toEqual([]);
  vi.useRealTimers();
});

const last = () => server.requests.at(-1)!;

describe("the access token", () => {
  test("goes along", async () => {
    const tab = await signedInTab(server);
    expect(await tab.me()).toBe("usr_ada");
    expect(last().headers.get("authorization")).toBe("Bearer at_1");
  });

  test("is not sent by somebody who is signed out, nor asked for", async () => {
    const tab = openTab(server);
    expect(await tab.me()).toBeNull();
    expect(server.requests.map(({ field }) => field)).toEqual(["me"]);
  });

  test("is left out when the context says so", async () => {
    const { client } = await signedInTab(server);
    await wait(400); // expired, and nobody minds
    await client.query({ query: ME, context: { anonymous: true } });
    expect(last().headers.get("authorization")).toBeNull();
    expect(server.counts.refreshToken).toBe(0);
  });

  test("is left out of public operations, which never wait for a refresh", async () => {
    const { client } = await signedInTab(server);
    await wait(400);
    await client.query({ query: SETTINGS });
    expect(last().headers.get("authorization")).toBeNull();
    expect(server.counts.refreshToken).toBe(0);
  });

  test("goes along with verifyEmail, a good one: without it a new address ends this session too", async () => {
    server.fate = (field) => (field === "verifyEmail" ? Response.json({ data: { verifyEmail: null } }) : "arrives");
    const VERIFY = gql`
      mutation VerifyEmail {
        verifyEmail(input: { token: "kwm_1" }) {
          __typename
        }
      }
    `;
    const { client } = await signedInTab(server);
    await wait(400);
    await client.mutate({ mutation: VERIFY });
    expect(last().headers.get("authorization")).toBe("Bearer at_2");

    const { client: guest } = openTab(server);
    await guest.mutate({ mutation: VERIFY });
    expect(last().headers.get("authorization")).toBeNull();
  });

  test("does not push other headers out", async () => {
    const { client } = await signedInTab(server);
    await client.query({ query: ME, context: { headers: { traceparent: "00-1-2-00" } } });
    expect(last().headers.get("traceparent")).toBe("00-1-2-00");
    expect(last().headers.get("authorization")).toBe("Bearer at_1");
  });
});

describe("ahead of expiry", () => {
  test("it is renewed in the background, and the request does not wait", async () => {
    const tab = await signedInTab(server);
    await wait(280); // of 300; the margin is 30
    server.fate = (field) => (field === "refreshToken" ? "request lost" : "arrives");
    expect(await tab.me()).toBe("usr_ada");
    const { headers } = server.requests.find(({ field }) => field === "me")!;
    expect(headers.get("authorization")).toBe("Bearer at_1");
    server.fate = () => "arrives";
    await wait(1);
    expect(server.counts.refreshToken).toBe(1);
    await tab.me();
    expect(last().headers.get("authorization")).toBe("Bearer at_2");
  });

  test("and when it is too late, ten requests wait for one refresh", async () => {
    const tab = await signedInTab(server);
    await wait(301);
    const answers = await pass(Promise.all(Array.from({ length: 10 }, () => tab.me())));
    expect(new Set(answers)).toEqual(new Set(["usr_ada"]));
    expect(server.counts).toMatchObject({ refreshToken: 1, me: 10 });
  });
});

describe.each(["modern", "legacy", "401 json"] as const)("a refusal, %s", (style) => {
  beforeEach(() => {
    server.style = style;
  });

  test("is repaired by one refresh for ten requests", async () => {
    const tab = await signedInTab(server);
    server.forgetAccessTokens();
    const answers = await pass(Promise.all(Array.from({ length: 10 }, () => tab.me())));
    expect(new Set(answers)).toEqual(new Set(["usr_ada"]));
    expect(server.counts).toMatchObject({ refreshToken: 1, me: 20 });
  });

  test("of a mutation too, which runs once", async () => {
    const tab = await signedInTab(server);
    server.forgetAccessTokens();
    expect(await tab.act()).toBe("usr_ada");
    expect(server.acts).toEqual(["usr_ada"]);
  });

  test("that goes on is told after one repetition", async () => {
    const tab = await signedInTab(server);
    server.stubborn = true;
    const error = await tab.me().catch((error: unknown) => error);
    expect(isKeywheelError(error, "UNAUTHENTICATED")).toBe(true);
    expect(server.counts).toMatchObject({ refreshToken: 1, me: 2 });
    expect(tab.keywheel.state.status).toBe("signedIn");
  });

  test("of a session that was ended elsewhere signs out, without a refresh", async () => {
    const tab = await signedInTab(server);
    server.revoke("ses_1");
    const error = await tab.me().catch((error: unknown) => error);
    expect(isKeywheelError(error, "UNAUTHENTICATED")).toBe(true);
    expect(server.counts.refreshToken).toBe(0);
    expect(tab.keywheel.state).toEqual({ status: "signedOut", reason: "SESSION_REVOKED" });
    expect(tab.goodbyes).toEqual(["SESSION_REVOKED"]);
  });

  test("of somebody who is signed out is passed on", async () => {
    const tab = openTab(server);
    const error = await tab.act().catch((error: unknown) => error);
    expect(isKeywheelError(error, "UNAUTHENTICATED")).toBe(true);
    expect(server.requests).toHaveLength(1);
  });
});

test("a request that was sent with the token before the last is repeated without a refresh", async () => {
  const tab = await signedInTab(server);
  server.latency = 200;
  server.forgetAccessTokens();
  const slow = tab.me();
  await wait(0.1); // it is refused, but the answer is on its way
  server.latency = 0;
  await tab.keywheel.refresh();
  expect(await pass(slow)).toBe("usr_ada");
  expect(server.counts.refreshToken).toBe(1);
});

test("a mutation whose answer has data may have run, and is not repeated", async () => {
  const browser = new Browser();
  const inner = server.fetch(browser.jar);
  let sent = 0;
  const halfway: typeof fetch = async (input, init) => {
    if (!String(init?.body).includes("Act")) return inner(input, init);
    sent += 1;
    const errors = [{ message: "in a resolver", extensions: { code: "UNAUTHENTICATED" } }];
    return new Response(JSON.stringify({ data: { act: null }, errors }), {
      headers: { "content-type": "application/json" },
    });
  };
  const tab = await signedInTab(server, browser, { fetch: halfway });
  await expect(tab.act()).rejects.toThrow();
  expect(sent).toBe(1);
  expect(server.counts.refreshToken).toBe(0);
});

test("a 401 without any code is taken for a refusal", async () => {
  const tab = await signedInTab(server);
  const fates = [new Response("no", { status: 401 })];
  server.fate = (field) => (field === "me" ? (fates.pop() ?? "arrives") : "arrives");
  expect(await tab.me()).toBe("usr_ada");
  expect(server.counts.refreshToken).toBe(1);
});

test("an operation that nobody waits for any more is not repeated", async () => {
  const tab = await signedInTab(server);
  server.forgetAccessTokens();
  server.latency = 100;
  const watched = tab.client
    .watchQuery({ query: ME, fetchPolicy: "network-only" })
    .subscribe({ next() {}, error() {} });
  await wait(0.15); // refused; the refresh is under way
  watched.unsubscribe();
  await wait(1);
  expect(server.counts.me).toBe(1);
});

test("an operation that nobody waits for any more is not sent after a refresh", async () => {
  const tab = await signedInTab(server);
  await wait(301);
  server.latency = 100;
  const watched = tab.client
    .watchQuery({ query: ME, fetchPolicy: "network-only" })
    .subscribe({ next() {}, error() {} });
  await wait(0.05);
  watched.unsubscribe();
  await wait(1);
  expect(server.counts).toMatchObject({ refreshToken: 1, me: 0 });
});

test("an operation of one user is not sent for another one", async () => {
  const tab = await signedInTab(server);
  await wait(301);
  server.latency = 1000;
  const act = tab.act();
  act.catch(() => undefined);
  await wait(0.1);
  const login = tab.keywheel.login({ identifier: "eve", password: "right" });
  await pass(login);
  await expect(pass(act)).rejects.toThrow();
  expect(server.acts).toEqual([]);
  expect(tab.goodbyes).toEqual(["REPLACED"]);
});

test("an operation goes on when the same user signs in again", async () => {
  const tab = await signedInTab(server);
  server.forgetAccessTokens();
  server.latency = 100;
  const act = tab.act();
  await wait(0.05);
  await pass(tab.keywheel.login(CREDENTIALS));
  expect(await pass(act)).toBe("usr_ada");
  expect(server.acts).toEqual(["usr_ada"]);
  expect(tab.goodbyes).toEqual([]);
});

test("a link above that repeats after signing out sends no old token", async () => {
  const tab = await signedInTab(server);
  const twice = new ApolloLink(
    (operation, forward) =>
      new Observable((observer) => {
        forward(operation).subscribe({
          next: (answer: any) => observer.next(answer),
          complete: () => observer.complete(),
          error: () => void tab.keywheel.logout().then(() => forward(operation).subscribe(observer as any)),
        });
      }),
  );
  const link = ApolloLink.from([twice, tab.keywheel.link, new HttpLink({ uri: server.url, fetch: server.fetch() })]);
  const client = new ApolloClient({ link, cache: new InMemoryCache() } as any);
  let lost = 0;
  server.fate = (field) => (field === "me" && (lost += 1) === 1 ? "request lost" : "arrives");
  const { data } = await client.query<any>({ query: ME });
  expect(data.me).toBeNull();
  expect(last().headers.get("authorization")).toBeNull();
});

test("links above may repeat: each time with the token of that time", async () => {
  const tab = await signedInTab(server);
  const client = apollo(tab.keywheel, server.url, server.fetch());
  const fates = ["request lost", "arrives"] as const;
  let call = 0;
  server.fate = (field) => (field === "act" ? fates[call++]! : "arrives");
  await client.mutate({ mutation: ACT }).catch(() => undefined);
  await pass(tab.keywheel.refresh());
  await client.mutate({ mutation: ACT });
  expect(last().headers.get("authorization")).toBe("Bearer at_2");
});

test("what a proxy says is nobody's refusal", async () => {
  const tab = await signedInTab(server);
  server.fate = (field) => (field === "me" ? new Response("<html>", { status: 502 }) : "arrives");
  await expect(tab.me()).rejects.toThrow();
  expect(server.requests).toHaveLength(2);
  expect(tab.keywheel.state.status).toBe("signedIn");
});
