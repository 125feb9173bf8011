import type { Page } from "playwright-core";
import { beforeEach, describe, expect, test } from "vitest";
import { bundle, picture, rig, until, type Profile } from "../support/chromium.js";
import { STRICT } from "../support/keywheel.js";
import { ask, goodbyes, status, Tabs } from "../support/tab.js";

const browser = rig(() => ({ "/app.js": bundle("test/browser/pages/app.ts") }), STRICT);

let profile: Profile;
beforeEach(async () => void (profile = await browser.profile()));

const count = (name: string) => profile.network.count(name);

/** Makes the device's clock wrong by so many days, in all that a page can ask. */
async function wrongClock(days: number): Promise<void> {
  await profile.context.addInitScript((wrong) => {
    const Right = Date;
    window.Date = class extends Right {
      constructor(...given: [any]) {
        super(...(given.length ? given : ([Right.now() + wrong] as [any])));
      }
      static override now = () => Right.now() + wrong;
    } as DateConstructor;
  }, days * 86_400_000);
}

/** What tabs tell each other takes so many milliseconds. */
async function slowNews(milliseconds: number): Promise<void> {
  await profile.context.addInitScript((milliseconds) => {
    const post = BroadcastChannel.prototype.postMessage;
    BroadcastChannel.prototype.postMessage = function (message) {
      setTimeout(() => post.call(this, message), milliseconds);
    };
  }, milliseconds);
}

describe.each(["cookie", "localStorage"] as const)("in Chromium, with %s,", (storage) => {
  let tabs: Tabs;
  beforeEach(() => void (tabs = new Tabs(browser, profile, storage)));

  test("four tabs of a browser that was started again make one refresh, once they hear each other", async () => {
    const first = await tabs.open();
    const user = await tabs.signIn(first);
    await first.close();
    const pages = await tabs.several(4);
    const answers = await Promise.all(pages.map((page) => ask(page, 10)));
    for (const answer of answers) expect(answer).toEqual([user]);
    expect(count("KeywheelRefresh")).toBe(1);
    expect(count("Me")).toBe(40);
  });

  test("a tab that is asked before it has heard of another one's refresh waits for the news", async () => {
    await slowNews(500);
    const [first, second] = await tabs.several(2);
    const user = await tabs.signIn(first!);
    await second!.waitForFunction(() => window.app.keywheel.state.status === "signedIn");
    const before = count("KeywheelRefresh");
    for (const times of [1, 2]) {
      await second!.waitForTimeout(600); // whatever was told before has arrived
      await tabs.expire(first!, second!);
      expect(await ask(first!, 10)).toEqual([user]);
      expect(await ask(second!, 10)).toEqual([user]); // the lock is free, and nobody has told it anything
      expect(count("KeywheelRefresh")).toBe(before + times);
    }
  });

  test("four tabs that ask while they are still loading make one refresh each at most, and nobody is signed out", async () => {
    const first = await tabs.open();
    const user = await tabs.signIn(first);
    await first.close();
    const answers = await Promise.all(
      [1, 2, 3, 4].map(async () => {
        const page = await tabs.open();
        return [await ask(page, 10), await goodbyes(page)];
      }),
    );
    for (const answer of answers) expect(answer).toEqual([[user], []]);
    expect(count("KeywheelRefresh")).toBeGreaterThanOrEqual(1);
    expect(count("KeywheelRefresh")).toBeLessThanOrEqual(4);
    expect(count("Me")).toBe(40);
  });

  test("signing out in one tab signs out all of them, once, and for good", async () => {
    const pages = await tabs.several(3);
    await tabs.signIn(pages[0]!);
    for (const page of pages) expect(await status(page)).toBe("signedIn");
    await pages[1]!.evaluate(() => window.app.keywheel.logout());
    for (const page of pages) {
      await page.waitForFunction(() => window.app.goodbyes.length > 0, null, { timeout: 2_000 });
      expect(await goodbyes(page)).toEqual(["LOGOUT"]);
      expect(await ask(page, 1)).toEqual([null]);
    }
    await pages[0]!.reload();
    await tabs.start(pages[0]!);
    expect(await status(pages[0]!)).toBe("signedOut");
    expect((await profile.context.cookies()).filter(({ name }) => name === "__Host-keywheel")).toEqual([]);
  });

  test.each([
    [-1, storage === "cookie"],
    [1, storage !== "cookie"],
  ])("a clock that is %i days wrong is nobody's business (bound to a key: %s)", async (days, bound) => {
    await wrongClock(days);
    tabs = new Tabs(browser, profile, storage, bound);
    const page = await tabs.open();
    expect(Math.round((await page.evaluate(() => Date.now() - 0)) / 86_400_000 - Date.now() / 86_400_000)).toBe(days);
    const user = await tabs.signIn(page);
    expect(await ask(page, 5)).toEqual([user]);
    expect(count("KeywheelRefresh")).toBe(0);
    await tabs.expire(page);
    expect(await ask(page, 5)).toEqual([user]);
    expect(count("KeywheelRefresh")).toBe(1);
    expect(await goodbyes(page)).toEqual([]);
  });

  test("a bound session lives through a reload, since its key does", async () => {
    tabs = new Tabs(browser, profile, storage, true);
    const page = await tabs.open();
    const user = await tabs.signIn(page);
    expect(await ask(page, 3)).toEqual([user]);
    await page.reload();
    await tabs.start(page);
    expect(await ask(page, 3)).toEqual([user]);
    const { authorization } = await page.evaluate(() => window.app.keywheel.headers());
    expect(authorization).toMatch(/^DPoP /);
    const exported = await page.evaluate(async () => {
      const opening = indexedDB.open("keywheel", 1);
      await new Promise((resolve) => (opening.onsuccess = resolve));
      const get = opening.result.transaction("keys").objectStore("keys").get("dpop");
      await new Promise((resolve) => (get.onsuccess = resolve));
      return crypto.subtle.exportKey("jwk", get.result.privateKey).catch((error: Error) => error.name);
    });
    expect(exported).toBe("InvalidAccessError");
  });

  test("offline, then online: nobody is signed out", async () => {
    const pages = await tabs.several(2);
    const user = await tabs.signIn(pages[0]!);
    await tabs.expire(...pages);
    await profile.context.setOffline(true);
    const failed = (page: Page) => page.evaluate(() => window.app.ask(3).catch((error: Error) => error.message));
    for (const message of await Promise.all(pages.map(failed))) expect(message).toContain("did not answer");
    for (const page of pages) expect(await status(page)).toBe("signedIn");
    await picture(pages[0]!, `offline-${storage}`);
    await profile.context.setOffline(false);
    for (const page of pages) {
      await until(() =>
        page.evaluate(
          (user) =>
            window.app.ask(3).then(
              (all) => all.join() === user,
              () => false,
            ),
          user,
        ),
      );
      expect(await goodbyes(page)).toEqual([]);
    }
    await picture(pages[0]!, `online-again-${storage}`);
  });
});

test("with a cookie no script has the refresh token, whoever looks", async () => {
  const tabs = new Tabs(browser, profile, "cookie");
  const page = await tabs.open();
  await tabs.signIn(page);
  const everything = await page.evaluate(() =>
    JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]),
  );
  expect(everything).not.toContain("kwr_");
  const cookie = (await profile.context.cookies()).find(({ name }) => name === "__Host-keywheel");
  expect(cookie).toMatchObject({ httpOnly: true, secure: true, sameSite: "Lax" });
});

test("a page that is opened while Keywheel is away does not know, and is not signed out", async () => {
  const tabs = new Tabs(browser, profile, "cookie");
  const first = await tabs.open();
  const user = await tabs.signIn(first);
  await first.evaluate(() => localStorage.clear()); // nothing but the cookie tells
  await first.close();
  profile.network.down = true;
  const page = await tabs.open();
  expect(await status(page)).toBe("unknown");
  await picture(page, "opened-while-the-server-is-away");
  profile.network.down = false;
  await until(async () => (await status(page)) === "signedIn");
  expect(await ask(page, 1)).toEqual([user]);
  expect(await goodbyes(page)).toEqual([]);
});
