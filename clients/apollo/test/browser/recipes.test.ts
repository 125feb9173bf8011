import type { Page } from "playwright-core";
import { beforeAll, describe, expect, test } from "vitest";
import { bundle, picture, rig, until, type Profile } from "../support/chromium.js";
import type { Network } from "../support/network.js";
import { elsewhere, expiry } from "../support/tab.js";
import type { Options } from "./pages/recipe.js";

// The error links that everybody copies, against the server with its default windows: users stay signed in, although the recipes
// send refreshes without a retry key and several of them at once. The two cases in which they do not are at the end.

const ACCESS_TTL = 10; // seconds: longer than anything here takes on any machine
/** The id of a user, and nothing of a failure. */
const USER = /^[\w-]{16,}$/;

const browser = rig(
  () => ({
    "/recipe3.js": bundle("test/browser/pages/recipe3.ts"),
    "/recipe4.js": bundle("test/browser/pages/recipe4.ts"),
  }),
  { KEYWHEEL_TOKENS__ACCESS_TTL: String(ACCESS_TTL), KEYWHEEL_LIMITS__ENABLED: "true" },
);

type Recipe = Omit<Options, "url"> & { major: 3 | 4; tabs: number };

async function cook(page: Page, network: Network, { major, queue, delivery }: Recipe): Promise<void> {
  await page.goto(`${browser.site.origin}/recipe${major}`);
  await page.evaluate((options) => window.cook(options), { url: network.url, queue, delivery });
}

async function signedIn(recipe: Recipe): Promise<{ pages: Page[]; profile: Profile }> {
  const profile = await browser.profile();
  const pages = await Promise.all(Array.from({ length: recipe.tabs }, () => profile.context.newPage()));
  await Promise.all(pages.map((page) => cook(page, profile.network, recipe)));
  const { identifier, password } = browser.server;
  await pages[0]!.evaluate(([identifier, password]) => window.recipe.signIn(identifier, password), [
    identifier,
    password,
  ] as const);
  await until(async () => {
    const tokens = await Promise.all(pages.map((page) => page.evaluate(() => localStorage.getItem("accessToken"))));
    return new Set(tokens).size === 1; // Chromium tells the other tabs of a change a moment later
  });
  return { pages, profile };
}

const ask = (page: Page, times: number) => page.evaluate((times) => window.recipe.ask(times), times);

/** An access token that has expired. Nobody has to wait for another one. */
let expired: string;
beforeAll(async () => {
  const { authorization } = await elsewhere(browser);
  await expiry(browser.server.url, authorization);
  expired = authorization.replace("Bearer ", "");
});

/** Makes it the access token of all tabs. Chromium tells other tabs of what one has stored, a moment later. */
async function expire(pages: Page[]): Promise<void> {
  await pages[0]!.evaluate((token) => localStorage.setItem("accessToken", token), expired);
  const has = (token: string) => localStorage.getItem("accessToken") === token;
  await Promise.all(pages.map((page) => page.waitForFunction(has, expired)));
}

/**
 * Refreshes reach the server one after the other, and the first only when so many are there. So the outcome depends on the rule, not
 * on the machine. A browser has six connections: no more than five can wait.
 */
function inOrder(network: Network, together = 1): void {
  let [there, last]: [number, Promise<void>] = [0, Promise.resolve()];
  const done = new Map<object, () => void>();
  network.before = async (call) => {
    if (call.name !== "Refresh") return;
    there += 1;
    const before = last;
    last = new Promise((resolve) => done.set(call, resolve));
    await until(() => there >= together);
    await before;
  };
  network.after = (call) => done.get(call)?.();
}

/** How the refreshes since then ended. */
function refreshes({ calls }: Network, since = 0): string[] {
  return calls
    .slice(since)
    .flatMap(({ name, answer = "" }) => (name === "Refresh" ? [/"code":"(\w+)"/.exec(answer)?.[1] ?? "ok"] : []));
}

const KINDS: [string, Omit<Recipe, "major">, number, number][] = [
  ["ten requests, each of which refreshes", { queue: false, delivery: "BODY", tabs: 1 }, 10, 1],
  ["two tabs, each of whose requests refreshes", { queue: false, delivery: "BODY", tabs: 2 }, 2, 4],
  ["four tabs with a queue each", { queue: true, delivery: "BODY", tabs: 4 }, 10, 4],
  ["ten requests, each of which refreshes a cookie", { queue: false, delivery: "COOKIE", tabs: 1 }, 10, 1],
  ["four tabs with a cookie, each of whose requests refreshes", { queue: false, delivery: "COOKIE", tabs: 4 }, 2, 1],
];

describe.each([3, 4] as const)("the recipe for Apollo Client %i", (major) => {
  test.each(KINDS)("%s, at expiry, twice: everybody stays signed in", async (name, recipe, times, together) => {
    const { pages, profile } = await signedIn({ ...recipe, major });
    const { network } = profile;
    for (let expiry = 1; expiry <= 2; expiry += 1) {
      await expire(pages);
      const before = network.calls.length;
      inOrder(network, together);
      const answers = (await Promise.all(pages.map((page) => ask(page, times)))).flat();
      expect(new Set(answers).size, `${name}: ${answers.join()}`).toBe(1);
      expect(answers[0]).toMatch(USER);
      const ended = refreshes(network, before);
      expect(new Set(ended), name).toEqual(new Set(["ok"]));
      console.log(`Apollo Client ${major}, ${name}: ${ended.length} refreshes for ${answers.length} answers`);
    }
    for (const page of pages) expect(await page.evaluate(() => window.recipe.signedOut)).toEqual([]);
  });

  test("reloaded in the middle of a refresh, with its answer lost: the user stays signed in", async () => {
    const recipe: Recipe = { queue: false, delivery: "BODY", tabs: 1, major };
    const { pages, profile } = await signedIn(recipe);
    const [page] = pages as [Page];
    await expire(pages);
    let lost = 0;
    profile.network.fate = ({ name }) => (name === "Refresh" && (lost += 1) <= 3 ? "answer lost" : "arrives");
    void ask(page, 3).catch(() => undefined);
    await until(() => profile.network.count("Refresh") >= 3);
    await cook(page, profile.network, recipe);
    inOrder(profile.network);
    for (const answer of await ask(page, 3)) expect(answer).toMatch(USER);
    expect(await page.evaluate(() => window.recipe.signedOut)).toEqual([]);
  });
});

// Known limits, with the row of the table in docs/rotation.md that makes them. Should the rule ever forgive these, turn them round.
describe("not forgiven", () => {
  const recipe: Recipe = { queue: false, delivery: "BODY", tabs: 1, major: 4 };

  test("row 10: the twelfth refresh of one token without a key is told RATE_LIMITED; the session goes on", async () => {
    const { pages, profile } = await signedIn(recipe);
    await expire(pages);
    const { network } = profile;
    // No refresh is answered before all twenty were begun: so they all have the same token.
    network.after = async ({ name }) => {
      if (name !== "Refresh") return;
      await until(() => pages[0]!.evaluate(() => window.recipe.begun >= 20));
    };
    const answers = await ask(pages[0]!, 20);
    const ended = refreshes(network);
    expect(ended.filter((code) => code === "RATE_LIMITED").length).toBeGreaterThanOrEqual(1);
    expect(ended.filter((code) => code === "ok").length).toBeGreaterThanOrEqual(11);
    expect(new Set(ended)).toEqual(new Set(["ok", "RATE_LIMITED"]));
    expect(await pages[0]!.evaluate(() => window.recipe.signedOut[0])).toBe("RATE_LIMITED"); // by the recipe alone
    expect(answers.filter((answer) => USER.test(answer)).length).toBeGreaterThanOrEqual(11);
  });

  test("row 5: a refresh without a key that two others have overtaken ends the session", async () => {
    const { pages, profile } = await signedIn(recipe);
    await expire(pages);
    const { network } = profile;
    let held = false;
    let answered = 0;
    network.before = async ({ name }) => {
      // Of two requests that fail together one is slow to refresh. Meanwhile another request has refreshed twice.
      if (name !== "Refresh" || held) return;
      held = true;
      await until(() => answered >= 2);
    };
    network.after = ({ name }) => void (name === "Refresh" && (answered += 1));
    const [slow] = await Promise.all([
      ask(pages[0]!, 2),
      until(() => answered >= 1)
        .then(() => pages[0]!.waitForFunction((old) => localStorage.getItem("accessToken") !== old, expired))
        .then(() => expire(pages))
        .then(() => ask(pages[0]!, 1)),
    ]);
    expect(slow.filter((answer) => USER.test(answer))).toHaveLength(1);
    expect(refreshes(network).filter((code) => code !== "ok")).toEqual(["REFRESH_TOKEN_REUSED"]);
    await picture(pages[0]!, "recipe-signed-out");
  });
});
