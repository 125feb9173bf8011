/**
 * A client of Keywheel as small as it can be, by hand: what it stores, and the calls that it makes. There are two of them on the
 * page, the owner's and the thief's. It does what docs/rotation.md asks of a client, and no more.
 *
 * Apart from the app itself: no cookie, no link, a session of its own with delivery BODY, so that a script can see the refresh
 * token at all. That is what makes it a thing to steal; the app's own token is where no script can see it.
 */
import type { TypedDocumentNode } from "@apollo/client";
import { errorInfo, type ErrorInfo } from "@keywheel/apollo";
import { print } from "graphql";
import { graphql } from "../gql";

const SIGN_IN = graphql(`
  mutation StartDemo($input: LoginInput!) {
    login(input: $input) {
      accessToken
      refreshToken
    }
  }
`);

const REFRESH = graphql(`
  mutation RefreshDemo($input: RefreshTokenInput!) {
    refreshToken(input: $input) {
      accessToken
      refreshToken
    }
  }
`);

const WHO = graphql(`
  query WhoAmI {
    me {
      id
    }
  }
`);

const END = graphql(`
  mutation EndDemo($input: LogoutInput!) {
    logout(input: $input) {
      session {
        id
      }
    }
  }
`);

/** What a client stores. Who copies a device's storage has all of it. */
export interface Wallet {
  readonly refreshToken: string;
  readonly accessToken: string;
  /** The retry key of a call that was not answered yet, stored before the call was sent. */
  readonly pendingKey?: string;
}

/** What came of a call: new contents of the wallet, or the refusal. */
export type Outcome<T> = { readonly ok: T } | { readonly refused: ErrorInfo };

export async function signIn(identifier: string, password: string): Promise<Wallet> {
  const input = { identifier, password, delivery: "BODY" as const, deviceName: "To be stolen" };
  return walletOf((await send(SIGN_IN, { input })).login);
}

/** Makes the key for a refresh; or goes on with the one of a call whose answer never came. */
export function prepare(wallet: Wallet): Wallet & { readonly pendingKey: string } {
  return { ...wallet, pendingKey: wallet.pendingKey ?? randomKey() };
}

/** The same token and the same key, as often as it takes. */
export function refresh({ refreshToken, pendingKey: retryKey }: Wallet & { readonly pendingKey: string }): Promise<Outcome<Wallet>> {
  return outcome(async () => walletOf((await send(REFRESH, { input: { refreshToken, retryKey } })).refreshToken));
}

/** Whether the access token is still taken. */
export function whoAmI({ accessToken }: Wallet): Promise<Outcome<boolean>> {
  return outcome(async () => (await send(WHO, {}, { authorization: `Bearer ${accessToken}` })).me !== null);
}

/** Also when the page is being closed. What cannot be ended runs out by itself. */
export function end({ refreshToken }: Wallet): void {
  send(END, { input: { refreshToken } }, {}, true).catch(() => undefined);
}

/**
 * Which token of its session this is: 1 for the one of the sign-in. An app has no business in there; this page draws what
 * docs/rotation.md says about it.
 */
export function numberOf({ refreshToken }: Wallet): number {
  const bytes = Uint8Array.from(atob(refreshToken.slice(4).replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
  return Number(new DataView(bytes.buffer).getBigUint64(17)) + 1;
}

function walletOf({ accessToken, refreshToken }: { accessToken: string; refreshToken: string | null }): Wallet {
  if (refreshToken === null) throw new Error("The refresh token came as a cookie.");
  return { accessToken, refreshToken };
}

async function outcome<T>(call: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { ok: await call() };
  } catch (error) {
    return { refused: errorInfo(error) ?? { code: "NO_ANSWER" } };
  }
}

async function send<Data, Variables>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  headers: Record<string, string> = {},
  keepalive = false,
): Promise<Data> {
  const response = await fetch("/graphql", {
    method: "POST",
    credentials: "omit", // the cookie is the app's
    headers: { "content-type": "application/json", accept: "application/graphql-response+json", ...headers },
    body: JSON.stringify({ query: print(document), variables }),
    signal: AbortSignal.timeout(10_000),
    keepalive,
  });
  const { data, errors } = (await response.json()) as { data?: Data; errors?: object[] };
  if (errors?.[0]) throw Object.assign(new Error("Keywheel refused"), errors[0]);
  if (!data) throw new Error("no answer");
  return data;
}

/** 128 random bits in base64url. */
function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
