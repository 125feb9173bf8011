import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundle, picture, rig, serve, sleep, type Profile, type Site } from "../support/chromium.js";
import { ask, asked, elsewhere, goodbyes, status, Tabs } from "../support/tab.js";

// Somebody is signed in with a cookie and visits a page of an attacker, who tries to do things as them with all that a page can send
// to another origin: none of it has an effect. From `127.0.0.1` SameSite keeps the cookie back. From another port of `localhost`,
// which is the same site, it does not: there the server alone refuses, and the tests look that the cookie did arrive.

const browser = rig(() => ({ "/app.js": bundle("test/browser/pages/app.ts") }));

let attacker: Site;
beforeAll(
  async () => void (attacker = await serve(() => "<!doctype html><title>win a prize</title><h1>You have won!</h1>")),
);
afterAll(() => attacker?.close());

const COOKIE = "__Host-keywheel";
const ACTS: Record<string, string> = {
  logout: "mutation Attack { logout { session { id } } }",
  refresh: "mutation Attack { refreshToken { accessToken } }",
  revoke: "mutation Attack { revokeSessions(input: { scope: ALL }) { signedOut } }",
  read: "query Attack { me { id email sessions { nodes { id } } } }",
};

/** Every way to send something to another origin without asking it first, and some that ask. Runs in the attacker's page. */
const WAYS: Record<string, (attack: { url: string; query: string }) => unknown> = {
  "a form, urlencoded": ({ url, query }) => submit(url, "application/x-www-form-urlencoded", { query }),
  "a form, multipart": ({ url, query }) =>
    submit(url, "multipart/form-data", { query, operations: JSON.stringify({ query }), map: "{}" }),
  "a form, text/plain that is JSON": ({ url, query }) => {
    const [before, after] = JSON.stringify({ query, variables: { x: "SPLIT" } }).split("SPLIT") as [string, string];
    return submit(url, "text/plain", { [before]: after }); // before=after is JSON again
  },
  "a form with GET": ({ url, query }) => submit(url, "application/x-www-form-urlencoded", { query }, "GET"),
  "an image": ({ url, query }) => {
    const image = document.body.appendChild(new Image());
    return new Promise(
      (done) => ((image.onerror = image.onload = done), (image.src = `${url}?query=${encodeURIComponent(query)}`)),
    );
  },
  "a script": ({ url, query }) => {
    const script = document.createElement("script");
    return new Promise((done) => {
      script.onerror = script.onload = done;
      script.src = `${url}?query=${encodeURIComponent(query)}`;
      document.body.append(script);
    });
  },
  "a link that is followed": ({ url, query }) => void (location.href = `${url}?query=${encodeURIComponent(query)}`),
  "fetch, no-cors, text/plain": ({ url, query }) =>
    fetch(url, { method: "POST", mode: "no-cors", credentials: "include", body: JSON.stringify({ query }) }),
  "fetch, no-cors, without a content type": ({ url, query }) =>
    fetch(url, {
      method: "POST",
      mode: "no-cors",
      credentials: "include",
      body: new Blob([JSON.stringify({ query })]),
    }),
  "fetch, no-cors, GET": ({ url, query }) =>
    fetch(`${url}?query=${encodeURIComponent(query)}`, { mode: "no-cors", credentials: "include" }),
  "fetch, JSON, which has to ask": ({ url, query }) =>
    fetch(url, {
      method: "POST",
      credentials: "include",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query }),
    }),
  "a beacon": ({ url, query }) => navigator.sendBeacon(url, JSON.stringify({ query })),
  "an event stream": ({ url, query }) => {
    const stream = new EventSource(`${url}?query=${encodeURIComponent(query)}`, { withCredentials: true });
    return new Promise((done) => (stream.onerror = () => (stream.close(), done(undefined))));
  },
  "a WebSocket": ({ url, query }) => {
    const socket = new WebSocket(url.replace("http", "ws"), "graphql-transport-ws");
    socket.onopen = () => {
      socket.send(JSON.stringify({ type: "connection_init" }));
      socket.send(JSON.stringify({ type: "subscribe", id: "1", payload: { query } }));
    };
    return new Promise((done) => (socket.onclose = done));
  },
};
declare const submit: (url: string, type: string, fields: Record<string, string>, method?: string) => Promise<void>;

/** For the attacker's page: a form that nobody sees. */
function hiddenForm(): void {
  (window as any).submit = (url: string, type: string, fields: Record<string, string>, method = "POST") => {
    const frame = document.createElement("iframe");
    frame.name = `frame${document.querySelectorAll("iframe").length}`;
    const form = Object.assign(document.createElement("form"), {
      action: url,
      method,
      enctype: type,
      target: frame.name,
    });
    for (const [name, value] of Object.entries(fields)) {
      form.append(Object.assign(document.createElement("input"), { name, value, type: "hidden" }));
    }
    document.body.append(frame, form);
    form.submit();
    return new Promise((done) => setTimeout(done, 150));
  };
}

async function victim(): Promise<{ profile: Profile; page: Page; tabs: Tabs; user: string }> {
  const profile = await browser.profile();
  const tabs = new Tabs(browser, profile, "cookie");
  const page = await tabs.open();
  const user = await tabs.signIn(page);
  return { profile, page, tabs, user };
}

const cookie = async ({ context }: Profile) => (await context.cookies()).find(({ name }) => name === COOKIE)?.value;

async function sessions(): Promise<unknown[]> {
  const { authorization } = await elsewhere(browser);
  const { data } = await asked(browser.server.url, "{ me { sessions { nodes { id } } } }", authorization);
  return data.me.sessions.nodes.map(({ id }: { id: string }) => id);
}

describe.each([
  ["of another site", "foreign"],
  ["of the same site", "origin"],
] as const)("a page of another origin, %s,", (_, which) => {
  test(`gets nowhere in ${Object.keys(WAYS).length} ways`, async () => {
    const { profile, page, user } = await victim();
    const { network } = profile;
    const session = await page.evaluate(() => window.app.keywheel.state.session!);
    const before = await cookie(profile);
    expect(before).toMatch(/^kwr_/);
    const bad = await profile.context.newPage();

    for (const [way, send] of Object.entries(WAYS)) {
      const began = network.calls.length;
      for (const query of Object.values(ACTS)) {
        await visit(bad, attacker[which]);
        const since = network.calls.length;
        await bad.evaluate(`(${send})(${JSON.stringify({ url: network.url, query })})`).catch(() => undefined);
        await until(() => network.calls.length > since && network.calls.every(({ done }) => done));
      }
      const attacks = network.calls.slice(began);
      expect(attacks.length, way).toBeGreaterThanOrEqual(Object.keys(ACTS).length); // it has been tried
      for (const { answer = "" } of attacks) {
        expect(answer, way).not.toContain(user);
        expect(answer, way).not.toMatch(/"accessToken":|"signedOut":(true|false)|"session":\{/);
      }
      // A link that is followed brings the cookie along from everywhere (Lax), the rest only from the same site. CORS asks without it.
      const arrived = attacks.some(({ headers }) => headers.cookie?.includes(`${COOKIE}=kwr_`));
      const asksFirst = way.startsWith("fetch, JSON");
      expect(arrived, way).toBe(!asksFirst && (which === "origin" || way === "a link that is followed"));
      expect(await cookie(profile), way).toBe(before);
      expect(await ask(page, 1), way).toEqual([user]);
    }
    await visit(bad, attacker[which]);
    await picture(bad, `csrf-attacker-${which}`);
    expect(await sessions()).toContain(session);
    await page.evaluate(() => window.app.keywheel.refresh());
    expect(await status(page)).toBe("signedIn");
    expect(await goodbyes(page)).toEqual([]);
    await picture(page, `csrf-victim-${which}`);
  });

  test("cannot sign the victim in as somebody else", async () => {
    const { profile } = await victim();
    const before = await cookie(profile);
    const { identifier, password } = browser.server;
    const query = `mutation Attack { login(input: { identifier: "${identifier}", password: "${password}", delivery: COOKIE }) { expiresIn } }`;
    const bad = await profile.context.newPage();
    for (const [way, send] of Object.entries(WAYS)) {
      await visit(bad, attacker[which]);
      const attack = JSON.stringify({ url: profile.network.url, query });
      const since = profile.network.calls.length;
      await bad.evaluate(`(${send})(${attack})`).catch(() => undefined);
      await until(() => profile.network.calls.length > since && profile.network.calls.every(({ done }) => done));
      expect(await cookie(profile), way).toBe(before);
    }
  });
});

test("the same from the app's own page has an effect: the attacks would work if they were let in", async () => {
  const { profile, page } = await victim();
  const attack = JSON.stringify({ url: profile.network.url, query: ACTS["logout"] });
  await page.evaluate(`(${WAYS["fetch, JSON, which has to ask"]})(${attack})`);
  expect(await cookie(profile)).toBeUndefined();
  expect(await status(page)).toBe("signedIn"); // it does not know yet
  await page.evaluate(() => window.app.ask(1).catch(() => undefined));
  expect(await goodbyes(page)).toEqual(["SESSION_REVOKED"]);
});

/** The attacker's page, loaded afresh. A link that was followed may be on its way still. */
async function visit(page: Page, address: string): Promise<void> {
  while (!(await page.goto(address).then(Boolean, () => false))) await sleep(0.05);
  await page.evaluate(hiddenForm);
}

async function until(condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition() && waited < 5_000; waited += 20) await sleep(0.02);
  await sleep(0.05);
}
