import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createKeywheel } from "../../src/index.js";
import { CREDENTIALS, fakeTime, openTab, pass, wait, type Tab } from "../support/clients.js";
import { FakeServer } from "../support/server.js";
import { Browser } from "../support/tabs.js";

let server: FakeServer;
let browser: Browser;

beforeEach(() => {
  fakeTime();
  server = new FakeServer();
  browser = new Browser();
  vi.stubGlobal("document", {}); // a page
  vi.stubGlobal("localStorage", browser.storage);
});

afterEach(() => {
  expect(server.mistakes).toEqual([]);
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const open = (): Tab => openTab(server, browser, { storage: "cookie" });

test("no script ever has the refresh token", async () => {
  const tab = open();
  const signIn = await tab.keywheel.login(CREDENTIALS);
  expect(signIn.refreshToken).toBeNull();
  expect(server.requests.at(-1)).toMatchObject({
    credentials: "include",
    variables: { input: { delivery: "COOKIE" } },
  });
  expect(browser.jar.cookie).toBe("ses_1/0");
  expect(browser.record).toEqual({ session: "ses_1", user: "usr_ada" });
  await tab.me();
  expect(server.requests.at(-1)).toMatchObject({ credentials: undefined });
});

test("a refresh is a call with a stored key and nothing else", async () => {
  const tab = open();
  await tab.keywheel.login(CREDENTIALS);
  await wait(301);
  expect(await pass(tab.me())).toBe("usr_ada");
  const { variables } = server.requests.find(({ field }) => field === "refreshToken")!;
  expect(variables).toEqual({ input: { retryKey: expect.stringMatching(/^[\w-]{24}$/) } });
  expect(browser.record).toEqual({ session: "ses_1", user: "usr_ada", serial: 1 });
});

describe("a page that is opened", () => {
  test("for the first time asks once whether there is a session, and is told that there is none", async () => {
    const tab = open();
    expect(tab.keywheel.state.status).toBe("unknown");
    expect((await tab.keywheel.ready()).status).toBe("signedOut");
    expect(await tab.me()).toBeNull();
    expect(tab.goodbyes).toEqual([]); // nobody was signed in
    expect(await open().keywheel.ready()).toMatchObject({ status: "signedOut" }); // without asking again
    expect(server.counts.refreshToken).toBe(1);
  });

  test("without a network does not know", async () => {
    const tab = open();
    server.fate = () => "request lost";
    expect((await pass(tab.keywheel.ready())).status).toBe("unknown");
    await expect(pass(tab.me())).rejects.toThrow(); // and does not ask as nobody
    expect(server.counts.me).toBe(0);
  });

  test("again is signed in at once, and refreshes with its first request", async () => {
    await open().keywheel.login(CREDENTIALS);
    const tab = open();
    expect((await tab.keywheel.ready()).status).toBe("signedIn");
    expect(server.counts.refreshToken).toBe(0);
    expect(await pass(tab.me())).toBe("usr_ada");
    expect(server.counts.refreshToken).toBe(1);
  });

  test("after a lost answer repeats the call", async () => {
    const tab = open();
    await tab.keywheel.login(CREDENTIALS);
    await wait(301);
    server.fate = (field) => (field === "refreshToken" ? "answer lost" : "arrives");
    await expect(pass(tab.me())).rejects.toThrow();
    tab.keywheel.dispose();
    server.fate = () => "arrives";
    await wait(3600);
    expect(await pass(open().me())).toBe("usr_ada");
    expect(server.live).toHaveLength(1);
  });

  test("after its server has signed it in, looks again", async () => {
    const tab = open();
    await tab.keywheel.ready();
    const elsewhere = openTab(server, Object.assign(new Browser(), { jar: browser.jar }), { storage: "cookie" });
    vi.stubGlobal("localStorage", new Browser().storage);
    await elsewhere.keywheel.login(CREDENTIALS);
    vi.stubGlobal("localStorage", browser.storage);
    expect(await pass(tab.keywheel.refresh())).toEqual({ status: "signedIn", session: "ses_1", user: "usr_ada" });
  });
});

test("four tabs that are opened together make one call", async () => {
  await open().keywheel.login(CREDENTIALS);
  browser.items.clear(); // as if a server had signed them in
  server.latency = 80;
  const tabs = [open(), open(), open(), open()];
  const states = await pass(Promise.all(tabs.map(({ keywheel }) => keywheel.ready())));
  for (const state of states) expect(state).toEqual({ status: "signedIn", session: "ses_1", user: "usr_ada" });
  expect(server.counts.refreshToken).toBe(1);
});

test("signing out ends the session by its cookie", async () => {
  const tab = open();
  await tab.keywheel.login(CREDENTIALS);
  await pass(tab.keywheel.logout());
  expect(server.live).toEqual([]);
  expect(browser.jar.cookie).toBe("");
  expect(await tab.me()).toBeNull();
});

test("a refresh that is under way does not put the old cookie in the place of the new one", async () => {
  const tab = open();
  await tab.keywheel.login(CREDENTIALS);
  await wait(301);
  server.latency = 500;
  const late = tab.me().catch(() => null);
  await wait(0.1);
  await pass(tab.keywheel.login({ identifier: "eve", password: "right" }));
  await pass(late);
  await wait(2);
  expect(browser.jar.cookie).toBe("ses_2/0");
  await wait(301);
  expect(await pass(tab.me())).toBe("usr_eve");
});

test("not even one of another tab, which nobody here can stop", async () => {
  const [one, two] = [open(), open()];
  await one.keywheel.login(CREDENTIALS);
  await two.keywheel.ready();
  await wait(301);
  server.latency = 500;
  const late = one.me().catch(() => null);
  await wait(0.1);
  server.latency = 0;
  await pass(two.keywheel.login({ identifier: "eve", password: "right" }));
  await pass(late);
  await wait(2);
  expect(browser.jar.cookie).toBe("ses_2/0");
});

test("on a server nothing is asked for, and requests go as nobody's", async () => {
  vi.stubGlobal("document", undefined);
  const tab = open();
  expect(await tab.me()).toBeNull();
  expect((await tab.keywheel.ready()).status).toBe("unknown");
  expect(await tab.keywheel.connectionParams()).toEqual({});
  expect(server.counts.refreshToken).toBe(0);
});

test("a page that forbids storage still works", async () => {
  const forbidden = () => {
    throw new DOMException("no", "SecurityError");
  };
  vi.stubGlobal("localStorage", { getItem: forbidden, setItem: forbidden });
  const tab = open();
  await tab.keywheel.login(CREDENTIALS);
  await wait(301);
  expect(await pass(tab.me())).toBe("usr_ada");
});

test("the storage of a page is used by its name", async () => {
  const tab = createKeywheel({
    url: server.url,
    storage: "localStorage",
    name: "second",
    fetch: server.fetch(),
    tabs: browser.tab(),
  });
  await tab.login(CREDENTIALS);
  expect([...browser.items.keys()]).toEqual(["second", "second.devices"]);
});

test("a tab whose view of the storage is old repeats a lost call with the key that it sent", async () => {
  const [one, two] = [open(), open()];
  await one.keywheel.login(CREDENTIALS);
  await two.keywheel.ready();
  await wait(301);
  const pending = JSON.stringify({ ...browser.record, retryKey: "k".repeat(24) });
  browser.items.set("keywheel", pending);
  await pass(one.keywheel.refresh());
  expect(browser.record.retryKey).toBeUndefined();

  // Chromium keeps a copy of the storage for each process, and what another one has written arrives a moment later.
  let old: string | undefined = pending;
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => (key === "keywheel" ? old : undefined) ?? browser.storage.getItem(key),
    setItem(key: string, value: string) {
      old = undefined;
      void browser.storage.setItem(key, value);
    },
  });
  let lost = false;
  server.fate = (field) => {
    if (field !== "refreshToken" || lost) return "arrives";
    lost = true;
    old = undefined;
    return "answer lost";
  };
  await wait(301);
  expect(await pass(two.me())).toBe("usr_ada");
  expect(lost).toBe(true);
  expect(two.goodbyes).toEqual([]);
});

test("a refresh that answers for somebody else, who signed in where this page could not hear it, is not taken for its user", async () => {
  const tab = open();
  await tab.keywheel.login(CREDENTIALS);
  // Another app on the same site: the same cookie, and nothing else in common.
  const elsewhere = new Browser();
  Object.defineProperty(elsewhere, "jar", { value: browser.jar });
  vi.stubGlobal("localStorage", elsewhere.storage);
  await openTab(server, elsewhere, { storage: "cookie" }).keywheel.login({ identifier: "eve", password: "right" });
  vi.stubGlobal("localStorage", browser.storage);

  await wait(301);
  await expect(pass(tab.act())).rejects.toThrow("Somebody else has signed in meanwhile.");
  expect(server.acts).toEqual([]);
  expect(tab.goodbyes).toEqual(["REPLACED"]);
  expect(tab.keywheel.state).toMatchObject({ status: "signedIn", session: "ses_2", user: "usr_eve" });
  expect(await pass(tab.me())).toBe("usr_eve");
});

test("a tab that does not know yet hears that another one has signed out", async () => {
  const known = open();
  await known.keywheel.login(CREDENTIALS);
  browser.items.delete("keywheel");
  server.fate = () => "request lost";
  const listeners: ((message: { kind: "stored" }) => void)[] = [];
  const tabs = {
    exclusive: (job: any) => job(false),
    post() {},
    listen: (it: any) => void listeners.push(it),
    close() {},
  };
  const tab = openTab(server, browser, { storage: "cookie", tabs });
  expect((await pass(tab.keywheel.ready())).status).toBe("unknown");
  browser.items.set("keywheel", JSON.stringify({ out: "LOGOUT" }));
  for (const listener of listeners) listener({ kind: "stored" });
  await wait(0.1);
  expect(tab.keywheel.state).toMatchObject({ status: "signedOut" });
  expect(tab.goodbyes).toEqual([]);
});

test("a sign-in that replaces the session signs nobody out, though requests hear of the end before it is answered", async () => {
  const [tab, other] = [open(), open()];
  await tab.keywheel.login(CREDENTIALS);
  await other.me();
  const states: string[] = [];
  for (const { keywheel } of [tab, other]) keywheel.subscribe(() => states.push(keywheel.state.status));

  server.latency = 500;
  const signIn = tab.keywheel.login(CREDENTIALS);
  await wait(0.1);
  server.latency = 0;
  const [user, theirs] = await pass(Promise.all([tab.me(), other.me(), signIn]));

  expect([user, theirs]).toEqual(["usr_ada", "usr_ada"]);
  expect(states).not.toContain("signedOut");
  expect([...tab.goodbyes, ...other.goodbyes]).toEqual([]);
  expect(server.live.map(({ id }) => id)).toEqual(["ses_2"]);
});
