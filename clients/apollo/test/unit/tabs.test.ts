import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { browserTabs } from "../../src/tabs.js";
import { CREDENTIALS, fakeTime, openTab, pass, signedInTab, wait, type Tab } from "../support/clients.js";
import { FakeServer, refused } from "../support/server.js";
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
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

/** Four tabs of one person. */
async function fourTabs(): Promise<Tab[]> {
  const tabs = [openTab(server, browser), openTab(server, browser), openTab(server, browser), openTab(server, browser)];
  await Promise.all(tabs.map(({ keywheel }) => keywheel.ready()));
  await tabs[0]!.keywheel.login(CREDENTIALS);
  await wait(1);
  return tabs;
}

const tenEach = (tabs: Tab[]) => pass(Promise.all(tabs.flatMap((tab) => Array.from({ length: 10 }, () => tab.me()))));

describe("four tabs", () => {
  test("are signed in together", async () => {
    const tabs = await fourTabs();
    for (const tab of tabs)
      expect(tab.keywheel.state).toEqual({ status: "signedIn", session: "ses_1", user: "usr_ada" });
    await tenEach(tabs);
    expect(server.counts).toMatchObject({ login: 1, refreshToken: 0, me: 40 });
  });

  test.each([0, 10, 60, 600])("with ten requests each at expiry refresh once; news take %i ms", async (delay) => {
    const tabs = await fourTabs();
    browser.channelDelay = delay;
    server.latency = 80;
    await wait(301);
    const answers = await tenEach(tabs);
    expect(new Set(answers)).toEqual(new Set(["usr_ada"]));
    expect(server.counts).toMatchObject({ refreshToken: 1, me: 40 });
  });

  test("that come back together after a restart of the browser refresh once", async () => {
    await signedInTab(server, browser);
    server.latency = 80;
    const tabs = Array.from({ length: 4 }, () => openTab(server, browser));
    await tenEach(tabs);
    expect(server.counts.refreshToken).toBe(1);
  });

  test("without a lock share the key of the first call, and nobody is signed out", async () => {
    const tabs = await fourTabs();
    browser.locks = false;
    server.latency = 80;
    await wait(301);
    const answers = await tenEach(tabs);
    expect(new Set(answers)).toEqual(new Set(["usr_ada"]));
    expect(server.usedKeys.size).toBe(1);
    expect(server.live).toHaveLength(1);
    expect(browser.record).toEqual({ session: "ses_1", user: "usr_ada", refreshToken: "ses_1/1", serial: 1 });
  });

  test("do not ask one after the other when the first has failed: each tries for itself, with the same key", async () => {
    const tabs = await fourTabs();
    await wait(301);
    let lost = 0;
    server.fate = (field) => (field === "refreshToken" && (lost += 1) <= 2 ? "answer lost" : "arrives");
    await tenEach(tabs);
    expect(server.usedKeys.size).toBe(1);
    expect(server.live).toHaveLength(1);
  });

  test("are each signed out once by a definite refusal", async () => {
    const tabs = await fourTabs();
    await wait(301);
    server.fate = (field) => (field === "refreshToken" ? refused(200, { code: "REFRESH_TOKEN_REUSED" }) : "arrives");
    await tenEach(tabs);
    await wait(1);
    for (const tab of tabs) {
      expect(tab.goodbyes).toEqual(["REFRESH_TOKEN_REUSED"]);
      expect(tab.keywheel.state).toEqual({ status: "signedOut", reason: "REFRESH_TOKEN_REUSED" });
    }
    expect(server.requests.filter(({ field }) => field === "refreshToken")).toHaveLength(1);
  });

  test("are signed out together by one of them", async () => {
    const tabs = await fourTabs();
    await pass(tabs[2]!.keywheel.logout());
    await wait(1);
    for (const tab of tabs) expect(tab.goodbyes).toEqual(["LOGOUT"]);
  });

  test("follow another user, and none of them shows the old one's data", async () => {
    const tabs = await fourTabs();
    await tabs[1]!.keywheel.login({ identifier: "eve", password: "right" });
    await wait(1);
    for (const tab of tabs) {
      expect(tab.goodbyes).toEqual(["REPLACED"]);
      expect(await tab.me()).toBe("usr_eve");
    }
  });
});

test("an operation that waits in one tab is not sent for another user of another tab", async () => {
  const [one, two] = await fourTabs();
  browser.locks = false;
  await wait(301);
  server.latency = 500;
  const act = one!.act();
  act.catch(() => undefined);
  await wait(0.1);
  server.latency = 0;
  await two!.keywheel.login({ identifier: "eve", password: "right" });
  await expect(pass(act)).rejects.toThrow();
  expect(server.acts).toEqual([]);
  expect(one!.keywheel.state).toMatchObject({ user: "usr_eve" });
});

test("a tab that has not heard of another user finds out when it refreshes", async () => {
  const [one, two] = await fourTabs();
  browser.channelDelay = 3_600_000;
  await two!.keywheel.login({ identifier: "eve", password: "right" });
  await wait(301);
  await expect(pass(one!.act())).rejects.toThrow();
  expect(await pass(one!.me())).toBe("usr_eve");
  expect(one!.goodbyes).toEqual(["REPLACED"]);
  expect(server.acts).toEqual([]);
});

describe("news that are none", () => {
  test("a token of a session that this tab has left meanwhile", async () => {
    const [one, two] = await fourTabs();
    browser.channelDelay = 500;
    await wait(301);
    await pass(one!.me()); // the news are on their way
    await pass(two!.keywheel.logout());
    await wait(2);
    expect(two!.keywheel.state.status).toBe("signedOut");
    expect(one!.keywheel.state.status).toBe("signedOut");
  });

  test("of a kind that this version does not know", async () => {
    const [one] = await fourTabs();
    for (const message of [{ kind: "greeting", session: "ses_1" }, {}, null, "token"])
      browser.tab().post(message as any);
    await wait(1);
    expect(await pass(one!.me())).toBe("usr_ada");
    expect(server.counts.refreshToken).toBe(0);
  });

  test("the end of a session that is not this tab's any more", async () => {
    const [one, two] = await fourTabs();
    browser.channelDelay = 500;
    await pass(one!.keywheel.logout());
    await pass(two!.keywheel.login(CREDENTIALS));
    await wait(2);
    expect(one!.keywheel.state).toMatchObject({ status: "signedIn", session: "ses_2" });
    expect(two!.keywheel.state).toMatchObject({ status: "signedIn", session: "ses_2" });
  });
});

describe("where there are no channels", () => {
  /** Tabs that hear of nothing but changes of the storage. */
  function mute(): Browser {
    const listeners: (() => void)[] = [];
    const quiet = new Browser();
    const { setItem } = quiet.storage;
    quiet.storage.setItem = (key, value) => {
      void setItem(key, value);
      if (key === "keywheel") listeners.forEach((listener) => setTimeout(listener, 5));
    };
    quiet.tab = () => ({
      exclusive: (job) => job(false),
      post() {},
      listen: (listener) => void listeners.push(() => listener({ kind: "stored" })),
      close() {},
    });
    return quiet;
  }

  test("changes of the storage sign in, out and over", async () => {
    browser = mute();
    const [one, two] = await fourTabs();
    expect(two!.keywheel.state).toMatchObject({ status: "signedIn", session: "ses_1" });
    expect(await pass(two!.me())).toBe("usr_ada"); // with a refresh of its own
    await one!.keywheel.login({ identifier: "eve", password: "right" });
    await wait(1);
    expect(two!.goodbyes).toEqual(["REPLACED"]);
    expect(await pass(two!.me())).toBe("usr_eve");
    await pass(one!.keywheel.logout());
    await wait(1);
    expect(two!.goodbyes).toEqual(["REPLACED", "LOGOUT"]);
  });
});

describe("the tabs of a browser", () => {
  /** What a page has. */
  function page(locks: object | undefined): void {
    vi.stubGlobal("navigator", { locks });
  }

  test("go ahead when a lock does not come", async () => {
    page({
      request: (_: string, { ifAvailable, signal }: any, job: (lock: unknown) => unknown) =>
        ifAvailable
          ? Promise.resolve(job(null))
          : new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    });
    vi.useRealTimers();
    vi.spyOn(AbortSignal, "timeout").mockImplementation(() => {
      const controller = new AbortController();
      setTimeout(() => controller.abort(), 20);
      return controller.signal;
    });
    expect(await browserTabs("k", "k").exclusive(async (waited) => waited)).toBe(true);
    expect(AbortSignal.timeout).toHaveBeenCalledWith(8000);
    vi.restoreAllMocks();
  });

  test.each([
    ["are forbidden", { request: () => Promise.reject(new DOMException("no", "SecurityError")) }],
    ["are missing", undefined],
  ])("go ahead when locks %s", async (_, locks) => {
    page(locks);
    expect(await browserTabs("k", "k").exclusive(async () => "done")).toBe("done");
  });

  test("pass on how a job ends, and do it once", async () => {
    page({ request: async (_: string, __: object, job: (lock: object) => unknown) => job({}) });
    const job = vi.fn(() => Promise.reject(new Error("lost")));
    await expect(browserTabs("k", "k").exclusive(job)).rejects.toThrow("lost");
    expect(job).toHaveBeenCalledTimes(1);
  });

  test("hear each other and changes of the storage, until they are closed", async () => {
    vi.useRealTimers();
    const target = new EventTarget();
    vi.stubGlobal("addEventListener", target.addEventListener.bind(target));
    vi.stubGlobal("removeEventListener", target.removeEventListener.bind(target));
    const heard: unknown[] = [];
    const [one, two] = [browserTabs("k", "record"), browserTabs("k", "record")];
    one.listen((message) => heard.push(message));
    two.listen(() => undefined);
    two.post({ kind: "out", session: "ses_1", reason: "LOGOUT" });
    await vi.waitFor(() => expect(heard).toEqual([{ kind: "out", session: "ses_1", reason: "LOGOUT" }]));
    const change = (key: string) => target.dispatchEvent(Object.assign(new Event("storage"), { key }));
    change("other");
    change("record");
    expect(heard).toHaveLength(2);
    const late = browserTabs("k", "record");
    late.close();
    late.listen((message) => heard.push(message)); // it was still reading the storage
    one.close();
    change("record");
    one.post({ kind: "stored" }); // into a closed channel: nothing happens
    expect(heard).toHaveLength(2);
    two.close();
  });
});
