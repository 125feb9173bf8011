import type { Page } from "playwright-core";
import { expect } from "vitest";
import { picture } from "./chromium.js";
import { ask, goodbyes, type Tabs } from "./tab.js";

// What every round is: four tabs send ten requests each when their access token has expired. One refresh reaches the server, forty
// requests succeed and nobody is signed out. The server forgives nothing but a repeated retry key: a second refresh with the same
// token would end the session.

export const ROUNDS = 50;
/** Gives how many requests it took. */
export async function round(tabs: Tabs, pages: Page[], user: string): Promise<number> {
  const { calls } = tabs.profile.network;
  const before = calls.length;
  const answers = await Promise.all(pages.map((page) => ask(page, 10)));
  for (const answer of answers) expect(answer).toEqual([user]);
  const here = calls.slice(before);
  const refreshes = here.filter(({ name }) => name === "KeywheelRefresh");
  // A second one is told whole: its token and its key say what a tab did not know.
  expect(refreshes.slice(1).map(({ body, answer }) => ({ body, answer, first: refreshes[0] }))).toEqual([]);
  expect(refreshes).toHaveLength(1);
  expect(here.filter(({ name, answer }) => name === "Me" && answer?.includes(user))).toHaveLength(40);
  return here.filter(({ name }) => name === "Me").length;
}

export async function signedInTabs(tabs: Tabs): Promise<{ pages: Page[]; user: string }> {
  const pages = await tabs.several(4);
  const user = await tabs.signIn(pages[0]!);
  for (const page of pages) await page.waitForFunction(() => window.app.keywheel.state.status === "signedIn");
  return { pages, user };
}

export async function nobodyLeft(pages: Page[], name: string): Promise<void> {
  for (const page of pages) expect(await goodbyes(page)).toEqual([]);
  await picture(pages[0]!, name);
}
