import { onSubmit, say, sayIncomplete, send, showOnRequest, takeToken } from "./page.js";

const RESET = "mutation ResetPassword($input: ResetPasswordInput!) { resetPassword(input: $input) { user { id } } }";
const SETTINGS = "query Settings { settings { passwordMinLength } }";

const form = document.querySelector("form");
const password = document.querySelector("#password");
const token = takeToken();

async function showLength() {
  const { data } = await send(SETTINGS);
  if (!data) return;
  password.minLength = data.settings.passwordMinLength;
  document.querySelector("#length").textContent = `At least ${data.settings.passwordMinLength} characters.`;
}

if (token) {
  form.hidden = false;
  showLength();
  showOnRequest(password, document.querySelector("#show"));
  onSubmit(form, async () => {
    const { problem } = await send(RESET, { input: { token, newPassword: password.value } });
    if (problem) {
      say(problem.text, "bad");
      return problem.over;
    }
    password.value = "";
    say("Your new password is set, and you were signed out everywhere. Sign in with it now.", "good");
    return true;
  });
} else {
  sayIncomplete();
}
