/**
 * What went wrong, in words for people. Codes are what counts; `message` of an error is for developers.
 */
import { errorInfo, type KeywheelErrorCode } from "@keywheel/apollo";

export interface Problem {
  readonly text: string;
  /** Sentences for single fields, by their name. */
  readonly fields: Readonly<Record<string, string>>;
  /** When it makes sense to try again, as a time of `performance.now()`. */
  readonly notBefore?: number;
}

export type Texts = Partial<Record<KeywheelErrorCode, string>>;

const TEXTS: Texts = {
  INVALID_CREDENTIALS: "Wrong email address or password.",
  EMAIL_NOT_VERIFIED: "Confirm your email address first: open the link that we have sent you.",
  EMAIL_TOKEN_INVALID: "This link is not good any more. Ask for a new one.",
  ACCOUNT_BLOCKED: "This account is blocked. Ask the people who run this service.",
  RATE_LIMITED: "Too many attempts. Nothing is locked; it only takes a moment.",
  FORBIDDEN: "This server does not allow that.",
  ORIGIN_NOT_ALLOWED: "Keywheel does not know this page: add its origin to allowed_origins.",
  UNAUTHENTICATED: "Your session has ended. Sign in again.",
  NO_ANSWER: "Keywheel cannot be reached. Is it running? Nothing was changed.",
  SERVICE_UNAVAILABLE: "Keywheel is busy. Nothing was changed; try again.",
};

/** Our own words for what a form gets wrong; anything else says the server itself. */
const FIELDS: Record<string, string> = {
  INVALID_EMAIL: "This is not an email address.",
  TOO_COMMON: "This password is among the first that anybody would try.",
  TAKEN: "Somebody has this already.",
  UNCHANGED: "This is your address already.",
  INVALID_USERNAME: "3 to 32 letters (a to z), digits, dots, underscores or dashes.",
};

export function problemOf(error: unknown, texts: Texts = {}): Problem {
  const info = errorInfo(error);
  const fields: Record<string, string> = {};
  for (const { path, code, message } of info?.fields ?? []) fields[path.at(-1) ?? ""] = FIELDS[code] ?? message;
  const named = Object.keys(fields).length > 0;
  const text = named ? "Please look at what is marked." : ((info && (texts[info.code] ?? TEXTS[info.code])) ?? unnamed(info?.requestId));
  const wait = info?.retryAfter;
  return { text, fields, ...(wait !== undefined && { notBefore: performance.now() + wait * 1000 }) };
}

function unnamed(requestId: string | undefined): string {
  return requestId ? `Something is broken on the server. Its log knows it as ${requestId}.` : "That did not work. Try again.";
}
