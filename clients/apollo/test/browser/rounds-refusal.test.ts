import { expect, test } from "vitest";
import { bundle, rig } from "../support/chromium.js";
import { STRICT } from "../support/keywheel.js";
import { nobodyLeft, round, ROUNDS, signedInTabs } from "../support/rounds.js";
import { Tabs, type Storage } from "../support/tab.js";

// Expiry that the server tells, to all forty requests: the clock of the page stands still, as that of a device which was asleep.

const browser = rig(() => ({ "/app.js": bundle("test/browser/pages/app.ts") }), {
  KEYWHEEL_TOKENS__ACCESS_TTL: "2",
  ...STRICT,
});

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
