import { expect, test } from "vitest";
import { bundle, rig } from "../support/chromium.js";
import { STRICT } from "../support/keywheel.js";
import { nobodyLeft, round, ROUNDS, signedInTabs } from "../support/rounds.js";
import { Tabs, type Storage } from "../support/tab.js";

// Expiry by the clock of the page, which the test turns.

const LIFETIME = 3600; // seconds, which no test waits for
const browser = rig(() => ({ "/app.js": bundle("test/browser/pages/app.ts") }), {
  KEYWHEEL_TOKENS__ACCESS_TTL: String(LIFETIME),
  ...STRICT,
});

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
