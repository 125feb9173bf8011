// Opens the explorer in Chromium and uses it as a person would.
//
//   node explorer.mjs <base url> <identifier> <password>
//
// It ends every session of the account it signs in with. CHROMIUM names the browser, /usr/bin/chromium by default. Pictures are kept in
// the folder that ARTEFACTS names, target/artefacts by default.

import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const [base, identifier, password] = process.argv.slice(2);
if (!password) {
  console.error("usage: node explorer.mjs <base url> <identifier> <password>");
  process.exit(2);
}
const { origin } = new URL(base);
const ARTEFACTS = process.env.ARTEFACTS || fileURLToPath(new URL("../../target/artefacts", import.meta.url));
mkdirSync(ARTEFACTS, { recursive: true });
const TABS = ["Login", "Me", "Refresh", "Sessions", "Revoke", "Follow"];

// ---- Checks --------------------------------------------------------------------------------------------------------

let passed = 0;
let failed = 0;

function check(name, ok, detail = "") {
  if (ok) passed += 1;
  else failed += 1;
  console.log(`${ok ? "ok" : "FAILED"}   ${name}${ok || detail === "" ? "" : `: ${detail}`}`);
}

// ---- Browser -------------------------------------------------------------------------------------------------------

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
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
const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
const page = await context.newPage();

const strangers = [];
const addresses = [];
const complaints = [];
const secrets = new Set([password]);
let losingAnswers = false;

context.on("request", (request) => {
  const url = new URL(request.url());
  addresses.push(request.url());
  if (url.protocol !== "data:" && url.origin !== origin) strangers.push(request.url());
});
page.on("framenavigated", (frame) => addresses.push(frame.url()));
page.on("pageerror", (error) => complaints.push(error.message));
page.on("console", (message) => {
  // Chromium reports the request that this test breaks on purpose.
  const expected = losingAnswers && message.text().includes("net::ERR_");
  if (["error", "warning"].includes(message.type()) && !expected) complaints.push(message.text());
});

// What an earlier GraphiQL on this origin may have left behind.
await context.addInitScript(() => {
  window.violations = [];
  document.addEventListener("securitypolicyviolation", (event) => {
    window.violations.push(`${event.violatedDirective} ${event.blockedURI}`);
  });
  const tab = { id: "1", title: "Old", query: "{ old }", variables: null, headers: null, operationName: null, response: null };
  localStorage.setItem("graphiql:tabState", JSON.stringify({ activeTabIndex: 0, tabs: [tab] }));
  localStorage.setItem("graphiql:query", "{ old }");
});

// ---- What a person does --------------------------------------------------------------------------------------------

const tab = (name) => page.getByRole("tab").getByRole("button", { name, exact: true });
const tabNames = async () => (await page.getByRole("tab").allInnerTexts()).map((text) => text.trim());
const status = () => page.getByRole("status").innerText();

let policy = "";
async function open() {
  const response = await page.goto(`${base.replace(/\/$/, "")}/explorer`);
  policy = response.headers()["content-security-policy"] ?? "";
  await tab("Login").waitFor({ timeout: 10_000 });
  await page.getByLabel("Execute query (Ctrl-Enter)").waitFor({ timeout: 10_000 });
}

async function select(name) {
  await tab(name).click();
  await page.locator(`[role=tab][aria-selected=true]:has-text("${name}")`).waitFor();
}

async function fillVariables(variables) {
  await page.locator("section.graphiql-editor-tool .CodeMirror:visible").click();
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.insertText(JSON.stringify(variables));
}

function editorText(selector) {
  return page.locator(selector).first().evaluate((element) => element.CodeMirror.getValue());
}

/** Presses Run; gives back what was sent and what was answered. */
async function run() {
  const [request] = await Promise.all([
    page.waitForRequest((it) => it.url().endsWith("/graphql") && it.method() === "POST", { timeout: 10_000 }),
    page.getByLabel("Execute query (Ctrl-Enter)").click(),
  ]);
  await page.waitForFunction(
    () => document.querySelector(".graphiql-response .CodeMirror")?.CodeMirror.getValue().trim(),
    null,
    { timeout: 10_000 },
  );
  const response = await request.response();
  const answer = response && (await response.json());
  for (const payload of Object.values(answer?.data ?? {})) {
    if (payload?.accessToken) secrets.add(payload.accessToken);
    if (payload?.refreshToken) secrets.add(payload.refreshToken);
  }
  return {
    authorization: (await request.allHeaders()).authorization ?? null,
    input: request.postDataJSON().variables?.input,
    answer,
  };
}

/** GraphiQL keeps what was typed, and stores it, half a second later each: quick hands would hide a leak. */
const settle = () => page.waitForTimeout(1_500);

const errors = (sent) => JSON.stringify(sent.answer?.errors ?? sent.answer);

/** Keeps a picture without secrets: they are in the answer to Login and Refresh, so those are not taken. */
const picture = (name) => page.screenshot({ path: `${ARTEFACTS}/explorer-${name}.png` });

/** The secrets seen so far that are written down anywhere outside this page's memory. */
async function leaks() {
  const kept = await page.evaluate(async () =>
    JSON.stringify([
      { ...localStorage },
      { ...sessionStorage },
      location.href,
      document.cookie,
      window.name,
      history.state,
      (await indexedDB.databases()).map((database) => database.name),
    ]),
  );
  const written = [kept, ...addresses.map(decodeURIComponent)].join("\n");
  return [...secrets].filter((secret) => written.includes(secret));
}

// ---- The visit -----------------------------------------------------------------------------------------------------

try {
  await open();
  check("the page is ready", true);
  check("its tabs are there, whatever an older visit stored", TABS.join() === (await tabNames()).join(), await tabNames());
  const allowed = policy.split(/[;\s]+/).filter((word) => /[.:*]/.test(word));
  check("its content security policy lets in nobody else", policy.includes("default-src 'none'") && !allowed.some((word) => word.includes("//") || word.includes("*")), policy);
  const refused = await page.evaluate(() => fetch("http://127.0.0.1:9/", { mode: "no-cors" }).then(() => "sent", () => "refused"));
  await page.waitForFunction(() => window.violations.length > 0);
  check("a request elsewhere is refused by it", refused === "refused" && (await page.evaluate(() => window.violations.splice(0).join())).startsWith("connect-src"));
  complaints.length = 0; // of that one
  await picture("ready");
  check("nobody is signed in", (await status()) === "Not signed in", await status());
  const height = await page.locator(".graphiql-container").evaluate((it) => it.getBoundingClientRect().height);
  check("GraphiQL fills the window", height === 800, `${height} of 800 pixels`);

  await select("Me");
  let sent = await run();
  check("Me before signing in carries no token", sent.authorization === null);
  check("Me before signing in is null", sent.answer.data?.me === null, errors(sent));

  await select("Refresh");
  sent = await run();
  check("Refresh before signing in leaves the token to the cookie", !("refreshToken" in sent.input) && sent.input.retryKey);
  check("and there is none", sent.answer.errors?.[0]?.extensions?.code === "REFRESH_TOKEN_INVALID", errors(sent));

  await select("Login");
  const template = JSON.parse(await editorText("section.graphiql-editor-tool .CodeMirror"));
  check("Login shows its variables", template.input?.password === "" && template.input.delivery === "BODY");
  await fillVariables({ input: { ...template.input, identifier, password } });
  sent = await run();
  const login = sent.answer.data?.login;
  await settle();
  check("Login answers with tokens", Boolean(login?.accessToken && login.refreshToken), errors(sent));
  check("the page says that it is signed in", (await status()).startsWith("Signed in"), await status());

  await select("Me");
  sent = await run();
  check("Me carries the access token", sent.authorization === `Bearer ${login?.accessToken}`);
  const email = sent.answer.data?.me?.email;
  check("Me answers with the account", Boolean(email) && email === login?.user.email, errors(sent));
  check("Me is on the screen", (await editorText(".graphiql-response .CodeMirror")).includes(email));
  await picture("login-then-me");

  await select("Refresh");
  sent = await run();
  const first = sent.answer.data?.refreshToken;
  check("Refresh sends the token from Login", sent.input.refreshToken === login?.refreshToken);
  check("Refresh makes a retry key of 128 bits", /^[\w-]{22}$/.test(sent.input.retryKey), sent.input.retryKey);
  check("Refresh answers with new tokens", Boolean(first?.accessToken && first.refreshToken), errors(sent));
  check("the refresh token is a new one", first?.refreshToken !== login?.refreshToken);

  losingAnswers = true;
  await page.route("**/graphql", async (route) => {
    await route.fetch();
    await route.abort();
  });
  const lost = await run();
  await page.unroute("**/graphql");
  losingAnswers = false;
  check("the next Refresh makes another retry key", lost.input.retryKey !== sent.input.retryKey);
  sent = await run();
  const second = sent.answer.data?.refreshToken;
  check("after a lost answer Refresh sends the same again", JSON.stringify(sent.input) === JSON.stringify(lost.input));
  check("and the answer arrives", Boolean(second?.accessToken), errors(sent));

  await select("Sessions");
  sent = await run();
  const nodes = sent.answer.data?.me?.sessions.nodes ?? [];
  check("Sessions carries the newest access token", sent.authorization === `Bearer ${second?.accessToken}`);
  check("Sessions lists this one as current", nodes.some((it) => it.current && it.id === login?.session.id), errors(sent));

  await select("Follow");
  const [following] = await Promise.all([
    page.waitForRequest((it) => it.url().endsWith("/graphql") && it.method() === "POST", { timeout: 10_000 }),
    page.getByLabel("Execute query (Ctrl-Enter)").click(),
  ]);
  const carried = (await following.allHeaders()).authorization;
  check("Follow carries the newest access token", carried === `Bearer ${second?.accessToken}`);
  await following.response();
  await settle();
  const elsewhere = await context.request.post(`${base}/graphql`, {
    data: {
      query: "mutation ($input: LoginInput!) { login(input: $input) { session { id } } }",
      variables: { input: { identifier, password, delivery: "BODY" } },
    },
  });
  const other = (await elsewhere.json()).data.login.session.id;
  const told = await page
    .waitForFunction((id) => document.querySelector(".graphiql-response .CodeMirror").CodeMirror.getValue().includes(id), other, { timeout: 10_000 })
    .then(() => editorText(".graphiql-response .CodeMirror"), (error) => error.message);
  check("Follow shows what happens elsewhere", told.includes("CREATED"), told);
  const ended = page.waitForEvent("requestfailed", (it) => it === following).then(() => true, () => false);
  await page.getByLabel("Stop query (Ctrl-Enter)").click();
  check("and ends when it is stopped", await ended);
  check("without a complaint", (await editorText(".graphiql-response .CodeMirror")).includes(other));

  await select("Revoke");
  sent = await run();
  check("Revoke ends the others and not this one", sent.answer.data?.revokeSessions?.signedOut === false, errors(sent));
  check("the page is still signed in", (await status()).startsWith("Signed in"), await status());
  check("no secret is stored or in an address", (await leaks()).length === 0, `${(await leaks()).length} found`);

  await fillVariables({ input: { scope: "ALL" } });
  sent = await run();
  check("Revoke with the scope ALL signs out", sent.answer.data?.revokeSessions?.signedOut === true, errors(sent));
  check("the page says so", (await status()) === "Not signed in", await status());
  await picture("signed-out");
  await select("Me");
  sent = await run();
  check("the token is forgotten", sent.authorization === null && sent.answer.data?.me === null, errors(sent));

  await settle();
  check("still no secret is stored or in an address", (await leaks()).length === 0, `${(await leaks()).length} found`);
  const stored = await page.evaluate(() => [...Object.keys(localStorage), ...Object.keys(sessionStorage)].sort().join());
  check("the page stores nothing at all", stored === "graphiql:query,graphiql:tabState", stored);

  await open();
  check("a reload starts afresh", TABS.join() === (await tabNames()).join() && !(await page.content()).includes(password));
  const violations = await page.evaluate(() => window.violations);
  check("no request left for another origin", strangers.length === 0, strangers.join(" "));
  check("no error or warning in the console", complaints.length === 0, complaints.join(" | "));
  check("no violation of the content security policy", violations.length === 0, violations.join(" "));
} catch (error) {
  check("the visit came to its end", false, error.message);
  if (complaints.length) console.log(complaints.join("\n"));
} finally {
  await browser.close();
}

console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
