import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { bundle, picture, rig } from "../support/chromium.js";
import { STRICT } from "../support/keywheel.js";
import { ask, goodbyes, Tabs, type Storage } from "../support/tab.js";

// Fifty times, four tabs send ten requests each when their access token has expired: one refresh reaches the server, forty
// requests succeed and nobody is signed out. The server forgives nothing but a repeated retry key: a second refresh with the
// same token would end the session.

const ROUNDS = 50;
const scripts = () => ({ "/app.js": bundle("test/browser/pages/app.ts") });

async function round(tabs: Tabs, pages: Page[], user: string): Promise<number> {
  const { calls } = tabs.profile.network;
  const before = calls.length;
  const answers = await Promise.all(pages.map((page) => ask(page, 10)));
  for (const answer of answers) expect(answer).toEqual([user]);
  const here = calls.slice(before);
  expect(here.filter(({ name }) => name === "KeywheelRefresh")).toHaveLength(1);
  expect(here.filter(({ name, answer }) => name === "Me" && answer?.includes(user))).toHaveLength(40);
  return here.filter(({ name }) => name === "Me").length;
}

async function signedInTabs(tabs: Tabs): Promise<{ pages: Page[]; user: string }> {
  const pages = await tabs.several(4);
  const user = await tabs.signIn(pages[0]!);
  for (const page of pages) await page.waitForFunction(() => window.app.keywheel.state.status === "signedIn");
  return { pages, user };
}

async function nobodyLeft(pages: Page[], name: string): Promise<void> {
  for (const page of pages) expect(await goodbyes(page)).toEqual([]);
  await picture(pages[0]!, name);
}

describe("by the clock of the page", () => {
  const LIFETIME = 3600; // seconds, which no test waits for
  const browser = rig(scripts, { KEYWHEEL_TOKENS__ACCESS_TTL: String(LIFETIME), ...STRICT });

  test.each<Storage>(["cookie", "localStorage"])(`${ROUNDS} rounds with %s`, async (storage) => {
    const profile = await browser.profile();
    await profile.context.addInitScript(() => {
      const now = performance.now.bind(performance);
      (window as any).passed = 0;
      performance.now = () => now() + (window as any).passed;
    });
    const tabs = new Tabs(browser, profile, storage);
    const { pages, user } = await signedInTabs(tabs);
    for (let done = 0; done < ROUNDS; done += 1) {
      for (const page of pages) {
        await page.evaluate((time) => void ((window as any).passed += time), LIFETIME * 1000);
      }
      expect(await round(tabs, pages, user)).toBe(40); // none was sent with a token that is known to be over
    }
    await nobodyLeft(pages, `rounds-by-the-clock-${storage}`);
  });
});

describe("by the refusal of the server, since the clock of the page stands still", () => {
  const browser = rig(scripts, { KEYWHEEL_TOKENS__ACCESS_TTL: "2", ...STRICT });

  test(`${ROUNDS} rounds, half of them with a cookie and half with localStorage`, async () => {
    const half = async (storage: Storage) => {
      const profile = await browser.profile();
      await profile.context.addInitScript(() => {
        const stopped = performance.now();
        performance.now = () => stopped;
      });
      const tabs = new Tabs(browser, profile, storage);
      const { pages, user } = await signedInTabs(tabs);
      let requests = 0;
      for (let done = 0; done < ROUNDS / 2; done += 1) {
        await tabs.expired(pages[done % 4]!);
        requests += await round(tabs, pages, user);
      }
      expect(requests).toBeGreaterThan((40 * ROUNDS) / 2); // some were refused, or it would be the other test
      await nobodyLeft(pages, `rounds-by-refusal-${storage}`);
      return requests;
    };
    const requests = await Promise.all([half("cookie"), half("localStorage")]);
    console.log(`${requests.join(" and ")} requests for ${20 * ROUNDS} answers each`);
  });
});
