import { expect, test } from "vitest";
import { bundle, rig } from "../support/chromium.js";
import { STRICT } from "../support/keywheel.js";
import { nobodyLeft, round, ROUNDS, signedInTabs } from "../support/rounds.js";
import { Tabs, type Storage } from "../support/tab.js";

// Expiry by the clock of the page, which the test turns.

const browser = rig(() => ({ "/app.js": bundle("test/browser/pages/app.ts") }), STRICT);

test.each<Storage>(["cookie", "localStorage"])(`${ROUNDS} rounds with %s`, async (storage) => {
  const tabs = new Tabs(browser, await browser.profile(), storage);
  const { pages, user } = await signedInTabs(tabs);
  for (let done = 0; done < ROUNDS; done += 1) {
    await tabs.expire(...pages);
    expect(await round(tabs, pages, user)).toBe(40); // none was sent with a token that is known to be over
  }
  await nobodyLeft(pages, `rounds-clock-${storage}`);
});
