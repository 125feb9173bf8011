import { useMutation } from "@apollo/client/react";
import { useState } from "react";
import { graphql } from "../gql";
import { Link } from "../router";
import { Field, Form } from "../ui/Form";
import { MailSent } from "../ui/MailSent";

const REQUEST = graphql(`
  mutation RequestPasswordReset($input: RequestPasswordResetInput!) {
    requestPasswordReset(input: $input) {
      expiresIn
      retryAfter
    }
  }
`);

export function ForgotPassword() {
  const [request] = useMutation(REQUEST);
  const [sentTo, setSentTo] = useState<string>();
  const ask = (email: string) => request({ variables: { input: { email } } });

  if (sentTo !== undefined) {
    return (
      <MailSent again={() => ask(sentTo)}>
        If there is an account with <strong>{sentTo}</strong>, a letter with a link is on its way. The link is good for half an hour.
      </MailSent>
    );
  }
  return (
    <div className="card narrow">
      <Form
        label="Forgotten password"
        submit="Send a link"
        onSubmit={async (value) => {
          await ask(value("email"));
          setSentTo(value("email"));
        }}
      >
        <Field label="Email address" name="email" type="email" autoComplete="email" hint="We send a link with which you set a new password." />
      </Form>
      <p className="beneath">
        <Link href="/sign-in">Back to signing in</Link>
      </p>
    </div>
  );
}
