/**
 * Keywheel for any GraphQL client: what `@keywheel/apollo` has, without the link and without Apollo Client.
 * @module
 */
import { createFetch } from "./fetch.js";
import { fetchOf, PUBLIC_FIELDS, type KeywheelOptions } from "./options.js";
import { Session } from "./session.js";
import type { State } from "./state.js";
import type { AuthPayload, Credentials, SignIn } from "./transport.js";

export type { ErrorCode } from "./codes.js";
export { errorInfo, isKeywheelError, KeywheelError, type ErrorInfo, type KeywheelErrorCode } from "./errors.js";
export { PUBLIC_FIELDS, type KeywheelOptions, type SignOutReason } from "./options.js";
export type { State } from "./state.js";
export type { Adapter } from "./store.js";
export type { Message, Scheme, Tabs } from "./tabs.js";
export type { AuthPayload, Credentials, SignIn } from "./transport.js";

/** Signs in and out, and keeps somebody signed in. Make one for each page, outside of components. */
export interface Keywheel {
  /** Whether somebody is signed in, as far as is known now. */
  readonly state: State;

  /** Calls back after each change of `state`. Gives the function that ends it. */
  subscribe(listener: () => void): () => void;

  /** Looks whether there is a stored session; with a cookie that may take a call. Never fails: without an answer the state stays `unknown`. */
  ready(): Promise<State>;

  /** Signs in, in all tabs. Rejects with a `KeywheelError`, such as `INVALID_CREDENTIALS` or `RATE_LIMITED`; a session that there was goes on then. */
  login(credentials: Credentials): Promise<SignIn>;

  /**
   * Takes the tokens of an operation that the app sent itself, right after the answer: `login`, or `auth` of `register`.
   * `identifier`: what the person signs in with, so that `deviceToken` is sent back at the next `login`.
   */
  adopt(payload: AuthPayload, identifier?: string): Promise<void>;

  /**
   * Signs out: in all tabs at once, and then at the server. Rejects when the server could not be told; here the session
   * is over all the same.
   */
  logout(): Promise<void>;

  /**
   * Asks for a new access token now, for example after the roles of the user have changed; with a cookie also after
   * somebody else signed in for this page. Rejects when there is no telling now whether the session goes on.
   */
  refresh(): Promise<State>;

  /** The headers for a request of another kind: `authorization`; none while signed out. Waits for a refresh if need be. */
  headers(): Promise<Record<string, string>>;

  /** A `fetch` for GraphQL clients other than Apollo. The access token goes to whatever address is fetched with it. */
  readonly fetch: typeof globalThis.fetch;

  /** For `createClient` of graphql-ws, which calls it before each connection. Never rejects. */
  connectionParams(): Promise<Record<string, string>>;

  /** For `on: { closed }` of graphql-ws. When the socket was closed because the session was ended, all tabs are signed out at once. */
  closed(event: unknown): void;

  /** Stops listening to other tabs. For tests; a page does not need it. */
  dispose(): void;
}

/** Makes a Keywheel for any client. Nothing is touched until it is used: safe on a server, and while rendering. */
export function createKeywheel(options: KeywheelOptions): Keywheel {
  return facade(new Session(options), options);
}

/** What the world sees of a session. */
export function facade(session: Session, options: KeywheelOptions): Keywheel {
  return {
    get state() {
      return session.state;
    },
    subscribe: (listener) => session.subscribe(listener),
    ready: () => session.ready(),
    login: (credentials) => session.login(credentials),
    adopt: (payload, identifier) => session.adopt(payload, identifier),
    logout: () => session.logout(),
    refresh: () => session.restore(),
    headers: async () => (await session.authorize(false)).headers,
    fetch: createFetch(session, fetchOf(options), options.publicFields ?? PUBLIC_FIELDS),
    connectionParams: () => session.connectionParams(),
    closed: (event) => void session.closed(event).catch(() => undefined),
    dispose: () => session.dispose(),
  };
}
