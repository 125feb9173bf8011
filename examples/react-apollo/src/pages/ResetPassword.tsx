import { useMutation, useQuery } from "@apollo/client/react";
import { useState } from "react";
import { graphql } from "../gql";
import { Link, useMailedToken } from "../router";
import { Done } from "../ui/Done";
import { Field, Form } from "../ui/Form";
import { SETTINGS } from "./SignIn";

const RESET = graphql(`
  mutation ResetPassword($input: ResetPasswordInput!) {
    resetPassword(input: $input) {
      user {
        id
      }
    }
  }
`);

/** Where the link of the letter leads: `mail.reset_url`. */
export function ResetPassword() {
  const token = useMailedToken();
  const minLength = useQuery(SETTINGS).data?.settings.passwordMinLength;
  const [reset] = useMutation(RESET, { fetchPolicy: "no-cache" });
  const [done, setDone] = useState(false);

  if (done) {
    return (
      <Done>
        Your new password is set, and every device was signed out. <Link href="/sign-in">Sign in with it</Link>.
      </Done>
    );
  }
  if (!token) {
    return (
      <p className="notice">
        This page is opened by the link in a letter. <Link href="/forgot-password">Ask for a new one</Link>.
      </p>
    );
  }
  return (
    <div className="card narrow">
      <Form
        label="New password"
        submit="Set the new password"
        onSubmit={async (value) => {
          await reset({ variables: { input: { token, newPassword: value("newPassword") } } });
          setDone(true);
        }}
      >
        <Field
          label="New password"
          name="newPassword"
          type="password"
          autoComplete="new-password"
          minLength={minLength}
          hint={minLength && `At least ${minLength} characters.`}
        />
      </Form>
    </div>
  );
}
