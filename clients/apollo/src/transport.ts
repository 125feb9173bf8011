import { errorInfo, KeywheelError, type ErrorInfo } from "./errors.js";
import { fetchOf, type KeywheelOptions } from "./options.js";

/** The tokens of a session, as `login`, `register { auth }` and `refreshToken` of the schema give them. */
export interface AuthPayload {
  accessToken: string;
  /** Seconds from the answer. */
  expiresIn: number;
  tokenType?: "BEARER" | "DPOP";
  /** Null with cookie delivery. */
  refreshToken?: string | null;
  /** Null with cookie delivery, and after a refresh. */
  deviceToken?: string | null;
  session?: { id: string };
  user?: { id: string };
}

/** What to sign in with. */
export interface Credentials {
  /** Email address or username. */
  identifier: string;
  password: string;
  /** Shown in the list of sessions. */
  deviceName?: string;
}

/** What `login` answers. */
export interface SignIn extends AuthPayload {
  session: { id: string };
  user: { id: string; email: string | null; username: string | null; emailVerified: boolean; roles: string[] };
}

const TOKENS = "accessToken expiresIn tokenType refreshToken session { id }";

export const LOGIN = `mutation KeywheelLogin($input: LoginInput!) {
  payload: login(input: $input) { ${TOKENS} deviceToken user { id email username emailVerified roles } }
}`;
export const REFRESH = `mutation KeywheelRefresh($input: RefreshTokenInput) {
  payload: refreshToken(input: $input) { ${TOKENS} user { id } }
}`;
export const LOGOUT = `mutation KeywheelLogout($input: LogoutInput) {
  payload: logout(input: $input) { session { id } }
}`;

/**
 * Calls Keywheel itself: past all links, so that a refresh that fails cannot ask for a refresh. Sends one mutation, once.
 * Gives its `payload`, or throws a `KeywheelError`.
 */
export async function call<T>(
  options: KeywheelOptions,
  query: string,
  input: object,
  controller = new AbortController(),
): Promise<T> {
  const { url, storage = "cookie", timeout = 10_000 } = options;
  const fetch = fetchOf(options);
  const timer = setTimeout(() => controller.abort(), timeout);
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/graphql-response+json, application/json;q=0.9",
      },
      body: JSON.stringify({ query, variables: { input } }),
      // A cookie from another time would be a second token beside the one in the input.
      credentials: storage === "cookie" ? "include" : "omit",
      signal: controller.signal,
    });
    const answer: Answer<T> | undefined = await response.json().catch(() => undefined);
    if (answer?.data?.payload) return answer.data.payload;
    throw refusalOf(response, answer);
  } catch (error) {
    if (error instanceof KeywheelError) throw error;
    throw new KeywheelError("Keywheel did not answer.", { code: "NO_ANSWER" }, error);
  } finally {
    clearTimeout(timer);
  }
}

interface Answer<T> {
  data?: { payload?: T };
  errors?: { message?: string }[];
}

/** What to throw for an answer without a payload. */
function refusalOf({ status, headers }: Response, answer: Answer<unknown> | undefined): KeywheelError {
  // Without a code a proxy has spoken.
  const info: ErrorInfo = { ...(errorInfo(answer) ?? { code: "NO_ANSWER" }) };
  const seconds = Number(headers.get("retry-after"));
  if (seconds > 0) info.retryAfter ??= seconds;
  return new KeywheelError(answer?.errors?.[0]?.message ?? `Keywheel answered ${status}.`, info);
}
