import { IDBFactory } from "fake-indexeddb";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { dpop } from "../../src/dpop.js";
import { json, refused } from "../support/server.js";

const URL_ = "https://auth.example.com/graphql";

/** What a server has seen. */
let seen: { header: any; claims: any; authorization: string | null }[];
let answers: Response[];

beforeEach(() => {
  seen = [];
  answers = [];
  vi.stubGlobal("indexedDB", new IDBFactory());
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

/** Verifies the proof of each request, as RFC 9449 says. */
const server: typeof fetch = async (_, init) => {
  const headers = new Headers(init?.headers);
  const proof = headers.get("dpop");
  const authorization = headers.get("authorization");
  if (!proof) {
    seen.push({ header: undefined, claims: undefined, authorization });
  } else {
    const [header, claims, signature] = proof.split(".").map((part) => Buffer.from(part, "base64url"));
    const { jwk } = JSON.parse(String(header));
    const key = await crypto.subtle.importKey("jwk", jwk, { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"]);
    const message = new TextEncoder().encode(proof.slice(0, proof.lastIndexOf(".")));
    const good = await crypto.subtle.verify(
      { name: "ECDSA", hash: "SHA-256" },
      key,
      Uint8Array.from(signature!),
      message,
    );
    if (!good) throw new Error("the signature is wrong");
    seen.push({ header: JSON.parse(String(header)), claims: JSON.parse(String(claims)), authorization });
  }
  return answers.shift() ?? json(200, { data: {} });
};

const post = (maker: { fetch: typeof fetch }, token?: string) =>
  maker.fetch(URL_, { method: "POST", body: "{}", headers: token ? { authorization: `DPoP ${token}` } : {} });

describe("a proof", () => {
  test("is for one request, by a key that it shows", async () => {
    const maker = dpop({ fetch: server });
    await post(maker);
    await post(maker);
    const [{ header, claims }, second] = seen as [any, any];
    expect(header).toEqual({
      typ: "dpop+jwt",
      alg: "ES256",
      jwk: { kty: "EC", crv: "P-256", x: expect.any(String), y: expect.any(String) },
    });
    expect(claims).toEqual({
      jti: expect.stringMatching(/^[\w-]{22}$/),
      htm: "POST",
      htu: URL_,
      iat: expect.any(Number),
    });
    expect(second.claims.jti).not.toBe(claims.jti);
    expect(second.header.jwk).toEqual(header.jwk);
  });

  test("is for the address without its query, and for the method", async () => {
    await dpop({ fetch: server }).fetch(`${URL_}?query={me{id}}#x`, { method: "get" });
    expect(seen[0]!.claims).toMatchObject({ htm: "GET", htu: URL_ });
  });

  test("is for one access token", async () => {
    await post(dpop({ fetch: server }), "the-token");
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode("the-token"));
    expect(seen[0]!.claims.ath).toBe(Buffer.from(digest).toString("base64url"));
  });

  test("does not go with a bearer token", async () => {
    const maker = dpop({ fetch: server });
    await maker.fetch(URL_, { method: "POST", headers: { authorization: "Bearer x" } });
    expect(seen[0]!.header).toBeUndefined();
  });

  test("has the last nonce of the server, and not of another one", async () => {
    const maker = dpop({ fetch: server });
    answers.push(json(200, {}, undefined, { "dpop-nonce": "n1" }));
    await post(maker);
    await post(maker, "t");
    await maker.fetch("https://api.example.com/graphql", { method: "POST" });
    expect(seen.map(({ claims }) => claims.nonce)).toEqual([undefined, "n1", undefined]);
  });

  test("has the time of its own server, whatever another one says", async () => {
    const maker = dpop({ fetch: server });
    answers.push(json(200, {}, undefined, { date: new Date(Date.now() - 3_600_000).toUTCString() }));
    await maker.fetch("https://api.example.com/graphql", { method: "POST" });
    await post(maker);
    expect(Math.abs(seen[1]!.claims.iat - Date.now() / 1000)).toBeLessThanOrEqual(2);
  });

  test("has the time of the server", async () => {
    const maker = dpop({ fetch: server });
    const hourAhead = Date.now() + 3_600_000;
    answers.push(json(200, {}, undefined, { date: new Date(hourAhead).toUTCString() }));
    await post(maker);
    await post(maker);
    expect(Math.abs(seen[1]!.claims.iat - hourAhead / 1000)).toBeLessThanOrEqual(2);
    expect(Math.abs(seen[0]!.claims.iat - Date.now() / 1000)).toBeLessThanOrEqual(2);
  });
});

describe("a request is sent again, once and with another proof,", () => {
  const nonceRequired = () => refused(401, { code: "DPOP_NONCE_REQUIRED" }, { "dpop-nonce": "n2" });

  test("when the server wants a nonce", async () => {
    answers.push(nonceRequired());
    const response = await post(dpop({ fetch: server }), "t");
    expect(response.status).toBe(200);
    expect(seen.map(({ claims }) => claims.nonce)).toEqual([undefined, "n2"]);
    expect(seen[1]!.claims.jti).not.toBe(seen[0]!.claims.jti);
  });

  test("and not a second time", async () => {
    answers.push(nonceRequired(), nonceRequired(), nonceRequired());
    expect((await post(dpop({ fetch: server }), "t")).status).toBe(401);
    expect(seen).toHaveLength(2);
  });

  test.each([
    ["PROOF_EXPIRED", "t", 2],
    ["PROOF_EXPIRED", undefined, 2],
    ["PROOF_REPLAYED", undefined, 2],
    ["PROOF_REPLAYED", "t", 1], // the first copy may have run
    ["PROOF_BY_OTHER_KEY", "t", 1],
  ] as const)("or not: %s with the token %s is sent %i times", async (reason, token, times) => {
    answers.push(refused(200, { code: "DPOP_PROOF_INVALID", reason }));
    await post(dpop({ fetch: server }), token);
    expect(seen).toHaveLength(times);
  });
});

describe("the key", () => {
  test("is kept, and cannot be read", async () => {
    await post(dpop({ fetch: server }));
    await post(dpop({ fetch: server })); // after a reload
    expect(seen[1]!.header.jwk).toEqual(seen[0]!.header.jwk);
    const request = indexedDB.open("keywheel", 1);
    const database = await new Promise<IDBDatabase>((resolve) => (request.onsuccess = () => resolve(request.result)));
    const get = database.transaction("keys").objectStore("keys").get("dpop");
    const pair = await new Promise<CryptoKeyPair>((resolve) => (get.onsuccess = () => resolve(get.result)));
    expect(pair.privateKey.extractable).toBe(false);
    database.close();
  });

  test("is the same in tabs that make it at the same time", async () => {
    await Promise.all(Array.from({ length: 4 }, () => post(dpop({ fetch: server }))));
    expect(new Set(seen.map(({ header }) => header.jwk.x)).size).toBe(1);
  });

  test("is another one under another name, and lives in memory where there is no database", async () => {
    await post(dpop({ fetch: server }));
    await post(dpop({ fetch: server, name: "second" }));
    vi.stubGlobal("indexedDB", undefined);
    const maker = dpop({ fetch: server });
    await post(maker);
    await post(maker);
    const keys = seen.map(({ header }) => header.jwk.x);
    expect(new Set(keys).size).toBe(3);
    expect(keys[3]).toBe(keys[2]);
  });
});
