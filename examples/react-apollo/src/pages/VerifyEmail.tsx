import { useMutation } from "@apollo/client/react";
import { useKeywheel } from "@keywheel/apollo/react";
import { useState } from "react";
import { keywheel } from "../client";
import { graphql } from "../gql";
import { Link, useMailedToken } from "../router";
import { Done } from "../ui/Done";
import { Field, Form } from "../ui/Form";

const VERIFY = graphql(`
  mutation VerifyEmail($input: VerifyEmailInput!) {
    verifyEmail(input: $input) {
      user {
        id
        email
        emailVerified
      }
    }
  }
`);

/**
 * Where the links of letters lead that confirm an address: `mail.verify_url`. It acts when somebody clicks, since mail programs
 * open links too; and it asks for the password, so that nobody confirms what a stranger did with their address.
 */
export function VerifyEmail() {
  const token = useMailedToken();
  const { status } = useKeywheel(keywheel);
  const [verify] = useMutation(VERIFY);
  const [done, setDone] = useState(false);

  if (done) {
    return (
      <Done>
        Your email address is confirmed. {status === "signedIn" ? <Link href="/profile">To your profile</Link> : <Link href="/sign-in">Sign in now</Link>}
      </Done>
    );
  }
  if (!token) {
    return <p className="notice">This page is opened by the link in a letter.</p>;
  }
  return (
    <div className="card narrow">
      <Form
        label="Confirm your email address"
        submit="Confirm"
        texts={{ INVALID_CREDENTIALS: "That is not the password that was chosen with this address." }}
        onSubmit={async (value) => {
          await verify({ variables: { input: { token, password: value("password") } } });
          setDone(true);
        }}
      >
        <Field label="Your password" name="password" type="password" autoComplete="current-password" hint="The one that you have chosen when you signed up." />
      </Form>
    </div>
  );
}
