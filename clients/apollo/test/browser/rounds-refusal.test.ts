import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { bundle, rig } from "../support/chromium.js";
import { STRICT } from "../support/keywheel.js";
import { nobodyLeft, round, ROUNDS, signedInTabs } from "../support/rounds.js";
import { expiry, Tabs, type Storage } from "../support/tab.js";

// Expiry that only the server knows of, as after a device was asleep: all forty requests are sent and refused. So that nobody has to
// wait fifty times for a token to expire, all rounds begin with the same expired one, which the tabs take for good.

const ACCESS_TTL = 10; // seconds: longer than a round takes on any machine

const browser = rig(() => ({ "/app.js": bundle("test/browser/pages/app.ts") }), {
  KEYWHEEL_TOKENS__ACCESS_TTL: String(ACCESS_TTL),
  ...STRICT,
});

/** Puts an old access token into all tabs, by way of what they tell each other. */
async function putBack(pages: Page[], authorization: string): Promise<void> {
  await pages[0]!.evaluate(
    (token) => {
      const { session, user } = window.app.keywheel.state;
      const channel = new BroadcastChannel("keywheel");
      channel.postMessage({ kind: "token", session, user, token, scheme: "Bearer", lifetime: 3_600_000 });
      channel.close();
    },
    authorization.replace("Bearer ", ""),
  );
  const has = (authorization: string) =>
    window.app.keywheel.headers().then((headers) => headers["authorization"] === authorization);
  await Promise.all(pages.map((page) => page.waitForFunction(has, authorization)));
}

test.each<Storage>(["cookie", "localStorage"])(`${ROUNDS / 2} of ${ROUNDS} rounds with %s`, async (storage) => {
  const tabs = new Tabs(browser, await browser.profile(), storage);
  const { pages, user } = await signedInTabs(tabs);
  const { authorization } = await pages[0]!.evaluate(() => window.app.keywheel.headers());
  await expiry(browser.server.url, authorization!);
  let requests = 0;
  for (let done = 0; done < ROUNDS / 2; done += 1) {
    await putBack(pages, authorization!);
    requests += await round(tabs, pages, user);
  }
  expect(requests).toBeGreaterThan(60 * (ROUNDS / 2)); // most were refused first, or it would be the other test
  console.log(`${storage}: ${requests} requests for ${40 * (ROUNDS / 2)} answers`);
  await nobodyLeft(pages, `rounds-refusal-${storage}`);
});
