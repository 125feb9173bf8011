import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Adapter } from "../../src/index.js";
import { CREDENTIALS, fakeTime, openTab, pass, signedInTab, wait } from "../support/clients.js";
import { FakeServer } from "../support/server.js";
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

describe("a storage that takes its time", () => {
  const slow = (milliseconds: number): Adapter => ({
    async getItem(key) {
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
      return browser.items.get(key) ?? null;
    },
    async setItem(key, value) {
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
      browser.items.set(key, value);
    },
  });

  test("is written in the order of what happened", async () => {
    const tab = openTab(server, browser, { storage: slow(50) });
    await pass(tab.keywheel.login(CREDENTIALS));
    const refreshing = tab.keywheel.refresh();
    await wait(0.22); // the answer is being written
    expect(server.counts.refreshToken).toBe(1);
    await pass(Promise.all([tab.keywheel.logout(), refreshing]));
    await wait(1);
    expect(browser.record).toEqual({ out: "LOGOUT" });
    expect(tab.keywheel.state.status).toBe("signedOut");
  });

  test("does not hold up signing out: what another tab told before it is too late", async () => {
    const other = await signedInTab(server, browser);
    const tab = openTab(server, browser, { storage: slow(50) });
    await pass(tab.keywheel.ready());
    await other.keywheel.refresh();
    await wait(0.02); // the news have arrived; the storage is being asked about them
    await pass(tab.keywheel.logout());
    await wait(1);
    expect(tab.keywheel.state.status).toBe("signedOut");
    expect(tab.goodbyes).toEqual(["LOGOUT"]);
  });
});

describe("storage", () => {
  test("that fails is a passing trouble", async () => {
    let broken = false;
    const fragile: Adapter = {
      getItem: async (key) => browser.items.get(key) ?? null,
      setItem: async (key, value) => {
        if (broken) throw new Error("disk full");
        browser.items.set(key, value);
      },
    };
    const tab = await signedInTab(server, browser, { storage: fragile });
    await wait(301);
    broken = true;
    await expect(pass(tab.me())).rejects.toThrow("disk full");
    expect(server.counts.refreshToken).toBe(0); // never without a stored key
    broken = false;
    expect(await pass(tab.me())).toBe("usr_ada");
  });

  test("that holds nonsense is empty", async () => {
    browser.items.set("keywheel", "{half");
    expect((await openTab(server, browser).keywheel.ready()).status).toBe("signedOut");
    browser.items.set("keywheel", "null");
    expect((await openTab(server, browser).keywheel.ready()).status).toBe("signedOut");
  });

  test("in memory leaves nothing behind", async () => {
    const tab = await signedInTab(server, browser, { storage: "memory" });
    await wait(301);
    expect(await pass(tab.me())).toBe("usr_ada");
    expect(browser.items.size).toBe(0);
  });
});
