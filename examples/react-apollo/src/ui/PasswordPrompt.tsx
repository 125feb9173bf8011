/**
 * "Is it you?" Sensitive changes need the password, and a sign-in of the last minutes. The dialog asks once for both.
 */
import { errorInfo, isKeywheelError } from "@keywheel/apollo";
import { createContext, useContext, useEffect, useRef, useState, type ReactNode } from "react";
import { keywheel } from "../client";
import { Field, Form } from "./Form";

interface Question {
  title: string;
  identifier: string;
  /** What is done with the password. */
  action: (password: string) => Promise<void>;
  submit: string;
  danger?: boolean;
}

interface Asked extends Question {
  settle: (error?: unknown) => void;
}

const Ask = createContext<(question: Question) => Promise<void>>(() => Promise.reject(new Error("no PasswordPrompt")));

/**
 * Asks for the password, and does with it what was asked for. Resolves when that is done or the dialog was closed; rejects when
 * it is about a field of the form that asks.
 */
export function usePassword(): (question: Question) => Promise<void> {
  return useContext(Ask);
}

/** The session may be too old for this change: then sign in with the same password, and send the change again. */
async function recently({ identifier, action }: Question, password: string): Promise<void> {
  try {
    await action(password);
  } catch (error) {
    if (!isKeywheelError(error, "REAUTHENTICATION_REQUIRED")) throw error;
    await keywheel.login({ identifier, password }); // replaces the session of the cookie
    await action(password);
  }
}

export function PasswordPrompt({ children }: { children: ReactNode }) {
  const [asked, setAsked] = useState<Asked>();
  const dialog = useRef<HTMLDialogElement>(null);

  useEffect(() => {
    if (asked) dialog.current?.showModal();
  }, [asked]);

  const ask = (question: Question) =>
    new Promise<void>((resolve, reject) => {
      setAsked({ ...question, settle: (error) => (error === undefined ? resolve() : reject(error)) });
    });

  function finish(error?: unknown): void {
    asked?.settle(error);
    dialog.current?.close(); // puts the focus back to where it was
  }

  function closed(): void {
    asked?.settle();
    setAsked(undefined); // and with the dialog goes the password
  }

  return (
    <Ask value={ask}>
      {children}
      {asked && (
        <dialog ref={dialog} className="dialog" aria-labelledby="prompt-title" onClose={closed}>
          <h2 id="prompt-title">{asked.title}</h2>
          <p>Enter your password, so that nobody else does this on a device that you left open.</p>
          <Form
            submit={asked.submit}
            danger={asked.danger ?? false}
            texts={{ INVALID_CREDENTIALS: "That is not your password." }}
            beside={
              <button type="button" className="button" onClick={() => dialog.current?.close()}>
                Cancel
              </button>
            }
            onSubmit={async (value) => {
              try {
                await recently(asked, value("password"));
                finish();
              } catch (error) {
                if (!errorInfo(error)?.fields) throw error;
                finish(error); // it is about the form behind
              }
            }}
          >
            <input hidden name="username" autoComplete="username" defaultValue={asked.identifier} readOnly />
            <Field label="Password" name="password" type="password" autoComplete="current-password" autoFocus />
          </Form>
        </dialog>
      )}
    </Ask>
  );
}
