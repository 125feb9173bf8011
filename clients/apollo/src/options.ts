import type { ErrorCode } from "./codes.js";
import type { Dpop } from "./dpop.js";
import type { Adapter } from "./store.js";
import type { Tabs } from "./tabs.js";

/** How to reach Keywheel, and what to do when a session is over. */
export interface KeywheelOptions {
  /** Address of the GraphQL endpoint: `https://auth.example.com/graphql`. With DPoP exactly the server's `public_url` and `/graphql`. */
  url: string;

  /**
   * Where the refresh token is.
   * - `"cookie"`, the default: in an HttpOnly cookie that no script can read. For pages on the same site as the server.
   * - `"localStorage"`: in the page's storage, shared by tabs. A script injected into the page can take it away.
   * - `"memory"`: in this object only. A reload signs out, and tabs know nothing of each other.
   * - an adapter: in a store of your own, such as the keychain of a phone.
   */
  storage?: "cookie" | "localStorage" | "memory" | Adapter;

  /** Prefix of everything that is stored, and name of lock and channel: `keywheel`. Another one for a second server. */
  name?: string;

  /** Called once in each tab when the session that it was signed in with is over. The place for `client.clearStore()`. */
  onSignedOut?: (reason: SignOutReason) => void;

  /** Binds sessions to a key: `dpop()` of `@keywheel/apollo/dpop`. Its `fetch` is for the `HttpLink` too. */
  dpop?: Dpop;

  /** Root fields that need no access token: they are sent without one and never wait for a refresh. Keywheel's own by default. */
  publicFields?: readonly string[];

  /** Milliseconds that one call of `login`, `logout` or a refresh may take: 10 000. */
  timeout?: number;

  /** Sends the requests: `globalThis.fetch`. With `dpop` give it there. */
  fetch?: typeof globalThis.fetch;

  /** How tabs talk to each other: by Web Locks, BroadcastChannel and storage events where there are any. */
  tabs?: Tabs;
}

/**
 * Why a session is over in this tab: the code of the refusal, or
 * - `LOGOUT`: somebody signed out, here or in another tab,
 * - `SESSION_REVOKED`: it was ended elsewhere,
 * - `REPLACED`: another user signed in, here or in another tab. There is a session, but it is not that one.
 */
export type SignOutReason = ErrorCode | "LOGOUT" | "SESSION_REVOKED" | "REPLACED";

/**
 * The root fields of Keywheel that anybody may ask for, and that are the same for everybody. `logout` and `verifyEmail` are not among
 * them: they need no token, but one that comes along makes a difference.
 */
export const PUBLIC_FIELDS: readonly string[] = [
  "login",
  "register",
  "refreshToken",
  "settings",
  "requestPasswordReset",
  "resetPassword",
  "requestEmailVerification",
  "exchangeToken",
  "__typename",
  "__schema",
  "__type",
];

/** What sends the requests. Looked up late, since it may be replaced after this object was made. */
export function fetchOf({ dpop, fetch }: KeywheelOptions): typeof globalThis.fetch {
  return dpop?.fetch ?? fetch ?? ((input, init) => globalThis.fetch(input, init));
}
