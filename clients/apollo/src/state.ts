import type { SignOutReason } from "./options.js";

/** Whether somebody is signed in. Each change makes a new object. */
export interface State {
  /** `unknown`: on the server, and in a page until the stored session was looked at. */
  readonly status: "unknown" | "signedIn" | "signedOut";
  /** Id of the session, while signed in. */
  readonly session?: string;
  /** Id of its user, while signed in and if it was told. */
  readonly user?: string;
  /** Why the last session is over, after it is. */
  readonly reason?: SignOutReason;
}

/** The first state, and the one on a server: nobody has looked. */
export const UNKNOWN: State = { status: "unknown" };

/** A request of one user is never sent for another one. */
export function sameUser(then: State, now: State): boolean {
  return (
    now.status === "signedIn" && (then.session === now.session || (then.user !== undefined && then.user === now.user))
  );
}
