import { mkdirSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { buildSync, type BuildOptions } from "esbuild";
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll } from "vitest";
import { freePort, startKeywheel, type RealServer } from "./keywheel.js";
import { Network } from "./network.js";

declare global {
  interface Window {
    /** Milliseconds that the clock of a page is turned forward. */
    passed: number;
  }
}

/** Where pictures go. */
export const ARTEFACTS = process.env["ARTEFACTS"] || "../../target/artefacts";

/** Keeps a picture of a page. */
export async function picture(page: Page, name: string): Promise<void> {
  mkdirSync(ARTEFACTS, { recursive: true });
  await page.screenshot({ path: `${ARTEFACTS}/${name}.png` });
}

/** A web site of the tests. `localhost` is the same site as the server, `127.0.0.1` another one. */
export interface Site {
  origin: string;
  foreign: string;
  close(): void;
}

/** Serves what `page` makes of each request: HTML, or a script when the path says so. */
export async function serve(page: (path: string, request: IncomingMessage) => string): Promise<Site> {
  const server: Server = createServer((request, response) => {
    const path = request.url!.split("?")[0]!;
    response.setHeader("content-type", path.endsWith(".js") ? "text/javascript" : "text/html; charset=utf-8");
    response.end(page(path, request));
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { origin: `http://localhost:${port}`, foreign: `http://127.0.0.1:${port}`, close };
}

/** A script for a page, as a bundler makes it. */
export function bundle(entry: string, options: BuildOptions = {}): string {
  const { outputFiles } = buildSync({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: "iife",
    define: { "process.env.NODE_ENV": '"production"', "globalThis.__DEV__": "false" },
    ...options,
  });
  return outputFiles![0]!.text;
}

/** A browser, a site with the app, and the server that it signs in to. */
export interface Rig {
  server: RealServer;
  /** The app's. */
  site: Site;
  chrome: Browser;
  /** A browser profile and a wire of its own for one test; both are gone when it is over. */
  profile(): Promise<Profile>;
}

export interface Profile {
  context: BrowserContext;
  network: Network;
}

/** Sets all of it up for the tests of a file. `scripts` are those that the site has, by path; its page loads `/app.js`. */
export function rig(scripts: () => Record<string, string>, settings: Record<string, string> = {}): Rig {
  const rig = {} as Rig;
  const profiles: Profile[] = [];
  let publicPort = 0;
  let opened = false; // in this test

  beforeAll(async () => {
    publicPort = await freePort();
    const files = scripts();
    rig.site = await serve((path) => {
      if (path in files) return files[path]!;
      return `<!doctype html><title>app</title><div id=root></div><script src=${path === "/" ? "/app.js" : `${path}.js`}></script>`;
    });
    rig.server = await startKeywheel({
      KEYWHEEL_PUBLIC_URL: `http://localhost:${publicPort}`, // that of the wire of each test, which proofs are for
      KEYWHEEL_ALLOWED_ORIGINS: rig.site.origin,
      ...settings,
    });
    rig.chrome = await launch();
  });
  afterAll(async () => {
    await rig.chrome?.close();
    await rig.server?.stop();
    rig.site?.close();
  });
  afterEach(async ({ task }) => {
    const failed = task.result?.state === "fail" ? `failed-${task.name.replace(/\W+/g, "-")}` : "";
    for (const [which, { context, network }] of profiles.splice(0).entries()) {
      for (const [tab, page] of (failed ? context.pages() : []).entries()) {
        await picture(page, `${failed}-${which + 1}-${tab + 1}`).catch(() => undefined);
      }
      await context.close();
      await network.close();
    }
    opened = false;
  });

  rig.profile = async () => {
    const first = !opened;
    opened = true;
    const network = await Network.to(rig.server.port, first ? publicPort : 0);
    const profile = { context: await rig.chrome.newContext(), network };
    await profile.context.addInitScript(() => {
      window.passed = 0;
      const now = performance.now.bind(performance);
      performance.now = () => now() + window.passed;
    });
    profiles.push(profile);
    return profile;
  };
  return rig;
}

function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env["CHROMIUM"] || "/usr/bin/chromium",
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

export const sleep = (seconds: number) => new Promise<void>((resolve) => setTimeout(resolve, seconds * 1000));

/** Waits until it is so; says in seconds how long that took. */
export async function until(condition: () => boolean | Promise<boolean>, patience = 20): Promise<number> {
  const began = performance.now();
  while (!(await condition())) {
    if (performance.now() - began > patience * 1000) throw new Error(`it was not so within ${patience} s`);
    await sleep(0.02);
  }
  return (performance.now() - began) / 1000;
}
