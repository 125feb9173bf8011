// Opens the pages that links in letters lead to in Chromium, with a server that answers what the test wants.
//
//   node pages.mjs <base url>
//
// CHROMIUM names the browser, /usr/bin/chromium by default.

import { chromium } from "playwright-core";

const [base] = process.argv.slice(2);
if (!base) {
  console.error("usage: node pages.mjs <base url>");
  process.exit(2);
}
const { origin } = new URL(base);
const TOKEN = `kwm_${"aB3-_".repeat(12)}aB3-`;

let passed = 0;
let failed = 0;

function check(name, ok, detail = "") {
  if (ok) passed += 1;
  else failed += 1;
  console.log(`${ok ? "ok" : "FAILED"}   ${name}${ok || detail === "" ? "" : `: ${detail}`}`);
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"],
});

/** Opens a page; what it sends is kept, and answered by `answer`. */
async function visit(path, answer, options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const seen = { sent: [], addresses: [], strangers: [], complaints: [] };
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
  });
  context.on("request", (request) => {
    seen.addresses.push(request.url());
    const url = new URL(request.url());
    if (url.protocol !== "data:" && url.origin !== origin) seen.strangers.push(request.url());
  });
  page.on("pageerror", (error) => seen.complaints.push(error.message));
  await page.route("**/graphql", async (route) => {
    const body = route.request().postDataJSON();
    if (body.query.includes("passwordMinLength")) {
      return route.fulfill({ json: { data: { settings: { passwordMinLength: 12 } } } });
    }
    seen.sent.push({ ...body, headers: route.request().headers() });
    const reply = answer(seen.sent.length);
    return reply ? route.fulfill({ json: reply }) : route.abort();
  });
  await page.goto(new URL(path, base).href, { waitUntil: "networkidle" });
  return { page, seen, close: () => context.close() };
}

const refusal = (code, more = {}) => ({ errors: [{ message: "no", extensions: { code, ...more } }] });
const status = (page) => page.locator("[role=status]").innerText();

async function tidy(name, page, seen) {
  const kept = await page.evaluate(() => JSON.stringify([location.href, history.state, { ...localStorage }, document.cookie]));
  check(`${name}: the token is nowhere any more`, !kept.includes("kwm_"), kept);
  check(`${name}: it was in the address of no request`, !seen.addresses.some((url) => url.includes("graphql") && url.includes("kwm_")));
  check(`${name}: nobody else was asked`, seen.strangers.length === 0, seen.strangers.join(" "));
  check(`${name}: no error`, seen.complaints.length === 0, seen.complaints.join(" | "));
  const violations = await page.evaluate(() => window.violations);
  check(`${name}: no violation of the policy`, violations.length === 0, violations.join(" "));
}

try {
  for (const path of ["/verify-email", "/reset-password"]) {
    const { page, seen, close } = await visit(path, () => null);
    check(`${path} without a token says so`, (await status(page)).includes("whole link"), await status(page));
    check(`${path} without a token has nothing to click`, !(await page.locator("button").isVisible()));
    check(`${path} without a token sends nothing`, seen.sent.length === 0);
    await close();
  }

  let visited = await visit(`/verify-email#token=${TOKEN}`, (count) =>
    [null, refusal("RATE_LIMITED", { retryAfter: 7 }), refusal("INVALID_CREDENTIALS"), { data: { verifyEmail: { user: { id: "usr_x" } } } }][count - 1],
  );
  let { page, seen } = visited;
  check("opening the link changes nothing", seen.sent.length === 0, `${seen.sent.length} sent`);
  check("the address bar is clean at once", page.url() === new URL("/verify-email", base).href, page.url());
  await page.locator("button").click();
  check("without the password nothing is sent", seen.sent.length === 0);
  check("password managers know which", (await page.locator("#password").getAttribute("autocomplete")) === "current-password");
  await page.locator("#password").fill("correct horse battery staple");
  await page.locator("button").click();
  await page.getByText("cannot be reached").waitFor();
  await page.locator("button").click();
  await page.getByText("Wait 7 seconds").waitFor();
  await page.locator("button").click();
  await page.getByText("not the password").waitFor();
  await page.locator("button").click();
  await page.getByText("is confirmed").waitFor();
  check("after faults, limits and a wrong password it goes on", seen.sent.length === 4);
  check("a stranger's registration is not confirmed", seen.sent.every((it) => it.variables.input.password.startsWith("correct")));
  check("it sends the token in the body", seen.sent.every((it) => it.variables.input.token === TOKEN));
  check("and no cookie", seen.sent.every((it) => !it.headers.cookie));
  check("there is nothing left to click", (await page.locator("button").count()) === 0);
  await tidy("verify", page, seen);
  await visited.close();

  visited = await visit("/verify-email", () => null);
  await visited.page.goto(new URL(`/verify-email#token=${TOKEN}`, base).href);
  await visited.page.locator("button").waitFor({ timeout: 5000 });
  check("the whole link, put into the page that lacked it, is taken", visited.page.url() === new URL("/verify-email", base).href);
  await visited.close();

  visited = await visit(`/verify-email#token=${TOKEN}`, () => refusal("EMAIL_TOKEN_INVALID"));
  await visited.page.locator("#password").fill("correct horse battery staple");
  await visited.page.locator("button").click();
  await visited.page.getByText("has been used, or is too old").waitFor();
  check("a link that is over says so", (await visited.page.locator("button").count()) === 0);
  await visited.close();

  const weak = refusal("BAD_USER_INPUT", { fields: [{ path: ["input", "newPassword"], message: "<b>Too</b> common." }] });
  visited = await visit(
    `/reset-password#token=${TOKEN}`,
    (count) => [weak, { data: { resetPassword: { user: { id: "usr_x" } } } }][count - 1],
    { colorScheme: "dark" },
  );
  ({ page, seen } = visited);
  check("the length is said", (await page.locator("#length").innerText()).includes("12 characters"));
  check("the field is known to password managers", (await page.locator("#password").getAttribute("autocomplete")) === "new-password");
  await page.locator("#password").fill("short");
  await page.locator("button").click();
  check("what is too short is not sent", seen.sent.length === 0);
  await page.locator("#password").fill("correct horse battery staple");
  await page.getByLabel("Show the password").check();
  check("the password can be looked at", (await page.locator("#password").getAttribute("type")) === "text");
  await page.keyboard.press("Tab");
  await page.locator("#password").press("Enter");
  await page.getByText("<b>Too</b> common.").waitFor();
  check("what the server says is text and no markup", (await page.locator("[role=status] b").count()) === 0);
  await page.locator("button").click();
  await page.getByText("new password is set").waitFor();
  const input = seen.sent.at(-1).variables.input;
  check("the password is sent with the token", input.newPassword.startsWith("correct") && input.token === TOKEN);
  await tidy("reset", page, seen);
  await visited.close();
} catch (error) {
  check("the visit came to its end", false, error.message);
} finally {
  await browser.close();
}

console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
