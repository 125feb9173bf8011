/**
 * Why the last session ended, in words for the sign-in page. An event says who did it, if it comes through before the
 * connection is closed with the session; the code that ends a session says less.
 */
import type { SignOutReason } from "@keywheel/apollo";
import { useSyncExternalStore } from "react";
import type { RevocationReason } from "./gql/graphql";

const BY_EVENT: Record<RevocationReason, string> = {
  ACCOUNT_BLOCKED: "Your account was blocked. Ask the people who run this service.",
  LOGOUT: "You signed out.",
  PASSWORD_CHANGED: "Your password was changed on another device, so this one was signed out. Sign in with the new one.",
  PASSWORD_RESET: "Your password was set anew, so every device was signed out. Sign in with the new one.",
  REFRESH_TOKEN_REUSED:
    "A copy of this session was used somewhere else, so it was ended for both of you. Sign in again; if it was not you, change your password.",
  REVOKED_BY_ADMIN: "An administrator ended your session.",
  REVOKED_BY_USER: "This device was signed out from another one.",
  SESSION_LIMIT: "You are signed in on too many devices; the one unused for longest made room.",
};

const BY_CODE: Partial<Record<SignOutReason, string>> = {
  LOGOUT: BY_EVENT.LOGOUT,
  REFRESH_TOKEN_REUSED: BY_EVENT.REFRESH_TOKEN_REUSED,
  ACCOUNT_BLOCKED: BY_EVENT.ACCOUNT_BLOCKED,
  REPLACED: "Somebody else has signed in here.",
};

const ELSEWHERE =
  "This device was signed out: from another one, or because the password was changed. If it was not you, set a new password.";

const listeners = new Set<() => void>();
let told: string | undefined;
let text = "";

/** What to tell whoever is at the sign-in page. Empty for a visitor who was not signed in. */
export function useGoodbye(): string {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => text,
  );
}

/** An event said that this session is over, and why. */
export function remember(reason: RevocationReason | null): void {
  if (reason) told = BY_EVENT[reason];
}

/** The page knows best why the session is about to end, or has just ended: the news can come faster than the answer. */
export function explain(words: string): void {
  if (text) set(words);
  else told = words;
}

/** The session is over. */
export function sayGoodbye(reason: SignOutReason): void {
  set(told ?? BY_CODE[reason] ?? ELSEWHERE);
}

/** Somebody signed in: it is not true any more. */
export function forgetGoodbye(): void {
  set("");
}

function set(next: string): void {
  told = undefined;
  text = next;
  for (const listener of listeners) listener();
}
