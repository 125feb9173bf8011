import { useQuery } from "@apollo/client/react";
import { keywheel } from "../client";
import { useGoodbye } from "../goodbye";
import { graphql } from "../gql";
import { Link } from "../router";
import { Field, Form } from "../ui/Form";

export const SETTINGS = graphql(`
  query Settings {
    settings {
      passwordMinLength
      registrationOpen
      sendsEmail
    }
  }
`);

export function SignIn() {
  const settings = useQuery(SETTINGS).data?.settings;
  const farewell = useGoodbye();
  return (
    <div className="card narrow">
      {farewell && (
        <p className="notice" role="status">
          {farewell}
        </p>
      )}
      <Form
        label="Sign in"
        submit="Sign in"
        onSubmit={async (value) => {
          await keywheel.login({ identifier: value("identifier"), password: value("password") });
        }}
      >
        <Field label="Email address or username" name="identifier" autoComplete="username" />
        <Field label="Password" name="password" type="password" autoComplete="current-password" />
      </Form>
      <p className="beneath">
        {settings?.sendsEmail !== false && <Link href="/forgot-password">Forgotten your password?</Link>}
        {settings?.registrationOpen !== false && <Link href="/sign-up">Sign up</Link>}
      </p>
    </div>
  );
}
