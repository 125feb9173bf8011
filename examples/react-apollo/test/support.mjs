// What the walk stands on: a server of its own, the built pages, a browser, the mail, and what must hold on every page.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import axe from "axe-core";
import { chromium } from "playwright-core";

const root = fileURLToPath(new URL("..", import.meta.url));
const children = [];

let passed = 0;
let failed = 0;

export function check(name, ok, detail = "") {
  if (ok) passed += 1;
  else failed += 1;
  console.log(`${ok ? "ok" : "FAILED"}   ${name}${ok || detail === "" ? "" : `: ${typeof detail === "string" ? detail : JSON.stringify(detail)}`}`);
}

/** Says how it went; the code to end with. */
export function total() {
  console.log(`\n${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

/** Waits until it is true, and says how many milliseconds that took; null if it never is. */
export async function until(condition, patience = 10_000) {
  const began = performance.now();
  while (!(await condition())) {
    if (performance.now() - began > patience) return null;
    await sleep(20);
  }
  return Math.round(performance.now() - began);
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** Starts a program; resolves with what the first line says that `read` can read. */
function start(program, args, options, read) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"], ...options });
  children.push(child);
  return new Promise((found, fail) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const value = read(line);
      if (value) found(value);
    });
    child.once("error", fail);
    child.once("exit", (code) => fail(new Error(`${program} ended with ${code}`)));
  });
}

/** Keywheel in a folder of its own, and the built pages in front of it. Links in letters lead to the pages. */
export async function serve() {
  const { KEYWHEEL: program } = process.env;
  if (!program) throw new Error("KEYWHEEL must name the server's program, such as ../../target/debug/keywheel");
  if (!existsSync(join(root, "dist/index.html"))) throw new Error("run `npm run build` first");
  const folder = mkdtempSync(join(tmpdir(), "keywheel-"));
  const [at, port] = [await freePort(), await freePort()];
  const app = `http://localhost:${port}`;
  const settings = {
    KEYWHEEL_LISTEN: `127.0.0.1:${at}`,
    KEYWHEEL_REGISTRATION__REQUIRE_VERIFICATION: "true",
    KEYWHEEL_MAIL__VERIFY_URL: `${app}/verify-email`,
    KEYWHEEL_MAIL__RESET_URL: `${app}/reset-password`,
    KEYWHEEL_SESSIONS__REAUTHENTICATE_AFTER: "3",
    KEYWHEEL_LIMITS__ACCOUNT_BURST: "3",
    KEYWHEEL_PASSWORDS__MEMORY_KIB: "8",
    KEYWHEEL_PASSWORDS__ITERATIONS: "1",
  };
  const server = await start(resolve(program), ["dev"], { cwd: folder, env: { PATH: process.env.PATH, ...settings } }, (line) => {
    return /^  GraphQL +(\S+)\/graphql$/.exec(line)?.[1];
  });
  const vite = [join(root, "node_modules/vite/bin/vite.js"), "preview", "--port", String(port), "--strictPort"];
  await start(process.execPath, vite, { cwd: root, env: { ...process.env, KEYWHEEL_URL: server, NO_COLOR: "1" } }, (line) => line.includes("Local:"));
  return { app, server, folder };
}

export function stop({ folder }) {
  for (const child of children) child.kill();
  rmSync(folder, { recursive: true, force: true });
}

/** The link in the newest letter to somebody whose subject fits. */
export async function mailed(server, to, subject, after = 0) {
  let link;
  await until(async () => {
    const mails = await (await fetch(`${server}/dev/mail`, { headers: { accept: "application/json" } })).json();
    const fitting = mails.filter((mail) => JSON.stringify(mail.to).includes(to) && subject.test(mail.subject));
    link = fitting.length > after ? fitting[0].links[0] : undefined;
    return link;
  });
  return link;
}

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
}

/** What pages complain about, and whom else they ask. Stays empty. */
export const complaints = [];

/** A browser of its own: other cookies, other storage. */
export async function visitor(browser, app, options = {}) {
  const context = await browser.newContext({ baseURL: app, viewport: { width: 1200, height: 900 }, deviceScaleFactor: Number(process.env.SCALE ?? 1), ...options });
  context.setDefaultTimeout(10_000);
  context.on("request", (request) => {
    if (new URL(request.url()).origin !== app) complaints.push(`asked ${request.url()}`);
  });
  context.on("weberror", (error) => complaints.push(`${error.page()?.url()}: ${error.error()}`));
  context.on("console", (message) => {
    // A refusal with its real status: the browser writes it down whatever the page does with it.
    const refused = message.text().startsWith("Failed to load resource") && message.location().url.endsWith("/graphql");
    if (["error", "warning"].includes(message.type()) && !refused) complaints.push(`${message.page()?.url()}: ${message.text()}`);
  });
  return context.newPage();
}

/** Serious is what keeps somebody out. */
const GRAVE = ["serious", "critical"];

/** What must hold on every page, in light and dark, wide and narrow. */
export async function inspect(page, name) {
  const size = page.viewportSize();
  for (const colorScheme of ["dark", "light"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.evaluate(axe.source);
    const { violations } = await page.evaluate(() => window.axe.run({ resultTypes: ["violations"] }));
    const grave = violations.filter(({ impact }) => GRAVE.includes(impact));
    check(`${name}, ${colorScheme}: no barrier that axe knows`, grave.length === 0, grave.map(({ id, nodes }) => `${id} ${nodes.map(({ html, any }) => `${html} ${any[0]?.message ?? ""}`)}`).join("\n"));
  }
  await page.setViewportSize({ width: 360, height: 740 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  check(`${name}: 360 pixels are enough`, wide <= 360, `${wide} pixels`);
  await picture(page, `${name}-mobile`);
  await page.setViewportSize(size);
}

/** A picture, where somebody wants to see it. */
export async function picture(page, name, part) {
  const { SCREENSHOTS: folder } = process.env;
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${name.replaceAll(" ", "-")}.png`);
  if (part) await page.locator(part).screenshot({ path });
  else await page.screenshot({ path, fullPage: true });
}

/** The same in both themes. */
export async function pictures(page, name, part) {
  if (!process.env.SCREENSHOTS) return;
  for (const colorScheme of ["dark", "light"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await picture(page, `${name}-${colorScheme}`, part);
  }
}
