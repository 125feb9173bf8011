import { useMutation, useQuery } from "@apollo/client/react";
import { useState } from "react";
import { keywheel } from "../client";
import { graphql } from "../gql";
import { Link } from "../router";
import { Field, Form } from "../ui/Form";
import { MailSent } from "../ui/MailSent";
import { SETTINGS } from "./SignIn";

const REGISTER = graphql(`
  mutation Register($input: RegisterInput!) {
    register(input: $input) {
      emailVerificationRequired
      auth {
        accessToken
        expiresIn
        tokenType
        refreshToken
        deviceToken
        session {
          id
        }
        user {
          id
        }
      }
    }
  }
`);

const AGAIN = graphql(`
  mutation RequestEmailVerification($input: RequestEmailVerificationInput!) {
    requestEmailVerification(input: $input) {
      expiresIn
      retryAfter
    }
  }
`);

export function SignUp() {
  const settings = useQuery(SETTINGS).data?.settings;
  // What must not stay in the cache, the tokens, is not written there.
  const [register] = useMutation(REGISTER, { fetchPolicy: "no-cache" });
  const [again] = useMutation(AGAIN);
  const [sentTo, setSentTo] = useState<string>();

  if (sentTo !== undefined) {
    return (
      <MailSent again={() => again({ variables: { input: { email: sentTo } } })}>
        A letter is on its way to <strong>{sentTo}</strong>. Open the link in it, and your account is there.
      </MailSent>
    );
  }
  if (settings?.registrationOpen === false) {
    return <p className="notice">Nobody can sign up here. Ask the people who run this service for an account.</p>;
  }
  const minLength = settings?.passwordMinLength;
  return (
    <div className="card narrow">
      <Form
        label="Sign up"
        submit="Sign up"
        onSubmit={async (value) => {
          const email = value("email");
          const username = value("username");
          const input = { email, password: value("password"), delivery: "COOKIE" as const, ...(username && { username }) };
          const { data } = await register({ variables: { input } });
          if (data?.register.auth) await keywheel.adopt(data.register.auth, email);
          else setSentTo(email);
        }}
      >
        <Field label="Email address" name="email" type="email" autoComplete="email" />
        <Field label="Username" name="username" autoComplete="username" optional hint="You can sign in with it as well." />
        <Field
          label="Password"
          name="password"
          type="password"
          autoComplete="new-password"
          minLength={minLength}
          hint={minLength && `At least ${minLength} characters. A few words are better than one with digits.`}
        />
      </Form>
      <p className="beneath">
        <span>
          You have an account? <Link href="/sign-in">Sign in</Link>
        </span>
      </p>
    </div>
  );
}
