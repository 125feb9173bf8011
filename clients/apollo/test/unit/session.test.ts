import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { errorInfo, isKeywheelError, type KeywheelErrorCode } from "../../src/index.js";
import { alone } from "../../src/tabs.js";
import { CREDENTIALS, fakeTime, openTab, pass, signedInTab, wait } from "../support/clients.js";
import { FakeServer, json, refused, type Fate } from "../support/server.js";
import { Browser } from "../support/tabs.js";

let server: FakeServer;
let browser: Browser;

beforeEach(() => {
  fakeTime();
  server = new FakeServer();
  browser = new Browser();
});

afterEach(() => {
  expect(server.mistakes).toEqual([]);
  vi.useRealTimers();
});

/** Each refresh meets the next of these; the rest arrive. */
function refreshesMeet(...fates: Fate[]): void {
  server.fate = (field) => (field === "refreshToken" ? (fates.shift() ?? "arrives") : "arrives");
}

const code = (promise: Promise<unknown>): Promise<KeywheelErrorCode | undefined> =>
  promise.then(
    () => Promise.reject(new Error("should have failed")),
    (error: unknown) => errorInfo(error)?.code,
  );

describe("a lost answer", () => {
  test("is asked for again with the same key, which was stored before the call", async () => {
    const tab = await signedInTab(server, browser);
    const stored: string[] = [];
    server.fate = (field) => {
      if (field !== "refreshToken") return "arrives";
      stored.push(browser.record.retryKey);
      return stored.length === 1 ? "answer lost" : "arrives";
    };
    await wait(301);
    expect(await pass(tab.me())).toBe("usr_ada");
    const keys = server.requests
      .filter(({ field }) => field === "refreshToken")
      .map(({ variables }) => variables.input.retryKey);
    expect(keys).toEqual(stored);
    expect(keys[0]).toMatch(/^[\w-]{24}$/);
    expect(keys[1]).toBe(keys[0]);
    expect(browser.record).toEqual({ session: "ses_1", user: "usr_ada", refreshToken: "ses_1/1", serial: 1 });
  });

  test("is asked for again hours and a reload later", async () => {
    const tab = await signedInTab(server, browser);
    await wait(301);
    refreshesMeet("answer lost", "answer lost", "answer lost");
    expect(await code(pass(tab.me()))).toBe("NO_ANSWER");
    expect(tab.keywheel.state.status).toBe("signedIn");
    tab.keywheel.dispose();

    await wait(7200);
    const reloaded = openTab(server, browser);
    expect(await pass(reloaded.me())).toBe("usr_ada");
    expect(server.live).toHaveLength(1);
  });

  test("in the middle of a reload", async () => {
    const tab = await signedInTab(server, browser);
    await wait(301);
    server.latency = 500;
    void tab.me().catch(() => undefined);
    await wait(0.1); // the server has rotated; nobody is there to hear
    tab.keywheel.dispose();
    const reloaded = openTab(server, browser);
    expect(await pass(reloaded.me())).toBe("usr_ada");
    expect(server.live).toHaveLength(1);
  });

  test("every key is used for one token only", async () => {
    const tab = await signedInTab(server, browser);
    let call = 0;
    server.fate = (field) => (field === "refreshToken" && (call += 1) % 3 === 0 ? "answer lost" : "arrives");
    for (let round = 0; round < 30; round += 1) {
      await wait(301);
      expect(await pass(tab.me())).toBe("usr_ada");
    }
    expect(server.usedKeys.size).toBe(30);
  });
});

describe("what passes keeps somebody signed in", () => {
  test.each<[string, () => Fate]>([
    ["no network", () => "request lost"],
    ["a proxy", () => new Response("<html>", { status: 502, headers: { "content-type": "text/html" } })],
    ["a captive portal", () => new Response("<html>", { status: 200, headers: { "content-type": "text/html" } })],
    ["a proxy with JSON", () => json(503, { message: "no upstream" })],
    ["SERVICE_UNAVAILABLE", () => refused(503, { code: "SERVICE_UNAVAILABLE", retryAfter: 1 })],
    ["RATE_LIMITED", () => refused(429, { code: "RATE_LIMITED", retryAfter: 1 })],
  ])("%s: three calls, an error, and later it works", async (_, fate) => {
    const tab = await signedInTab(server, browser);
    await wait(301);
    refreshesMeet(fate(), fate(), fate());
    await expect(pass(tab.me())).rejects.toThrow();
    expect(tab.keywheel.state.status).toBe("signedIn");
    expect(tab.goodbyes).toEqual([]);
    expect(server.requests.filter(({ field }) => field === "refreshToken")).toHaveLength(3);
    expect(await pass(tab.me())).toBe("usr_ada");
  });

  test.each(["INTERNAL_SERVER_ERROR", "ORIGIN_NOT_ALLOWED", "SOMETHING_NEW"])(
    "%s: one call, and the error is told",
    async (unexpected) => {
      const tab = await signedInTab(server, browser);
      await wait(301);
      refreshesMeet(refused(200, { code: unexpected }));
      expect(await code(pass(tab.me()))).toBe(unexpected);
      expect(tab.keywheel.state.status).toBe("signedIn");
      expect(server.requests.filter(({ field }) => field === "refreshToken")).toHaveLength(1);
    },
  );

  test("a server that asks for patience gets it", async () => {
    const tab = await signedInTab(server, browser);
    await wait(301);
    refreshesMeet(refused(503, { code: "SERVICE_UNAVAILABLE" }, { "retry-after": "3" }));
    const begun = performance.now();
    expect(await pass(tab.me())).toBe("usr_ada");
    expect(performance.now() - begun).toBeGreaterThanOrEqual(3000);
  });

  test("but not for more than a minute, in which requests fail at once", async () => {
    const tab = await signedInTab(server, browser);
    await wait(301);
    refreshesMeet(refused(429, { code: "RATE_LIMITED", retryAfter: 3600 }));
    expect(await code(pass(tab.me()))).toBe("RATE_LIMITED");
    expect(await code(pass(tab.me()))).toBe("RATE_LIMITED");
    expect(server.requests.filter(({ field }) => field === "refreshToken")).toHaveLength(1);
    await wait(60);
    expect(await pass(tab.me())).toBe("usr_ada");
  });

  test("an answer that never comes is given up after ten seconds, and asked for again", async () => {
    const tab = await signedInTab(server, browser);
    await wait(301);
    const { latency } = server;
    server.latency = 60_000;
    const me = tab.me();
    await wait(9);
    server.latency = latency;
    await wait(0.5);
    expect(server.counts.refreshToken).toBe(1);
    expect(await pass(me)).toBe("usr_ada");
    expect(server.counts.refreshToken).toBe(2);
  });
});

describe("a definite refusal signs out", () => {
  test.each(["REFRESH_TOKEN_INVALID", "REFRESH_TOKEN_REUSED", "ACCOUNT_BLOCKED"])("%s", async (reason) => {
    const tab = await signedInTab(server, browser);
    await wait(301);
    refreshesMeet(refused(200, { code: reason }));
    expect(await pass(tab.me())).toBeNull(); // asked as nobody
    expect(tab.keywheel.state).toEqual({ status: "signedOut", reason });
    expect(tab.goodbyes).toEqual([reason]);
    expect(browser.record).toEqual({ out: reason });
  });

  test("and a refused operation then tells the refusal, not the failed refresh", async () => {
    const tab = await signedInTab(server, browser);
    server.forgetAccessTokens();
    refreshesMeet(refused(200, { code: "REFRESH_TOKEN_INVALID" }));
    const error = await pass(tab.act()).catch((error: unknown) => error);
    expect(isKeywheelError(error, "UNAUTHENTICATED")).toBe(true);
    expect(tab.goodbyes).toEqual(["REFRESH_TOKEN_INVALID"]);
  });

  test("a token that was copied and used by somebody else", async () => {
    const tab = await signedInTab(server, browser);
    const thief = new Browser();
    thief.items.set("keywheel", browser.items.get("keywheel")!);
    await pass(openTab(server, thief).me());
    await wait(301);
    await pass(tab.me());
    expect(tab.goodbyes).toEqual(["REFRESH_TOKEN_REUSED"]);
    expect(server.live).toEqual([]);
  });
});

describe("what comes late", () => {
  test("a refresh after signing out revives nobody", async () => {
    const tab = await signedInTab(server, browser);
    await wait(301);
    server.latency = 1000;
    const me = tab.me().catch(() => null);
    await wait(0.5);
    const logout = tab.keywheel.logout();
    await wait(0);
    expect(tab.keywheel.state.status).toBe("signedOut"); // at once
    await pass(logout);
    await pass(me);
    await wait(10);
    expect(tab.keywheel.state).toEqual({ status: "signedOut", reason: "LOGOUT" });
    expect(browser.record).toEqual({ out: "LOGOUT" });
    expect(server.live).toEqual([]);
    expect(tab.goodbyes).toEqual(["LOGOUT"]);
  });

  test("even when its answer cannot be stopped any more", async () => {
    const deaf: typeof fetch = (input, init) => server.fetch()(input, { ...init, signal: null });
    const tab = await signedInTab(server, browser, { fetch: deaf });
    await wait(301);
    server.latency = 1000;
    const me = tab.me().catch(() => null);
    await wait(0.5);
    await Promise.all([pass(tab.keywheel.logout()), me]);
    expect(tab.keywheel.state.status).toBe("signedOut");
    expect(browser.record).toEqual({ out: "LOGOUT" });
  });

  test("a refresh of the old session does not touch the new one", async () => {
    const deaf: typeof fetch = (input, init) => server.fetch()(input, { ...init, signal: null });
    const tab = await signedInTab(server, browser, { fetch: deaf });
    browser.locks = false;
    await wait(301);
    server.latency = 1000;
    const old = tab.me().catch(() => null);
    await wait(0.5);
    server.latency = 100;
    await pass(tab.keywheel.login({ identifier: "eve", password: "right" }));
    await pass(old);
    await wait(5);
    expect(tab.keywheel.state).toEqual({ status: "signedIn", session: "ses_2", user: "usr_eve" });
    expect(browser.record).toMatchObject({ session: "ses_2", refreshToken: "ses_2/0" });
    expect(await pass(tab.me())).toBe("usr_eve");
  });

  test("a refusal of the old session does not end the new one", async () => {
    const deaf: typeof fetch = (input, init) => server.fetch()(input, { ...init, signal: null });
    const tab = await signedInTab(server, browser, { fetch: deaf });
    browser.locks = false;
    server.revoke("ses_1");
    await wait(301);
    server.latency = 1000;
    const old = tab.me().catch(() => null);
    await wait(0.5);
    server.latency = 100;
    await pass(tab.keywheel.login(CREDENTIALS));
    await pass(old);
    await wait(5);
    expect(tab.keywheel.state).toMatchObject({ status: "signedIn", session: "ses_2" });
    expect(await pass(tab.me())).toBe("usr_ada");
  });
});

describe("the clock of the device", () => {
  test.each([-1, 1])("may be wrong by %i days, and change while the page is open", async (days) => {
    vi.setSystemTime(Date.now() + days * 86_400_000);
    const tab = await signedInTab(server, browser);
    await tab.me();
    vi.setSystemTime(Date.now() - 2 * days * 86_400_000);
    await tab.me();
    expect(server.counts.refreshToken).toBe(0);
    await wait(301);
    await pass(tab.me());
    expect(server.counts.refreshToken).toBe(1);
  });

  test("may stand still while the device sleeps: the server says so, and that is repaired", async () => {
    const tab = await signedInTab(server, browser);
    server.forgetAccessTokens();
    expect(await pass(tab.me())).toBe("usr_ada");
    expect(server.counts.refreshToken).toBe(1);
  });
});

describe("signing in", () => {
  test("with a wrong password tells why, and keeps the session that there was", async () => {
    const tab = await signedInTab(server, browser);
    expect(await code(tab.keywheel.login({ identifier: "ada", password: "wrong" }))).toBe("INVALID_CREDENTIALS");
    expect(tab.keywheel.state.status).toBe("signedIn");
    expect(await tab.me()).toBe("usr_ada");
  });

  test("sends the device token of the last time, kept through signing out", async () => {
    const tab = await signedInTab(server, browser);
    await tab.keywheel.logout();
    await tab.keywheel.login({ identifier: "eve", password: "right" });
    await tab.keywheel.login({ identifier: "Ada ", password: "right" });
    const sent = server.requests
      .filter(({ field }) => field === "login")
      .map(({ variables }) => variables.input.deviceToken);
    expect(sent).toEqual([undefined, undefined, "kwd_ada"]);
    const names = Object.keys(JSON.parse(browser.items.get("keywheel.devices")!));
    expect(names.join()).not.toMatch(/ada|eve/i); // who signs in here is nobody's business
  });

  test("ends the session that it replaces", async () => {
    const tab = await signedInTab(server, browser);
    await tab.keywheel.login(CREDENTIALS);
    await wait(0.1);
    expect(server.live.map(({ id }) => id)).toEqual(["ses_2"]);
  });

  test("with tokens that the app has asked for itself", async () => {
    const tab = openTab(server, browser);
    const answer = await server.fetch()(server.url, {
      body: JSON.stringify({
        query: "mutation { login { x } }",
        variables: { input: { ...CREDENTIALS, delivery: "BODY" } },
      }),
    });
    await tab.keywheel.adopt((await answer.json()).data.login, "ada");
    expect(await tab.me()).toBe("usr_ada");
    expect(browser.items.get("keywheel.devices")).toContain("kwd_ada");
  });

  test("to a bound session fails when the server did not bind it", async () => {
    const tab = openTab(server, browser, { dpop: { fetch: server.fetch() } });
    await expect(tab.keywheel.login(CREDENTIALS)).rejects.toThrow("not bound");
    expect((await tab.keywheel.ready()).status).toBe("signedOut");
  });
});

describe("signing out", () => {
  test("without a network works here, and says that the server does not know", async () => {
    const tab = await signedInTab(server, browser);
    server.fate = () => "request lost";
    expect(await code(pass(tab.keywheel.logout()))).toBe("NO_ANSWER");
    expect(tab.keywheel.state.status).toBe("signedOut");
    expect(browser.record).toEqual({ out: "LOGOUT" });
  });

  test("of somebody who is signed out is quiet", async () => {
    const tab = openTab(server, browser);
    await tab.keywheel.logout();
    expect(tab.goodbyes).toEqual([]);
    expect(server.requests).toEqual([]);
  });
});

test("ten requests of an object that has no tabs make one refresh", async () => {
  const tab = await signedInTab(server, browser, { storage: "memory", tabs: alone });
  expect(server.requests[0]).toMatchObject({ credentials: "omit", variables: { input: { delivery: "BODY" } } });
  await wait(301);
  server.latency = 50;
  await pass(Promise.all(Array.from({ length: 10 }, () => tab.me())));
  expect(server.counts.refreshToken).toBe(1);
});

test("a refresh that made way for a failed sign-in goes on", async () => {
  const tab = await signedInTab(server, browser);
  await wait(301);
  server.latency = 300;
  const me = tab.me();
  await wait(0.1);
  expect(await code(pass(tab.keywheel.login({ identifier: "ada", password: "wrong" })))).toBe("INVALID_CREDENTIALS");
  expect(await pass(me)).toBe("usr_ada");
  expect(server.usedKeys.size).toBe(1);
});

test("the state tells whoever listens, once for each change", async () => {
  const tab = openTab(server, browser);
  const seen: string[] = [];
  const stop = tab.keywheel.subscribe(() => seen.push(tab.keywheel.state.status));
  await tab.keywheel.ready();
  await tab.keywheel.login(CREDENTIALS);
  const { state } = tab.keywheel;
  await wait(301);
  await pass(tab.me());
  expect(tab.keywheel.state).toBe(state); // a refresh is no change
  await pass(tab.keywheel.logout());
  stop();
  await tab.keywheel.login(CREDENTIALS);
  expect(seen).toEqual(["signedOut", "signedIn", "signedOut"]);
});

test("a listener that throws keeps nobody signed in", async () => {
  const [one, two] = [await signedInTab(server, browser), openTab(server, browser)];
  await two.keywheel.ready();
  const thrown: unknown[] = [];
  const uncaught = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection");
  process.on("unhandledRejection", (error) => thrown.push(error));
  one.keywheel.subscribe(() => {
    throw new Error("the app's");
  });
  await pass(one.keywheel.logout());
  await wait(1);
  vi.useRealTimers();
  await new Promise((resolve) => setTimeout(resolve, 5));
  process.removeAllListeners("unhandledRejection");
  for (const listener of uncaught) process.on("unhandledRejection", listener);
  expect(one.goodbyes).toEqual(["LOGOUT"]);
  expect(two.goodbyes).toEqual(["LOGOUT"]);
  expect(thrown).toEqual([new Error("the app's")]);
});
