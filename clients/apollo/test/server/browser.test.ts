import { createServer, type Server } from "node:http";
import { buildSync } from "esbuild";
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startKeywheel, type RealServer } from "../support/keywheel.js";
import type {} from "./page.js";

const ACCESS_TTL = 3; // seconds

let server: RealServer;
let site: Server;
let address: string;
let chrome: Browser;
let context: BrowserContext;
/** Names of the operations that pages have sent. */
let sent: string[];

beforeAll(async () => {
  const bundle = buildSync({
    entryPoints: ["test/server/page.ts"],
    bundle: true,
    write: false,
    format: "iife",
    define: { "process.env.NODE_ENV": '"production"' },
  });
  const script = bundle.outputFiles[0]!.text;
  site = createServer((request, response) => {
    const isScript = request.url === "/page.js";
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? script : "<!doctype html><title>app</title><script src=/page.js></script>");
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => site.once("listening", resolve));
  address = `http://localhost:${(site.address() as { port: number }).port}`;
  server = await startKeywheel({
    KEYWHEEL_ALLOWED_ORIGINS: address,
    KEYWHEEL_TOKENS__ACCESS_TTL: String(ACCESS_TTL),
    KEYWHEEL_TOKENS__RACE_WINDOW_MS: "0",
    KEYWHEEL_TOKENS__RETRY_WINDOW_MS: "0",
    KEYWHEEL_TOKENS__COOKIE_KEEP_MS: "0",
  });
  chrome = await chromium.launch({
    executablePath: process.env["CHROMIUM"] || "/usr/bin/chromium",
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
    ],
  });
});
afterAll(async () => {
  await chrome?.close();
  await server?.stop();
  site?.close();
});

beforeEach(async () => {
  context = await chrome.newContext();
  sent = [];
  context.on("request", (request) => {
    const name = /(?:mutation|query) (\w+)/.exec(request.postData() ?? "")?.[1];
    if (name) sent.push(name);
  });
});
afterEach(() => context.close());

const count = (name: string) => sent.filter((other) => other === name).length;
const sleep = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

type Storage = "cookie" | "localStorage";

async function openTab(storage: Storage, bound = false): Promise<Page> {
  const page = await context.newPage();
  await page.goto(address);
  await start(page, storage, bound);
  return page;
}

const start = (page: Page, storage: Storage, bound = false) =>
  page.evaluate(([url, storage, bound]) => void window.start(url, storage, bound), [
    server.url,
    storage,
    bound,
  ] as const);

const signIn = (page: Page) =>
  page.evaluate((credentials) => window.app.keywheel.login(credentials).then(({ user }) => user.id), {
    identifier: server.identifier,
    password: server.password,
  });

const ask = (page: Page, times: number) => page.evaluate((times) => window.app.ask(times), times);
const status = (page: Page) => page.evaluate(() => window.app.keywheel.ready().then(({ status }) => status));
const goodbyes = (page: Page) => page.evaluate(() => window.app.goodbyes);

describe.each(["cookie", "localStorage"] as const)("in Chromium, with %s,", (storage) => {
  test("four tabs with ten requests each at expiry make one refresh", async () => {
    const pages = [await openTab(storage), await openTab(storage), await openTab(storage), await openTab(storage)];
    for (const page of pages) expect(await status(page)).toBe("signedOut");
    sent = [];
    const user = await signIn(pages[0]!);
    await sleep(ACCESS_TTL + 0.5);
    const answers = await Promise.all(pages.map((page) => ask(page, 10)));
    for (const answer of answers) expect(answer).toEqual([user]);
    expect(count("KeywheelRefresh")).toBe(1);
    expect(count("Me")).toBe(40);
  });

  test("four tabs of a browser that was started again make one refresh", async () => {
    const first = await openTab(storage);
    const user = await signIn(first);
    await first.close();
    sent = [];
    const pages = [await openTab(storage), await openTab(storage), await openTab(storage), await openTab(storage)];
    for (const page of pages) expect(await status(page)).toBe("signedIn"); // from now on they hear each other
    const answers = await Promise.all(pages.map((page) => ask(page, 10)));
    for (const answer of answers) expect(answer).toEqual([user]);
    expect(count("KeywheelRefresh")).toBe(1);
  });

  test("a page that is reloaded in the middle of a refresh goes on", async () => {
    const page = await openTab(storage);
    const user = await signIn(page);
    await sleep(ACCESS_TTL + 0.5);
    let keys: string[] = [];
    await page.route(server.url, async (route) => {
      const body = route.request().postData() ?? "";
      if (!body.includes("KeywheelRefresh")) return route.continue();
      keys.push(JSON.parse(body).variables.input.retryKey);
      if (keys.length > 1) return route.continue();
      await route.fetch(); // the server has rotated; nobody hears of it
      await page.goto(address);
    });
    await ask(page, 1).catch(() => undefined);
    await page.waitForFunction(() => typeof window.start === "function");
    await start(page, storage);
    expect(await ask(page, 1)).toEqual([user]);
    expect(keys).toHaveLength(2);
    expect(keys[1]).toBe(keys[0]);
  });

  test("signing out in one tab signs out all of them, once, and for good", async () => {
    const pages = [await openTab(storage), await openTab(storage), await openTab(storage)];
    await signIn(pages[0]!);
    for (const page of pages) expect(await status(page)).toBe("signedIn");
    await pages[1]!.evaluate(() => window.app.keywheel.logout());
    await sleep(0.2);
    for (const page of pages) {
      expect(await goodbyes(page)).toEqual(["LOGOUT"]);
      expect(await ask(page, 1)).toEqual([null]);
    }
    await pages[0]!.reload();
    await start(pages[0]!, storage);
    expect(await status(pages[0]!)).toBe("signedOut");
    expect((await context.cookies()).filter(({ name }) => name === "__Host-keywheel")).toEqual([]);
  });

  test("a clock that is a day wrong is nobody's business", async () => {
    await context.addInitScript(() => {
      const { now } = Date;
      Date.now = () => now() + 86_400_000;
    });
    const page = await openTab(storage);
    const user = await signIn(page);
    sent = [];
    expect(await ask(page, 5)).toEqual([user]);
    expect(count("KeywheelRefresh")).toBe(0);
    await sleep(ACCESS_TTL + 0.5);
    expect(await ask(page, 5)).toEqual([user]);
    expect(count("KeywheelRefresh")).toBe(1);
  });

  test("a bound session lives through a reload, since its key does", async () => {
    const page = await openTab(storage, true);
    const user = await signIn(page);
    expect(await ask(page, 3)).toEqual([user]);
    await page.reload();
    await start(page, storage, true);
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
});

test("with a cookie no script has the refresh token, whoever looks", async () => {
  const page = await openTab("cookie");
  await signIn(page);
  const everything = await page.evaluate(() =>
    JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]),
  );
  expect(everything).not.toContain("kwr_");
  const cookie = (await context.cookies()).find(({ name }) => name === "__Host-keywheel");
  expect(cookie).toMatchObject({ httpOnly: true, secure: true, sameSite: "Lax" });
});

test("offline, then online: nobody is signed out", async () => {
  const page = await openTab("cookie");
  const user = await signIn(page);
  await sleep(ACCESS_TTL + 0.5);
  await context.setOffline(true);
  const error = await page.evaluate(() => window.app.ask(1).catch((error: Error) => error.message));
  expect(error).toContain("did not answer");
  expect(await status(page)).toBe("signedIn");
  await context.setOffline(false);
  await sleep(2); // the pause after three failures
  expect(await ask(page, 1)).toEqual([user]);
});
