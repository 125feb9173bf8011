import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createKeywheel, isKeywheelError, type Keywheel, type KeywheelOptions } from "../../src/index.js";
import { dpop } from "../../src/dpop.js";
import { apollo, ME } from "../support/clients.js";
import { startKeywheel, STRICT, type RealServer } from "../support/keywheel.js";
import { lottery } from "../support/network.js";
import { Browser } from "../support/tabs.js";

const ACCESS_TTL = 3; // seconds

let server: RealServer;
/** Requests by name of the operation, since the last `beforeEach`. */
const sent = new Map<string, number>();

/** No windows in which a mistake of the client is forgiven. */
beforeAll(async () => {
  server = await startKeywheel({
    KEYWHEEL_TOKENS__ACCESS_TTL: String(ACCESS_TTL),
    ...STRICT,
  });
});
afterAll(() => server?.stop());

const sleep = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
const count = (name: string) => sent.get(name) ?? 0;

const draw = lottery(1);

/** The network; when it is lossy, three in ten answers to refreshes are lost. */
function network({
  lossy = false,
  headers = {} as Record<string, string>,
  jar = undefined as Jar | undefined,
} = {}): typeof fetch {
  return async (input, init = {}) => {
    const name = /(?:mutation|query) (\w+)/.exec(String(init.body))?.[1] ?? "";
    sent.set(name, count(name) + 1);
    const own = new Headers(init.headers);
    for (const [key, value] of Object.entries(headers)) own.set(key, value);
    if (jar && init.credentials === "include") own.set("cookie", jar.cookies());
    const response = await fetch(input, { ...init, headers: own });
    if (lossy && name === "KeywheelRefresh" && draw() < 0.3) {
      await response.arrayBuffer();
      throw new TypeError("the answer was lost");
    }
    jar?.take(response);
    return response;
  };
}

class Jar {
  readonly #cookies = new Map<string, string>();
  cookies = () => [...this.#cookies].map((pair) => pair.join("=")).join("; ");
  take(response: Response): void {
    for (const cookie of response.headers.getSetCookie()) {
      const [name, value] = cookie.split(";")[0]!.split("=") as [string, string];
      if (value && !/max-age=0/i.test(cookie)) this.#cookies.set(name, value);
      else this.#cookies.delete(name);
    }
  }
}

interface Tab {
  keywheel: Keywheel;
  goodbyes: string[];
  me(): Promise<string | undefined>;
}

function openTab(browser: Browser, options: Partial<KeywheelOptions> = {}): Tab {
  const goodbyes: string[] = [];
  const fetch = options.dpop?.fetch ?? options.fetch ?? network();
  const keywheel = createKeywheel({
    url: server.url,
    storage: browser.storage,
    tabs: browser.tab(),
    fetch,
    onSignedOut: (reason) => goodbyes.push(reason),
    ...options,
  });
  const client = apollo(keywheel, server.url, fetch);
  return { keywheel, goodbyes, me: async () => (await client.query({ query: ME })).data.me?.id };
}

async function signedInTab(browser = new Browser(), options: Partial<KeywheelOptions> = {}): Promise<Tab> {
  const tab = openTab(browser, options);
  const { identifier, password } = server;
  await tab.keywheel.login({ identifier, password, deviceName: "a test" });
  sent.clear();
  return tab;
}

test("signing in, asking, refreshing and signing out", async () => {
  const browser = new Browser();
  const tab = await signedInTab(browser);
  const me = await tab.me();
  expect(me).toBe(tab.keywheel.state.user);
  await sleep(ACCESS_TTL + 0.2);
  expect(await tab.me()).toBe(me);
  expect(count("KeywheelRefresh")).toBe(1);
  await tab.keywheel.logout();
  expect(tab.goodbyes).toEqual(["LOGOUT"]);
  expect(await tab.me()).toBeUndefined();
});

test("four tabs with ten requests each at expiry make one refresh", async () => {
  const browser = new Browser();
  const tabs = [openTab(browser), openTab(browser), openTab(browser)];
  await Promise.all(tabs.map(({ keywheel }) => keywheel.ready()));
  tabs.push(await signedInTab(browser));
  await sleep(ACCESS_TTL + 0.2);
  const answers = await Promise.all(tabs.flatMap((tab) => Array.from({ length: 10 }, () => tab.me())));
  expect(new Set(answers)).toEqual(new Set([tabs[0]!.keywheel.state.user]));
  expect(count("KeywheelRefresh")).toBe(1);
  expect(count("Me")).toBe(40);
});

test("two hundred refreshes, of which three in ten are lost, never sign out", async () => {
  const tabs = await Promise.all(
    Array.from({ length: 4 }, () => signedInTab(new Browser(), { fetch: network({ lossy: true }) })),
  );
  sent.clear();
  let givenUp = 0;
  const fifty = async ({ keywheel, goodbyes, me }: Tab) => {
    const { session } = keywheel.state;
    for (let done = 0; done < 50;) {
      try {
        await keywheel.refresh();
        done += 1;
      } catch (error) {
        expect(isKeywheelError(error, "NO_ANSWER")).toBe(true); // three in a row
        givenUp += 1;
      }
    }
    expect(keywheel.state).toMatchObject({ status: "signedIn", session });
    expect(goodbyes).toEqual([]);
    expect(await me()).toBe(keywheel.state.user);
  };
  await Promise.all(tabs.map(fifty));
  console.log(`200 refreshes took ${count("KeywheelRefresh")} calls; ${givenUp} were given up and made later`);
  expect(count("KeywheelRefresh")).toBeGreaterThan(240);
});

test("a page that is reloaded in the middle of a refresh goes on; a thief with a copy from before does not", async () => {
  const browser = new Browser();
  let arrived: () => void = () => undefined;
  const deadEnd: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    if (!String(init?.body).includes("KeywheelRefresh")) return response;
    arrived();
    return new Promise(() => undefined); // the page is gone
  };
  const tab = await signedInTab(browser, { fetch: deadEnd });
  const copy = new Browser();
  copy.items.set("keywheel", browser.items.get("keywheel")!);
  const rotated = new Promise<void>((resolve) => (arrived = resolve));
  void tab.keywheel.refresh().catch(() => undefined);
  await rotated;
  expect(browser.record.retryKey).toMatch(/^[\w-]{24}$/);

  const reloaded = new Browser();
  reloaded.items.set("keywheel", browser.items.get("keywheel")!);
  expect(await openTab(reloaded).me()).toBe(tab.keywheel.state.user);

  const thief = openTab(copy);
  expect(await thief.me()).toBeUndefined();
  expect(thief.goodbyes).toEqual(["REFRESH_TOKEN_REUSED"]);
});

test("a session that was ended elsewhere signs out each tab once, and asks for no refresh", async () => {
  const browser = new Browser();
  const tabs = [await signedInTab(browser), openTab(browser)];
  await tabs[1]!.keywheel.ready();
  const { authorization } = await tabs[0]!.keywheel.headers();
  const query = "mutation { revokeSessions(input: { scope: ALL }) { signedOut } }";
  const headers = { "content-type": "application/json", authorization: authorization! };
  const ended = await fetch(server.url, { method: "POST", headers, body: JSON.stringify({ query }) });
  expect((await ended.json()).data.revokeSessions.signedOut).toBe(true);
  const error = await tabs[0]!.me().catch((error: unknown) => error);
  expect(isKeywheelError(error, "UNAUTHENTICATED")).toBe(true);
  await sleep(0.1);
  for (const tab of tabs) expect(tab.goodbyes).toEqual(["SESSION_REVOKED"]);
  expect(count("KeywheelRefresh")).toBe(0);
});

test("an expired token is repaired though the clock has stood still", async () => {
  const tab = await signedInTab();
  const { now } = performance;
  const stopped = now.call(performance);
  performance.now = () => stopped;
  try {
    await sleep(ACCESS_TTL + 1.2);
    expect(await tab.me()).toBe(tab.keywheel.state.user);
  } finally {
    performance.now = now;
  }
  expect(count("KeywheelRefresh")).toBe(1);
  expect(count("Me")).toBe(2);
});

test("a late refresh does not bring back who has signed out", async () => {
  const browser = new Browser();
  const slow: typeof fetch = async (input, init) => {
    const { signal: _, ...rest } = init ?? {}; // an answer that cannot be stopped
    const response = await fetch(input, rest);
    if (String(init?.body).includes("KeywheelRefresh")) await sleep(0.5);
    return response;
  };
  const tab = await signedInTab(browser, { fetch: slow });
  const late = tab.keywheel.refresh().catch(() => undefined);
  await sleep(0.2);
  await tab.keywheel.logout();
  await late;
  await sleep(0.6);
  expect(tab.keywheel.state).toEqual({ status: "signedOut", reason: "LOGOUT" });
  expect(browser.record).toEqual({ out: "LOGOUT" });
});

test("the device token comes back at the next sign-in", async () => {
  const browser = new Browser();
  const bodies: string[] = [];
  const listening: typeof fetch = (input, init) => {
    bodies.push(String(init?.body));
    return fetch(input, init);
  };
  const tab = await signedInTab(browser, { fetch: listening });
  await tab.keywheel.logout();
  await tab.keywheel.login({ identifier: server.identifier, password: server.password });
  expect(bodies.at(-1)).toMatch(/"deviceToken":"kwd_/);
});

describe("a cookie", () => {
  test("carries the session, and no script sees it", async () => {
    (globalThis as any).document = {};
    const jar = new Jar();
    const browser = new Browser();
    (globalThis as any).localStorage = browser.storage;
    try {
      const fetch = network({ headers: { origin: new URL(server.url).origin }, jar });
      const tab = await signedInTab(browser, { storage: "cookie", fetch });
      expect(jar.cookies()).toContain("keywheel=kwr_");
      expect([...browser.items.values()].join()).not.toContain("kwr_");
      await sleep(ACCESS_TTL + 0.2);
      expect(await tab.me()).toBeDefined();
      const reloaded = openTab(browser, { storage: "cookie", fetch });
      expect(await reloaded.me()).toBe(tab.keywheel.state.user);
      await reloaded.keywheel.logout();
      expect(jar.cookies()).not.toContain("kwr_");
    } finally {
      delete (globalThis as any).document;
      delete (globalThis as any).localStorage;
    }
  });
});

describe("a session that is bound to a key", () => {
  test("is begun, used, refreshed and ended with proofs", async () => {
    const signer = dpop({ fetch: network() });
    const browser = new Browser();
    const tab = await signedInTab(browser, { dpop: signer });
    const { authorization } = await tab.keywheel.headers();
    expect(authorization).toMatch(/^DPoP /);
    expect(await tab.me()).toBe(tab.keywheel.state.user);
    await sleep(ACCESS_TTL + 0.2);
    const answers = await Promise.all(Array.from({ length: 10 }, () => tab.me()));
    expect(new Set(answers)).toEqual(new Set([tab.keywheel.state.user]));
    expect(count("KeywheelRefresh")).toBe(1); // the nonce of the sign-in is still good
    const asked = await tab.keywheel.fetch(server.url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query: "{ me { id } }" }),
    });
    expect((await asked.json()).data.me.id).toBe(tab.keywheel.state.user);
    await tab.keywheel.logout();
    expect(tab.keywheel.state.status).toBe("signedOut");
  });

  test("is nothing to whoever has its tokens and another key", async () => {
    const browser = new Browser();
    await signedInTab(browser, { dpop: dpop({ fetch: network() }) });
    const thief = new Browser();
    thief.items.set("keywheel", browser.items.get("keywheel")!);
    const tab = openTab(thief, { dpop: dpop({ fetch: network() }) });
    expect(await tab.me()).toBeUndefined();
    expect(tab.goodbyes).toEqual(["DPOP_PROOF_INVALID"]);
  });

  test("survives a clock that is an hour wrong, from the first request on", async () => {
    const { now } = Date;
    Date.now = () => now() - 3_600_000;
    try {
      const tab = await signedInTab(new Browser(), { dpop: dpop({ fetch: network() }) });
      expect(await tab.me()).toBe(tab.keywheel.state.user);
    } finally {
      Date.now = now;
    }
  });
});
