import { useMutation, useQuery } from "@apollo/client/react";
import { useState } from "react";
import { keywheel } from "../client";
import { explain } from "../goodbye";
import { graphql } from "../gql";
import { Field, Form } from "../ui/Form";
import { Loading } from "../ui/Loading";
import { MailSent } from "../ui/MailSent";
import { usePassword } from "../ui/PasswordPrompt";
import { Moment } from "../ui/Moment";

export const ME = graphql(`
  query Me {
    me {
      id
      email
      emailVerified
      username
      createdAt
      roles
    }
  }
`);

const CHANGE_EMAIL = graphql(`
  mutation ChangeEmail($input: ChangeEmailInput!) {
    changeEmail(input: $input) {
      expiresIn
    }
  }
`);

const REQUEST_VERIFICATION = graphql(`
  mutation VerifyAgain($input: RequestEmailVerificationInput!) {
    requestEmailVerification(input: $input) {
      expiresIn
    }
  }
`);

const DELETE = graphql(`
  mutation DeleteAccount($input: DeleteAccountInput!) {
    deleteAccount(input: $input) {
      deletedUserId
    }
  }
`);

export function Profile() {
  const { data, error, refetch } = useQuery(ME);
  const askPassword = usePassword();
  const [verifyAgain] = useMutation(REQUEST_VERIFICATION);
  const [changeEmail] = useMutation(CHANGE_EMAIL);
  const [deleteAccount] = useMutation(DELETE, { fetchPolicy: "no-cache" });
  const [asked, setAsked] = useState(false);
  const [movingTo, setMovingTo] = useState<string>();

  const me = data?.me;
  if (!me) return <Loading error={error} again={() => void refetch()} />;
  const email = me.email ?? undefined;
  const identifier = me.email ?? me.username ?? "";

  const move = (newEmail: string) =>
    askPassword({
      title: "Move to another address",
      submit: "Send the link",
      identifier,
      async action(currentPassword) {
        await changeEmail({ variables: { input: { currentPassword, newEmail } } });
        setMovingTo(newEmail);
      },
    });

  const erase = () =>
    askPassword({
      title: "Erase your account",
      submit: "Erase it for ever",
      danger: true,
      identifier,
      async action(currentPassword) {
        await deleteAccount({ variables: { input: { currentPassword } } });
        explain("Your account is erased, with everything that was kept about it.");
        await keywheel.logout().catch(() => undefined);
      },
    });

  return (
    <>
      <dl className="facts">
        <dt>Email address</dt>
        <dd>
          {me.email ?? "none"}{" "}
          {me.email && <span className={me.emailVerified ? "badge good" : "badge"}>{me.emailVerified ? "confirmed" : "not confirmed"}</span>}{" "}
          {email && !me.emailVerified && !asked && (
            <button
              type="button"
              className="link"
              onClick={() => void verifyAgain({ variables: { input: { email } } }).then(() => setAsked(true), () => setAsked(true))}
            >
              Send the link again
            </button>
          )}
          {asked && <span role="status">A letter is on its way.</span>}
        </dd>
        <dt>Username</dt>
        <dd>{me.username ?? <span className="quiet">none</span>}</dd>
        <dt>Since</dt>
        <dd>
          <Moment at={me.createdAt} date />
        </dd>
        {me.roles.length > 0 && (
          <>
            <dt>Roles</dt>
            <dd>{me.roles.join(", ")}</dd>
          </>
        )}
      </dl>

      <section aria-labelledby="another">
        <h2 id="another">Another email address</h2>
        {movingTo === undefined ? (
          <div className="card narrow">
            <Form label="Another email address" submit="Continue" onSubmit={(value) => move(value("newEmail"))}>
              <Field
                label="New address"
                name="newEmail"
                type="email"
                autoComplete="email"
                hint="Your account moves when you open the link that we send there. Until then nothing changes."
              />
            </Form>
          </div>
        ) : (
          <MailSent again={() => move(movingTo)}>
            A letter is on its way to <strong>{movingTo}</strong>. Your account moves when you open the link in it; other devices are
            signed out then.
          </MailSent>
        )}
      </section>

      <section aria-labelledby="erase">
        <h2 id="erase">Erase the account</h2>
        <p className="quiet">With everything that is kept about it. There is no way back.</p>
        <button type="button" className="button danger" onClick={() => void erase()}>
          Erase my account
        </button>
      </section>
    </>
  );
}
