// What both pages do: take the token out of the address, send it when somebody clicks, and say what came of it.

/** Beside the page, wherever a proxy has put the server. */
const ENDPOINT = new URL("graphql", location.href);

const status = document.querySelector("[role=status]");

// Another link, put into the address bar of a page that is open, would load nothing.
addEventListener("hashchange", () => location.reload());

/** The token of the link. From now on neither the address bar nor the history has it. */
export function takeToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  history.replaceState(null, "", location.pathname);
  return token;
}

/** Says something below the form; screen readers read it out. */
export function say(text, kind = "") {
  status.textContent = text;
  status.className = kind;
}

export function sayIncomplete() {
  say("This page needs the whole link from the message. Open it from there again, or copy all of it.", "bad");
}

/** Sends an operation; the answer's data, or the sentence to show. */
export async function send(query, variables) {
  try {
    const response = await fetch(ENDPOINT, {
      method: "POST",
      credentials: "omit",
      headers: { "content-type": "application/json", accept: "application/graphql-response+json" },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = await response.json();
    return errors?.length ? { problem: describe(errors[0].extensions ?? {}) } : { data };
  } catch {
    return { problem: { text: "The server cannot be reached. Check your connection, and try again." } };
  }
}

/** An error in plain words, and whether the link is good for nothing any more. */
function describe({ code, retryAfter, fields }) {
  switch (code) {
    case "EMAIL_TOKEN_INVALID":
      return { text: "This link has been used, or is too old. Ask for a new message.", over: true };
    case "INVALID_CREDENTIALS":
      return { text: "That is not the password that was chosen with this address. Nothing was changed." };
    case "ACCOUNT_BLOCKED":
      return { text: "This account is blocked. Nothing was changed." };
    case "BAD_USER_INPUT":
      return { text: (fields ?? []).map((field) => field.message).join(" ") || "That cannot be used." };
    case "RATE_LIMITED":
      return { text: `Too many tries. Wait ${retryAfter ?? 60} seconds, and try again.` };
    default:
      return { text: "That did not work just now. Nothing was changed; try again in a moment." };
  }
}

/** Runs when the form is sent, once at a time; when it says so, the form has had its day. */
export function onSubmit(form, work) {
  const button = form.querySelector("button");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    say("");
    const over = await work();
    button.disabled = false;
    if (over) form.remove();
  });
}

/** Lets people look at the password that they type. */
export function showOnRequest(password, box) {
  box.addEventListener("change", () => {
    password.type = box.checked ? "text" : "password";
  });
}
