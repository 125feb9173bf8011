/**
 * Sessions that are bound to a key which never leaves the browser (DPoP, RFC 9449).
 * @module
 */
import { isStream } from "./stream.js";

/** Where the key is kept, and what sends the requests. */
export interface DpopOptions {
  /** Name of the database in IndexedDB: `keywheel`. One key for all tabs; another name for a second server. */
  name?: string;
  /** Sends the requests: `globalThis.fetch`. */
  fetch?: typeof globalThis.fetch;
}

/** Signs requests with one key. */
export interface Dpop {
  /**
   * A `fetch` that adds a proof: with the scheme `DPoP` for the access token in `authorization`, without that header for
   * a sign-in or a refresh. A request that is refused for want of another proof is sent a second time.
   */
  readonly fetch: typeof globalThis.fetch;
}

/**
 * Makes proofs with a P-256 key that WebCrypto does not give away, not even to the page. It is made when it is first
 * needed and kept in IndexedDB; where there is none, in memory, so that a reload signs out. Needs a secure context.
 */
export function dpop(options: DpopOptions = {}): Dpop {
  let key: Promise<Key> | undefined;
  /** What each origin has told: its last nonce, and how many seconds it is ahead of this device. */
  const origins = new Map<string, { nonce?: string | undefined; skew?: number }>();

  async function proof(method: string, url: URL, accessToken: string | undefined): Promise<string> {
    key ??= loadKey(options.name ?? "keywheel").catch((error: unknown) => {
      key = undefined;
      throw error;
    });
    const { privateKey, jwk } = await key;
    const { nonce, skew = 0 } = origins.get(url.origin) ?? {};
    const header = { typ: "dpop+jwt", alg: "ES256", jwk };
    const claims = {
      jti: encode(crypto.getRandomValues(new Uint8Array(16))),
      htm: method,
      htu: url.origin + url.pathname,
      iat: Math.floor(Date.now() / 1000) + skew,
      nonce,
      ath: accessToken && encode(await crypto.subtle.digest("SHA-256", utf8(accessToken))),
    };
    const message = [header, claims].map((part) => encode(utf8(JSON.stringify(part)))).join(".");
    const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, privateKey, utf8(message));
    return `${message}.${encode(signature)}`;
  }

  /** Takes what an answer says for the next proof. */
  function learn(url: URL, headers: Headers): void {
    const told = { ...origins.get(url.origin) };
    told.nonce = headers.get("dpop-nonce") ?? told.nonce;
    const date = Date.parse(headers.get("date") ?? "");
    if (date) told.skew = Math.round((date - Date.now()) / 1000);
    origins.set(url.origin, told);
  }

  return {
    async fetch(input, init) {
      const send = options.fetch ?? globalThis.fetch;
      const request = input instanceof Request ? input : undefined;
      const url = new URL(request?.url ?? input.toString(), globalThis.location?.href);
      const method = (init?.method ?? request?.method ?? "GET").toUpperCase();
      const headers = new Headers(init?.headers ?? request?.headers);
      const [scheme, token] = headers.get("authorization")?.split(" ") ?? ["DPoP"];
      if (scheme !== "DPoP") return send(input, init); // of a session from before there was a key

      for (let again = false; ; again = true) {
        headers.set("dpop", await proof(method, url, token));
        const response = await send(request?.clone() ?? input, { ...init, headers });
        learn(url, response.headers);
        if (again || isStream(init?.body) || !(await wantsAnother(response, token))) return response;
      }
    },
  };
}

/** Whether a request was refused, with nothing done, for a proof that can be had. */
async function wantsAnother(response: Response, token: string | undefined): Promise<boolean> {
  const { headers } = response;
  if (!headers.get("content-type")?.includes("json") || Number(headers.get("content-length")) > 2000) return false;
  const text = await response.clone().text();
  if (/"(DPOP_NONCE_REQUIRED|PROOF_EXPIRED)"/.test(text)) return true;
  // The browser itself has sent the request before. A sign-in or a refresh may be done twice; with another one the
  // first may have been done.
  return !token && text.includes('"PROOF_REPLAYED"');
}

/** A key to sign with, and its public half as a proof shows it. */
interface Key {
  privateKey: CryptoKey;
  jwk: JsonWebKey;
}

const STORE = "keys";
const KEY = "dpop";

async function loadKey(name: string): Promise<Key> {
  const fresh = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
  const { privateKey, publicKey } = typeof indexedDB === "undefined" ? fresh : await stored(name, fresh);
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", publicKey);
  return { privateKey, jwk: { kty, crv, x, y } as JsonWebKey };
}

/** The key pair in the database; `fresh` becomes it when there is none. One transaction, so that all tabs get the same. */
async function stored(name: string, fresh: CryptoKeyPair): Promise<CryptoKeyPair> {
  const opening = indexedDB.open(name, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
  const database = await result(opening);
  try {
    const store = database.transaction(STORE, "readwrite").objectStore(STORE);
    const found: CryptoKeyPair | undefined = await result(store.get(KEY));
    if (!found) await result(store.put(fresh, KEY));
    return found ?? fresh;
  } finally {
    database.close();
  }
}

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text) as Uint8Array<ArrayBuffer>;
}

function encode(bytes: ArrayBuffer | Uint8Array): string {
  const text = String.fromCharCode(...new Uint8Array(bytes as ArrayBuffer));
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
