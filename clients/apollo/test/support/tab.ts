import type { Page } from "playwright-core";
import type {} from "../browser/pages/app.js";
import type { Profile, Rig } from "./chromium.js";

export type Storage = "cookie" | "localStorage";

/** The tabs of one browser profile, with the app of `pages/app.ts`. */
export class Tabs {
  readonly rig: Rig;
  readonly profile: Profile;
  readonly storage: Storage;
  readonly bound: boolean;

  constructor(rig: Rig, profile: Profile, storage: Storage, bound = false) {
    this.rig = rig;
    this.profile = profile;
    this.storage = storage;
    this.bound = bound;
  }

  /** A tab with the app, which has not looked at anything yet. */
  async open(): Promise<Page> {
    const page = await this.profile.context.newPage();
    await page.goto(this.rig.site.origin);
    await this.start(page);
    return page;
  }

  /** So many of them, whose apps hear each other. */
  async several(count: number): Promise<Page[]> {
    const pages = await Promise.all(Array.from({ length: count }, () => this.open()));
    await Promise.all(pages.map(status));
    return pages;
  }

  start(page: Page): Promise<void> {
    const { url } = this.profile.network;
    return page.evaluate(([url, storage, bound]) => void window.start(url, storage, bound), [
      url,
      this.storage,
      this.bound,
    ] as const);
  }

  /** Gives the id of the user. */
  signIn(page: Page): Promise<string> {
    const { identifier, password } = this.rig.server;
    return page.evaluate((credentials) => window.app.keywheel.login(credentials).then(({ user }) => user.id), {
      identifier,
      password,
    });
  }

  /** Turns the clock of these tabs: by it, their access tokens have expired. */
  async expire(...pages: Page[]): Promise<void> {
    for (const page of pages) await page.evaluate(() => void (window.passed += 3_600_000));
  }
}

/** Waits until the server takes an access token no more. */
export async function expiry(url: string, authorization: string): Promise<void> {
  while ((await asked(url, "{ me { id } }", authorization)).errors === undefined) {
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

export const ask = (page: Page, times: number) => page.evaluate((times) => window.app.ask(times), times);
export const status = (page: Page) =>
  page.evaluate(() => window.app.keywheel.ready().then(({ status }): string => status));
export const goodbyes = (page: Page) => page.evaluate(() => window.app.goodbyes);

/** Asks the server past all browsers, as from another device. */
export async function asked(url: string, query: string, authorization?: string, variables = {}): Promise<any> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...(authorization && { authorization }) },
    body: JSON.stringify({ query, variables }),
  });
  return response.json();
}

/** Signs in from another device; gives what the header needs, and the id of the session. */
export async function elsewhere(rig: Rig, url = rig.server.url): Promise<{ authorization: string; session: string }> {
  const { identifier, password } = rig.server;
  const query = "mutation ($input: LoginInput!) { login(input: $input) { accessToken session { id } } }";
  const { data } = await asked(url, query, undefined, { input: { identifier, password, delivery: "BODY" } });
  return { authorization: `Bearer ${data.login.accessToken}`, session: data.login.session.id };
}
