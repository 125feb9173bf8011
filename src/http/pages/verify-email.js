import { onSubmit, say, sayIncomplete, send, takeToken } from "./page.js";

const VERIFY = "mutation VerifyEmail($input: VerifyEmailInput!) { verifyEmail(input: $input) { user { id } } }";

const form = document.querySelector("form");
const token = takeToken();

if (token) {
  form.hidden = false;
  onSubmit(form, async () => {
    const { problem } = await send(VERIFY, { input: { token } });
    if (problem) {
      say(problem.text, "bad");
      return problem.over;
    }
    say("Your email address is confirmed. You can close this page.", "good");
    return true;
  });
} else {
  sayIncomplete();
}
