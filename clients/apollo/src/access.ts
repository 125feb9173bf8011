import type { Scheme } from "./tabs.js";

/** An access token. Times are in milliseconds of `performance.now()`, which no wrong clock can touch. */
export interface Access {
  token: string;
  scheme: Scheme;
  deadline: number;
  lifetime: number;
}

/** What a request says of it. */
export function headersOf(access: Access | undefined): Record<string, string> {
  return access ? { authorization: `${access.scheme} ${access.token}` } : {};
}
