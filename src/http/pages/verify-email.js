import { onSubmit, say, sayIncomplete, send, showOnRequest, takeToken } from "./page.js";

const VERIFY = "mutation VerifyEmail($input: VerifyEmailInput!) { verifyEmail(input: $input) { user { id } } }";

const form = document.querySelector("form");
const password = document.querySelector("#password");
const token = takeToken();

if (token) {
  form.hidden = false;
  showOnRequest(password, document.querySelector("#show"));
  onSubmit(form, async () => {
    // Somebody else may have asked for this link: then it is for another password.
    const { problem } = await send(VERIFY, { input: { token, password: password.value } });
    if (problem) {
      say(problem.text, "bad");
      return problem.over;
    }
    password.value = "";
    say("Your email address is confirmed. You can close this page.", "good");
    return true;
  });
} else {
  sayIncomplete();
}
