// Somebody uses the example: a real server, the built pages under their policy, a real browser.
//   KEYWHEEL=<the server's program> [SCREENSHOTS=<folder>] [CHROMIUM=<the browser>] npm test
import { check, complaints, inspect, launch, mailed, picture, pictures, serve, stop, total, until, visitor } from "./support.mjs";

const EMAIL = "ada@example.com";
const FIRST = "analytical engine";
const SECOND = "difference engine no 2";
const THIRD = "sketch of the engine";

const PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1";
const LAPTOP = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

const place = await serve();
const { app, server } = place;
const browser = await launch();

// Whatever hangs: nobody waits for ever, and nothing is left behind.
setTimeout(() => {
  check("the walk comes to its end", false, "five minutes are over");
  stop(place);
  process.exit(total());
}, 300_000).unref();

try {
  const ada = await visitor(browser, app);
  await signUp(ada);
  await signInByKeyboard(ada, FIRST);
  await look(ada);
  await devices(ada);
  await changeAddress(ada);
  await changePassword(ada);
  await reset(ada);
  await steal(ada);
  await patience();
  await erase(ada);
  check("nothing in the console, and nobody else was asked", complaints.length === 0, complaints.join("\n"));
} catch (error) {
  // What the pages said before it went wrong, and how they look now.
  for (const page of browser.contexts().flatMap((context) => context.pages())) await picture(page, `failed-${new URL(page.url()).pathname.slice(1)}`);
  check("the walk comes to its end", false, [error.stack, ...complaints].join("\n"));
} finally {
  await browser.close();
  stop(place);
}
process.exit(total());

function title(page, text) {
  return page.getByRole("heading", { level: 1, name: text }).waitFor();
}

async function signUp(page) {
  await page.goto("/");
  await title(page, "Welcome");
  await inspect(page, "welcome");
  await pictures(page, "welcome");
  await page.getByRole("navigation").getByRole("link", { name: "Sign up" }).click();
  await title(page, "Sign up");
  check("the focus moves to the heading of the new page", (await page.evaluate(() => document.activeElement?.tagName)) === "H1");

  await page.getByLabel("Email address").fill(EMAIL);
  await page.getByLabel("Username").fill("x");
  await page.getByLabel("Password", { exact: true }).fill("password");
  await page.getByRole("main").getByRole("button", { name: "Sign up" }).click();
  const wrong = page.getByLabel("Username");
  await page.locator("[aria-invalid]").first().waitFor();
  const said = await wrong.evaluate((field) => field.getAttribute("aria-describedby").split(" ").map((id) => document.getElementById(id).textContent).join(" "));
  check("what is wrong with a field is tied to it", /3 to 32 letters/.test(said), said);
  check("the first wrong field has the focus, and what was typed stays", (await wrong.evaluate((field) => field === document.activeElement)) && (await page.getByLabel("Email address").inputValue()) === EMAIL);
  await inspect(page, "sign up refused");

  await page.getByLabel("Username").fill("ada");
  await page.getByLabel("Password", { exact: true }).fill(FIRST);
  await page.keyboard.press("Enter");
  await page.getByText("A letter is on its way").waitFor();
  await inspect(page, "letter sent");

  const link = await mailed(server, EMAIL, /confirm/i);
  check("the letter leads to the page of the app", link?.startsWith(`${app}/verify-email#token=`), link);
  await page.goto(link);
  await title(page, "Confirm your email address");
  check("the token is taken out of the address bar", page.url() === `${app}/verify-email`, page.url());
  await inspect(page, "verify email");
  await page.getByLabel("Your password").fill("not the password");
  await page.getByRole("button", { name: "Confirm" }).click();
  await page.getByRole("alert").waitFor();
  await page.getByLabel("Your password").fill(FIRST);
  await page.getByRole("button", { name: "Confirm" }).click();
  await page.getByText("Your email address is confirmed").waitFor();
  await page.getByRole("link", { name: "Sign in now" }).click();
}

async function signInByKeyboard(page, password) {
  await page.goto("/sign-in");
  await title(page, "Sign in");
  await inspect(page, "sign in");
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute("name") ?? document.activeElement?.textContent);
  let presses = 0;
  while ((await focused()) !== "identifier" && presses < 20) {
    await page.keyboard.press("Tab");
    presses += 1;
  }
  check("the form is within reach of the tab key", presses < 12, `${presses} presses`);
  await page.keyboard.type(EMAIL);
  await page.keyboard.press("Tab");
  await page.keyboard.type(password);
  await page.keyboard.press("Enter");
  await title(page, "Devices");
  check("signed in with the keyboard alone", true);
  const cookies = await page.context().cookies();
  check("the refresh token is where no script sees it", cookies.some(({ name, httpOnly }) => name === "__Host-keywheel" && httpOnly), cookies.map(({ name }) => name));
  const stored = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));
  check("and no token is in storage", !/kwr_|eyJ/.test(stored), stored);
}

async function look(page) {
  for (const name of ["Profile", "Password", "Devices"]) {
    await page.getByRole("navigation").getByRole("link", { name }).click();
    await title(page, name);
    await page.locator("main .device, main .facts, main form").first().waitFor();
    await inspect(page, name.toLowerCase());
    await pictures(page, name.toLowerCase());
  }
  const theme = () => page.evaluate(() => getComputedStyle(document.body).colorScheme);
  await page.emulateMedia({ colorScheme: "light" });
  await page.getByRole("button", { name: "Switch to the dark theme" }).click();
  const chosen = await theme();
  await page.reload();
  await title(page, "Devices");
  check("the chosen theme stays, and so does the session", chosen === "dark" && (await theme()) === "dark", await theme());
  await page.evaluate(() => localStorage.removeItem("theme"));
  await page.reload();
  await title(page, "Devices");
}

async function signIn(page, password, identifier = EMAIL) {
  await page.goto("/sign-in");
  await page.getByLabel("Email address or username").fill(identifier);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
}

async function devices(page) {
  const rows = page.locator(".device");
  check("one device", (await until(async () => (await rows.count()) === 1)) !== null);
  await sleepUntilFollowing(page);
  const phone = await visitor(browser, app, { userAgent: PHONE, viewport: { width: 390, height: 844 } });
  await signIn(phone, FIRST, "ada");
  await title(phone, "Devices");
  const shown = await until(async () => (await rows.count()) === 2, 4000);
  check("a sign-in elsewhere shows up by itself", shown !== null, `${shown} ms`);
  const laptop = await visitor(browser, app, { userAgent: LAPTOP });
  await signIn(laptop, FIRST);
  await title(laptop, "Devices");
  await laptop.getByRole("navigation").getByRole("link", { name: "Profile" }).click();
  await until(async () => (await rows.count()) === 3, 4000);
  await inspect(page, "three devices");
  await pictures(page, "three-devices");

  await sleepUntilFollowing(phone);
  await rows.filter({ hasText: /iPhone|iOS/ }).getByRole("button").click();
  await gone(phone, "signed out by another device", /This device was signed out/);
  await inspect(phone, "goodbye");
  await page.getByText("Safari on iPhone is signed out.").waitFor();
  check("and left the list", (await until(async () => (await rows.count()) === 2)) !== null);
  check("the focus is on what happened", await page.evaluate(() => document.activeElement?.parentElement?.getAttribute("role") === "status"));

  const behind = await laptop.context().newPage();
  await behind.goto("/profile");
  await title(behind, "Profile");
  await page.getByRole("button", { name: "Sign out everywhere else" }).click();
  await gone(laptop, "signed out everywhere else", /This device was signed out/);
  await gone(behind, "and the tab beside it", /./);
  check("the page itself stays", (await page.getByText("You are signed in nowhere else").waitFor(), true));
  await phone.context().close();
  await laptop.context().close();
}

/** Until its socket is open: what happens before, the page reads from the list. */
async function sleepUntilFollowing(page) {
  await page.waitForTimeout(300);
}

/** That page leaves by itself within two seconds, and says why. */
async function gone(page, name, why) {
  const took = await until(() => page.getByRole("heading", { level: 1, name: "Sign in" }).isVisible(), 5000);
  check(`${name}: gone within two seconds`, took !== null && took < 2000, `${took} ms`);
  const text = await page.locator("main .notice").innerText();
  check(`${name}: and it says why`, why.test(text), text);
}

async function password(page, text, button) {
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Password", { exact: true }).fill(text);
  await dialog.getByRole("button", { name: button }).click();
}

async function changeAddress(page) {
  const moved = "countess@example.com";
  await page.getByRole("navigation").getByRole("link", { name: "Profile" }).click();
  await page.getByLabel("New address").fill(moved);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("dialog").waitFor();
  await inspect(page, "dialog");
  await password(page, "wrong", "Send the link");
  await page.getByRole("dialog").getByRole("alert").waitFor();
  // By now the sign-in is older than the three seconds that the server allows: the dialog signs in anew, by itself.
  await password(page, FIRST, "Send the link");
  await page.getByText("A letter is on its way").waitFor();
  check("an old sign-in is renewed by the dialog", true);
  const link = await mailed(server, moved, /./);
  await page.goto(link);
  await page.getByLabel("Your password").fill(FIRST);
  await page.getByRole("button", { name: "Confirm" }).click();
  await page.getByRole("link", { name: "To your profile" }).click();
  await page.getByText(moved).waitFor();
  check("the account has moved, and this page is still signed in", true);
}

async function changePassword(page) {
  const other = await visitor(browser, app);
  await signIn(other, FIRST, "ada");
  await title(other, "Devices");
  await sleepUntilFollowing(other);
  await page.getByRole("navigation").getByRole("link", { name: "Password" }).click();
  await page.getByRole("textbox", { name: "New password" }).fill("12345678");
  await page.getByRole("button", { name: "Change the password" }).click();
  await password(page, FIRST, "Change it");
  await page.locator("[aria-invalid]").waitFor();
  check("a poor password is refused at its field", await page.getByRole("textbox", { name: "New password" }).evaluate((field) => field === document.activeElement));
  await page.getByRole("textbox", { name: "New password" }).fill(SECOND);
  await page.getByRole("button", { name: "Change the password" }).click();
  await password(page, FIRST, "Change it");
  await page.getByText(/Your password is changed, and one other device was signed out/).waitFor();
  await gone(other, "password changed elsewhere", /password was changed/);
  await other.context().close();
}

async function reset(page) {
  const guest = await visitor(browser, app);
  await guest.goto("/sign-in");
  await guest.getByRole("link", { name: "Forgotten your password?" }).click();
  await title(guest, "Forgotten password");
  await inspect(guest, "forgotten password");
  await guest.getByLabel("Email address").fill("countess@example.com");
  await guest.keyboard.press("Enter");
  await guest.getByText("a letter with a link is on its way").waitFor();
  await sleepUntilFollowing(page);
  await guest.goto(await mailed(server, "countess@example.com", /password/i));
  await title(guest, "New password");
  await inspect(guest, "reset password");
  await guest.getByRole("textbox", { name: "New password" }).fill(THIRD);
  await guest.getByRole("button", { name: "Set the new password" }).click();
  await guest.getByText("Your new password is set").waitFor();
  await gone(page, "password reset", /set anew|password was changed/);
  await guest.context().close();
  await signIn(page, THIRD, "ada");
  await title(page, "Devices");
}

async function steal(page) {
  await page.getByRole("navigation").getByRole("link", { name: "Steal this session" }).click();
  await title(page, "Steal this session");
  await inspect(page, "steal");
  const verdict = page.locator(".verdict");
  const codes = () => page.locator(".timeline .code").allInnerTexts();
  const play = async (story) => {
    await page.getByRole("radio", { name: story }).check();
    await page.getByRole("button", { name: "Begin" }).click();
  };

  await page.getByLabel(/^Password of/).fill(THIRD);
  await play("The thief is first");
  await page.getByText("The thief is in, for now.").waitFor();
  await pictures(page, "steal-playing");
  await page.getByText(/^Caught, \d\.\d seconds/).waitFor();
  await verdict.getByText("Both have been told.").waitFor();
  check("thief first: the owner's old token gives it away, and the thief is out", sameCodes(await codes(), ["REFRESH_TOKEN_REUSED", "UNAUTHENTICATED · SESSION_REVOKED", "UNAUTHENTICATED · SESSION_REVOKED", "REFRESH_TOKEN_INVALID"]), await codes());
  await inspect(page, "steal thief first");
  await pictures(page, "steal-thief-first");
  await pictures(page, "steal-this-session", ".stage");

  await play("The owner is first");
  await page.getByText("The owner was faster.").waitFor();
  await verdict.getByText("Both have been told.").waitFor();
  check("owner first: the thief never had a working token", (await verdict.innerText()).includes("never had a working token"), await verdict.innerText());
  check("owner first: the codes", sameCodes(await codes(), ["REFRESH_TOKEN_REUSED", "UNAUTHENTICATED · SESSION_REVOKED", "UNAUTHENTICATED · SESSION_REVOKED", "REFRESH_TOKEN_INVALID"]), await codes());
  await pictures(page, "steal-owner-first");

  await play("No thief: an answer is lost");
  await page.getByText("The answer got lost.").waitFor();
  await page.getByText("Forgiven: nobody was signed out.").waitFor();
  await page.getByText("All is well.").waitFor();
  const text = await page.locator(".timeline").innerText();
  check("a lost answer: the same key gets the same token, and the next one works", /→ token 2 once more \(same key\)/.test(text) && /→ token 3/.test(text) && (await codes()).length === 0, text);
  await inspect(page, "steal lost answer");
  await pictures(page, "steal-lost-answer");

  await page.getByLabel(/^Password of/).fill(THIRD);
  await play("By hand");
  await page.getByText("The owner is signed in.").waitFor();
  await page.getByRole("button", { name: "Steal this session" }).click();
  await page.getByRole("button", { name: "Thief refreshes" }).click();
  await page.getByText("The thief is in, for now.").waitFor();
  await page.getByRole("button", { name: "Owner refreshes" }).click();
  await page.getByText("Both hold token 2 now.").waitFor();
  check("by hand, within five seconds: both are let in, and it says so", (await page.locator(".timeline").innerText()).includes("race window"));
  await picture(page, "steal-race-window");
  await page.getByRole("button", { name: "Lose the owner’s next answer" }).click();
  await page.getByRole("button", { name: "Owner refreshes" }).click();
  await page.getByText("the answer never arrives").waitFor();
  await page.waitForTimeout(5200);
  await page.getByRole("button", { name: "Thief refreshes" }).click();
  await page.getByText(/^Caught/).waitFor();
  check("by hand: one miss of the five seconds ends it", true);

  await page.getByRole("navigation").getByRole("link", { name: "Devices" }).click();
  await title(page, "Devices");
  const left = await until(async () => (await page.locator(".device").count()) === 1);
  check("the throw-away sessions end with the page", left !== null, await page.locator(".device h2").allInnerTexts());
}

/** The order of rows is the order of time. */
function sameCodes(seen, expected) {
  return JSON.stringify(seen) === JSON.stringify(expected);
}

/** Too many attempts: the page asks for patience, and keeps what was typed. */
async function patience() {
  const guest = await visitor(browser, app);
  await guest.goto("/sign-in");
  const button = guest.getByRole("main").getByRole("button", { name: "Sign in" });
  await guest.getByLabel("Email address or username").fill("nobody@example.com");
  const limited = guest.getByText(/Too many attempts.*Try again in/);
  await until(async () => {
    await guest.getByLabel("Password", { exact: true }).fill("a guess");
    await button.click();
    await guest.getByRole("alert").waitFor();
    await guest.waitForTimeout(400);
    return limited.isVisible();
  });
  check("too many attempts: it says how long", await limited.isVisible(), await guest.getByRole("alert").innerText());
  check("and there is no button until then", (await button.getAttribute("aria-disabled")) === "true");
  check("what was typed stays", (await guest.getByLabel("Email address or username").inputValue()) === "nobody@example.com");
  await inspect(guest, "too many attempts");
  await guest.context().close();
}

async function erase(page) {
  await page.getByRole("navigation").getByRole("link", { name: "Profile" }).click();
  await page.getByRole("button", { name: "Erase my account" }).click();
  await password(page, THIRD, "Erase it for ever");
  await page.getByText("Your account is erased").waitFor();
  check("the account is erased, and the page says so", await page.getByRole("heading", { level: 1, name: "Sign in" }).isVisible());
}
