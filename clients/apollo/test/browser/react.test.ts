import { expect, test } from "vitest";
import { bundle, picture, rig } from "../support/chromium.js";
import { STRICT } from "../support/keywheel.js";
import { Tabs } from "../support/tab.js";
import type {} from "./pages/strict.js";

const browser = rig(
  () => ({
    "/app.js": bundle("test/browser/pages/app.ts"),
    "/strict.js": bundle("test/browser/pages/strict.tsx", {
      define: { "process.env.NODE_ENV": '"development"' }, // React mounts twice only then
      jsx: "automatic",
    }),
  }),
  STRICT,
);

test("mounted twice by StrictMode, a page asks once, and is signed out once", async () => {
  const profile = await browser.profile();
  const { network, context } = profile;
  const tabs = new Tabs(browser, profile, "cookie");
  const other = await tabs.open();
  const user = await tabs.signIn(other);
  await other.evaluate(() => localStorage.clear()); // nobody knows without asking
  await other.close();
  const before = network.calls.length;
  const refreshes = () => network.calls.slice(before).filter(({ name }) => name === "KeywheelRefresh").length;

  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(`${browser.site.origin}/strict`);
  await page.evaluate((url) => window.mount(url), network.url);
  await page.waitForFunction((text) => document.getElementById("status")?.textContent === text, `${user} is there`);
  expect(await page.evaluate(() => window.strict.effects)).toBe(2); // or it was not StrictMode
  expect(refreshes()).toBe(1);
  expect(network.count("Me")).toBe(1);
  await picture(page, "strict-mode-signed-in");

  await page.evaluate(() => window.strict.keywheel.logout());
  await page.waitForFunction(() => document.getElementById("status")?.textContent === "signed out");
  expect(await page.evaluate(() => window.strict.goodbyes)).toEqual(["LOGOUT"]);
  expect(refreshes()).toBe(1);
  await picture(page, "strict-mode-signed-out");

  await page.evaluate(() => window.strict.unmount());
  expect(complaints).toEqual([]);
});
