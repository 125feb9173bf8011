import { useMutation, useQuery } from "@apollo/client/react";
import { useState } from "react";
import { graphql } from "../gql";
import { Done } from "../ui/Done";
import { Field, Form } from "../ui/Form";
import { Loading } from "../ui/Loading";
import { usePassword } from "../ui/PasswordPrompt";
import { ME } from "./Profile";
import { SETTINGS } from "./SignIn";

const CHANGE = graphql(`
  mutation ChangePassword($input: ChangePasswordInput!) {
    changePassword(input: $input) {
      revokedSessions {
        id
        revokedAt
      }
      user {
        id
      }
    }
  }
`);

export function Password() {
  const { data, error, refetch } = useQuery(ME);
  const minLength = useQuery(SETTINGS).data?.settings.passwordMinLength;
  const askPassword = usePassword();
  const [change] = useMutation(CHANGE);
  const [done, setDone] = useState<string>();

  const me = data?.me;
  if (!me) return <Loading error={error} again={() => void refetch()} />;
  const identifier = me.email ?? me.username ?? "";

  return (
    <>
      {done !== undefined && <Done key={done}>{done}</Done>}
      <div className="card narrow">
        <Form
          label="Change your password"
          submit="Change the password"
          onSubmit={(value, form) =>
            askPassword({
              title: "Change your password",
              submit: "Change it",
              identifier,
              async action(currentPassword) {
                const revokeOtherSessions = value("others") === "on";
                const input = { currentPassword, newPassword: value("newPassword"), revokeOtherSessions };
                const ended = (await change({ variables: { input } })).data?.changePassword.revokedSessions.length ?? 0;
                form.reset();
                setDone(`Your password is changed${ended > 0 ? `, and ${ended === 1 ? "one other device was" : `${ended} other devices were`} signed out` : ""}.`);
              },
            })
          }
        >
          <input hidden name="username" autoComplete="username" defaultValue={identifier} readOnly />
          <Field
            label="New password"
            name="newPassword"
            type="password"
            autoComplete="new-password"
            minLength={minLength}
            hint={minLength && `At least ${minLength} characters. You are asked for the present one next.`}
          />
          <label className="check">
            <input type="checkbox" name="others" defaultChecked /> Sign out all other devices
          </label>
        </Form>
      </div>
    </>
  );
}
