import { beforeAll, describe, expect, test } from "vitest";
import { bundle, picture, rig, sleep, until, type Rig } from "../support/chromium.js";
import { asked, elsewhere, goodbyes, status, Tabs } from "../support/tab.js";

const scripts = () => ({ "/app.js": bundle("test/browser/pages/app.ts") });

/** A browser with its server, and another server on the same database: what happens there, nobody here is told directly. */
function twoServers(settings: Record<string, string> = {}): Rig & { there: string } {
  const browser = Object.assign(rig(scripts, settings), { there: "" });
  beforeAll(async () => void (browser.there = `http://localhost:${await browser.server.another()}/graphql`));
  return browser;
}

describe.each(["cookie", "localStorage"] as const)("with %s,", (storage) => {
  const browser = twoServers();

  test("a session that is ended on another server signs out four tabs within two seconds", async () => {
    const profile = await browser.profile();
    const tabs = new Tabs(browser, profile, storage);
    const pages = await tabs.several(4);
    await tabs.signIn(pages[0]!);
    for (const page of pages) {
      await page.waitForFunction(() => window.app.keywheel.state.status === "signedIn");
      await page.evaluate(() => void ((window as any).following = window.app.follow()));
    }
    for (const page of pages) await page.waitForFunction(() => (window as any).following.connected > 0);
    const device = await elsewhere(browser, browser.there);
    const session = await pages[0]!.evaluate(() => window.app.keywheel.state.session!);
    await picture(pages[0]!, `before-revocation-${storage}`);

    const { data } = await asked(
      browser.there,
      "mutation ($input: RevokeSessionsInput!) { revokeSessions(input: $input) { signedOut } }",
      device.authorization,
      { input: { scope: "SELECTED", ids: [session] } },
    );
    expect(data.revokeSessions).toEqual({ signedOut: false });
    const took = await until(
      async () => (await Promise.all(pages.map(goodbyes))).every(({ length }) => length > 0),
      10,
    );
    console.log(`${storage}: four tabs out after ${Math.round(took * 1000)} ms`);
    expect(took).toBeLessThan(2);
    for (const [index, page] of pages.entries()) {
      expect(await goodbyes(page)).toEqual(["SESSION_REVOKED"]);
      expect(await status(page)).toBe("signedOut");
      await picture(page, `revoked-elsewhere-${storage}-tab-${index + 1}`);
    }
    expect(profile.network.calls.filter(({ answer }) => answer?.includes("REFRESH_TOKEN_REUSED"))).toEqual([]);
  });
});

describe("when tokens are short-lived,", () => {
  const ACCESS_TTL = 4; // seconds
  const browser = twoServers({ KEYWHEEL_TOKENS__ACCESS_TTL: String(ACCESS_TTL) });

  test("a subscription outlives its tokens; what happened between two connections is in what is read after the second", async () => {
    const profile = await browser.profile();
    const tabs = new Tabs(browser, profile, "cookie");
    const page = await tabs.open();
    await tabs.signIn(page);
    await page.evaluate(() => void ((window as any).following = window.app.follow()));
    await page.waitForFunction(() => (window as any).following.connected > 0);
    const following = () =>
      page.evaluate(
        () => (window as any).following as { told: string[]; read: string[]; closed: string[]; connected: number },
      );

    const begun: string[] = [];
    while ((await following()).connected < 3) {
      begun.push((await elsewhere(browser, browser.there)).session);
      await sleep(0.3);
    }
    let missing = begun;
    await until(async () => {
      const { told, read } = await following();
      missing = begun.filter((session) => !told.includes(session) && !read.includes(session));
      return missing.length === 0;
    }, 10).catch(() => undefined);
    expect(missing).toEqual([]);
    const { told, closed } = await following();
    console.log(
      `${begun.length} sign-ins: ${told.filter((id) => begun.includes(id)).length} were told, the others read`,
    );
    expect(new Set(closed)).toEqual(new Set(["4403 TOKEN_EXPIRED"]));
    expect(told.some((id) => begun.includes(id))).toBe(true);
    expect(await goodbyes(page)).toEqual([]);
  });

  test("a socket that breaks off comes back, and nobody is signed out", async () => {
    const profile = await browser.profile();
    const tabs = new Tabs(browser, profile, "localStorage");
    const page = await tabs.open();
    await tabs.signIn(page);
    await page.evaluate(() => void ((window as any).following = window.app.follow()));
    await page.waitForFunction(() => (window as any).following.connected > 0);
    profile.network.down = true;
    profile.network.cut();
    await sleep(ACCESS_TTL + 1.1); // the token expires meanwhile
    profile.network.down = false;
    const { session } = await elsewhere(browser, browser.there);
    await page.waitForFunction(
      (session) => [...(window as any).following.told, ...(window as any).following.read].includes(session),
      session,
      { timeout: 20_000 },
    );
    expect(await status(page)).toBe("signedIn");
    expect(await goodbyes(page)).toEqual([]);
  });
});
