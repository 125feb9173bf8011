// @vitest-environment happy-dom
import { act, StrictMode } from "react";
import { createRoot, hydrateRoot } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Keywheel } from "../../src/index.js";
import { useKeywheel } from "../../src/react.js";
import { CREDENTIALS, openTab } from "../support/clients.js";
import { FakeServer } from "../support/server.js";
import { Browser } from "../support/tabs.js";

(globalThis as any).IS_REACT_ACT_ENVIRONMENT = true;

let server: FakeServer;
let browser: Browser;
let place: HTMLElement;

beforeEach(() => {
  server = new FakeServer();
  browser = new Browser();
  place = document.body.appendChild(document.createElement("div"));
});

afterEach(() => {
  place.remove();
  expect(server.mistakes).toEqual([]);
});

function App({ keywheel }: { keywheel: Keywheel }) {
  const { status, user } = useKeywheel(keywheel);
  return <p>{user ?? status}</p>;
}

const settled = () => act(async () => void (await new Promise((resolve) => setTimeout(resolve, 20))));

test("a component follows signing in and out", async () => {
  const { keywheel } = openTab(server, browser);
  const root = createRoot(place);
  await act(async () => root.render(<App keywheel={keywheel} />));
  await settled();
  expect(place.textContent).toBe("signedOut");
  await act(async () => void (await keywheel.login(CREDENTIALS)));
  expect(place.textContent).toBe("usr_ada");
  await act(async () => void (await keywheel.logout()));
  expect(place.textContent).toBe("signedOut");
  await act(async () => root.unmount());
});

test("mounted twice by StrictMode, it makes one refresh", async () => {
  await openTab(server, browser, { storage: "cookie", tabs: browser.tab() }).keywheel.login(CREDENTIALS);
  localStorage.clear(); // nobody knows without asking
  const { keywheel, goodbyes } = openTab(server, browser, { storage: "cookie" });
  const root = createRoot(place);
  await act(async () =>
    root.render(
      <StrictMode>
        <App keywheel={keywheel} />
        <App keywheel={keywheel} />
      </StrictMode>,
    ),
  );
  await settled();
  expect(place.textContent).toBe("usr_adausr_ada");
  expect(server.counts.refreshToken).toBe(1);
  expect(goodbyes).toEqual([]);
  await act(async () => root.unmount());
});

test("two objects in one page, as StrictMode makes them in a component, are like two tabs", async () => {
  await openTab(server, browser).keywheel.login(CREDENTIALS);
  const [one, two] = [openTab(server, browser), openTab(server, browser)];
  expect(await Promise.all([one.me(), two.me()])).toEqual(["usr_ada", "usr_ada"]);
  expect(server.counts.refreshToken).toBe(1);
});

test("hydration finds what the server has rendered", async () => {
  await openTab(server, browser).keywheel.login(CREDENTIALS);
  const { keywheel } = openTab(server, browser);
  expect(renderToString(<App keywheel={keywheel} />)).toBe("<p>unknown</p>");
  await keywheel.ready(); // faster than React
  place.innerHTML = "<p>unknown</p>";
  const complaints = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const root = await act(async () => hydrateRoot(place, <App keywheel={keywheel} />));
  expect(place.textContent).toBe("usr_ada");
  expect(complaints).not.toHaveBeenCalled();
  complaints.mockRestore();
  await act(async () => root.unmount());
});
