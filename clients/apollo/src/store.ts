import { parse } from "./json.js";
import type { SignOutReason } from "./options.js";
import type { AuthPayload } from "./transport.js";

/** A place for a few short texts: `localStorage`, or something like it that may answer later. */
export interface Adapter {
  getItem(key: string): string | null | Promise<string | null>;
  setItem(key: string, value: string): void | Promise<void>;
}

/** What all tabs know of the session. Access tokens are never in it. */
export interface TokenRecord {
  /** Id of the session; nothing before the first answer. */
  session?: string;
  /** Id of its user. */
  user?: string;
  /** The refresh token, unless it is in a cookie. */
  refreshToken?: string;
  /** The key of a refresh that was begun and, as far as anybody knows, not answered. Good for this refresh token only. */
  retryKey?: string;
  /** How often it was sent. */
  tries?: number;
  /** How many refreshes this session has had in this browser: a tab that knows of fewer will hear of it. */
  serial?: number;
  /** Signed out, and why. */
  out?: SignOutReason;
}

/** What there is to store of an answer. */
export function recordOf({ user, refreshToken }: AuthPayload, session: string): TokenRecord {
  return { session, ...(user && { user: user.id }), ...(refreshToken && { refreshToken }) };
}

/** 144 random bits in base64url. */
export function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(18));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_");
}

/** Whether a record still belongs to a sign-in, whatever became of its tokens. */
export function sameSignIn(now: TokenRecord, then: TokenRecord): boolean {
  return !now.out && now.session === then.session;
}

/** Device tokens by person. */
type Devices = Record<string, string>;

/** The stored record. Changes of this object follow one another, so that none is made to a record that is gone. */
export class Store {
  readonly #adapter: Adapter;
  readonly #key: string;
  #last: Promise<unknown> = Promise.resolve();

  constructor(adapter: Adapter, key: string) {
    this.#adapter = adapter;
    this.#key = key;
  }

  /** The record as it is now; an empty one when there is none. */
  read(): Promise<TokenRecord> {
    return this.#next(async () => stored(await this.#adapter.getItem(this.#key)));
  }

  /** Replaces the record by what `change` makes of it, and tells both. The same object means: nothing to write. */
  change(change: (now: TokenRecord) => TokenRecord): Promise<{ before: TokenRecord; after: TokenRecord }> {
    return this.#next(async () => {
      // Without a pause before the write, if the adapter needs none: another tab could come between.
      const text = this.#adapter.getItem(this.#key);
      const before: TokenRecord = stored(text instanceof Promise ? await text : text);
      const after = change(before);
      if (after !== before) await this.#adapter.setItem(this.#key, JSON.stringify(after));
      return { before, after };
    });
  }

  /** The device token of an earlier sign-in of the same person here. */
  async device(identifier: string): Promise<string | undefined> {
    const devices: Devices = stored(await this.#adapter.getItem(this.#devices));
    return devices[fingerprint(identifier)];
  }

  /** Keeps a device token: longer than the session, one for each person. */
  keepDevice(identifier: string, token: string): Promise<void> {
    return this.#next(async () => {
      const devices: Devices = stored(await this.#adapter.getItem(this.#devices));
      await this.#adapter.setItem(this.#devices, JSON.stringify({ ...devices, [fingerprint(identifier)]: token }));
    });
  }

  get #devices(): string {
    return `${this.#key}.devices`;
  }

  #next<T>(job: () => Promise<T>): Promise<T> {
    const result = this.#last.then(job);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

/** What is stored; nothing when it is half of it, or somebody else's. */
function stored(text: string | null): Record<string, never> {
  return (parse(text) as Record<string, never> | undefined) ?? {};
}

/** In this object and nowhere else. */
export function memory(): Adapter {
  const items = new Map<string, string>();
  return {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
  };
}

/** The page's storage; in memory what it does not take, since it may be full, forbidden or missing. */
export function pageStorage(): Adapter {
  const spare = new Map<string, string>();
  return {
    getItem(key) {
      try {
        return spare.get(key) ?? localStorage.getItem(key);
      } catch {
        return null;
      }
    },
    setItem(key, value) {
      try {
        localStorage.setItem(key, value);
        spare.delete(key);
      } catch {
        spare.set(key, value);
      }
    },
  };
}

/** Stands for a person, so that storage does not list who signs in here. If two share one, the server ignores the token. */
function fingerprint(identifier: string): string {
  let hash = 0;
  for (const letter of identifier.trim().toLowerCase()) hash = (Math.imul(hash, 31) + letter.codePointAt(0)!) | 0;
  return (hash >>> 0).toString(36);
}
