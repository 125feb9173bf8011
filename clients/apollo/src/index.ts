/**
 * Keywheel for Apollo Client 3.14 and 4.
 * @module
 */
import type { ApolloLink } from "@apollo/client/core";
import { facade, type Keywheel as Core } from "./core.js";
import { createLink } from "./link.js";
import { PUBLIC_FIELDS, type KeywheelOptions } from "./options.js";
import { Session } from "./session.js";

export * from "./core.js";

/** Signs in and out, and keeps somebody signed in. Make one for each page, outside of components. */
export interface Keywheel extends Core {
  /** Goes right above the `HttpLink`, and below links that repeat operations. */
  readonly link: ApolloLink;
}

/** Makes a Keywheel for Apollo Client. Nothing is touched until it is used: safe on a server, and while rendering. */
export function createKeywheel(options: KeywheelOptions): Keywheel {
  const session = new Session(options);
  return Object.assign(facade(session, options), { link: createLink(session, options.publicFields ?? PUBLIC_FIELDS) });
}
