import type { ErrorCode } from "./codes.js";
import { parse } from "./json.js";

/** A value of `extensions.code`, or `NO_ANSWER`: no network, no time left, or an answer that is not GraphQL. */
export type KeywheelErrorCode = ErrorCode | "NO_ANSWER";

/** What an error from Keywheel says besides its text. */
export interface ErrorInfo {
  /** What happened. */
  code: KeywheelErrorCode;
  /** Why, with `UNAUTHENTICATED` and `DPOP_PROOF_INVALID`: such as `TOKEN_EXPIRED` or `SESSION_REVOKED`. */
  reason?: string;
  /** Seconds to wait before the same is tried again, with `RATE_LIMITED` and `SERVICE_UNAVAILABLE`. */
  retryAfter?: number;
  /** With `BAD_USER_INPUT`: what is wrong with which value. `path` is such as `["input", "email"]`. */
  fields?: { path: string[]; code: string; message: string }[];
  /** With faults of the server: the id under which its log has the cause. */
  requestId?: string;
}

/** What `login`, `logout` and `refresh` reject with, and operations whose refresh failed. */
export class KeywheelError extends Error implements ErrorInfo {
  override readonly name = "KeywheelError";
  declare readonly code: KeywheelErrorCode;
  declare readonly reason?: string;
  declare readonly retryAfter?: number;
  declare readonly fields?: { path: string[]; code: string; message: string }[];
  declare readonly requestId?: string;

  constructor(message: string, info: ErrorInfo, cause?: unknown) {
    super(message, { cause });
    Object.assign(this, info);
  }
}

/**
 * What an error says, wherever the client in use has put it: Apollo Client 3 and 4, urql, graphql-request, Relay, a
 * plain GraphQL error or a whole answer. Nothing when it has no code. The code may be one that is not in `ErrorCode`:
 * of a newer server, or of another service.
 */
export function errorInfo(thrown: unknown): ErrorInfo | undefined {
  return find(thrown, 0);
}

/** Whether an error has one of these codes. Takes what `errorInfo` takes. */
export function isKeywheelError(thrown: unknown, ...codes: [KeywheelErrorCode, ...KeywheelErrorCode[]]): boolean {
  const info = errorInfo(thrown);
  return info !== undefined && codes.includes(info.code);
}

/** Says that a session is over: signing in again is all that helps. */
export function endsSession({ code, reason = "" }: ErrorInfo): boolean {
  if (/^(REFRESH_TOKEN_(INVALID|REUSED)|ACCOUNT_BLOCKED)$/.test(code)) return true;
  return /^PROOF_(BY_OTHER_KEY|MISSING)$/.test(reason); // the session lives, but its key is not here
}

/** Says that the same call may well succeed in a moment. */
export function isPassing({ code }: ErrorInfo): boolean {
  return /^(NO_ANSWER|SERVICE_UNAVAILABLE|RATE_LIMITED)$/.test(code);
}

/** Where clients keep the errors of an answer, one inside the other. */
const PLACES = ["errors", "graphQLErrors", "networkError", "result", "response", "source", "cause"];

function find(value: unknown, depth: number): ErrorInfo | undefined {
  if (typeof value !== "object" || value === null || depth > 4) return undefined;
  if (value instanceof KeywheelError) return value;
  const object = value as Record<string, unknown>;
  const extensions = object["extensions"] as ErrorInfo | undefined;
  if (typeof extensions?.code === "string") return extensions;
  const inside = Array.isArray(value) ? value : PLACES.map((place) => object[place]);
  for (const next of inside) {
    const info = find(next, depth + 1);
    if (info) return info;
  }
  // Apollo Client leaves an answer as text when its status is not 200.
  return find(parse(object["bodyText"]), depth + 1);
}
