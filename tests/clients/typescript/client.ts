// Signs in with nothing but what was generated from the schema.
//   node generated/built/client.js <endpoint>
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import {
  LoginDocument,
  LogoutDocument,
  MeDocument,
  MySessionsDocument,
  RefreshDocument,
  RegisterDocument,
  RevokeOthersDocument,
  type ErrorCode,
  type TypedDocumentString,
} from "./generated/graphql.js";

const endpoint = process.argv[2];
if (!endpoint) throw new Error("usage: client <endpoint>");

class Refused extends Error {
  constructor(readonly code: ErrorCode, readonly reason: string | undefined, message: string) {
    super(message);
  }
}

async function ask<Result, Variables>(document: TypedDocumentString<Result, Variables>, variables: Variables, token?: string): Promise<Result> {
  const response = await fetch(endpoint!, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/graphql-response+json",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({ query: document.toString(), variables }),
  });
  const { data, errors } = await response.json();
  const error = errors?.[0];
  if (error) throw new Refused(error.extensions.code, error.extensions.reason, error.message);
  return data;
}

const account = { email: "typescript@example.com", password: "correct horse battery staple" };
const { register } = await ask(RegisterDocument, { input: account });
assert.equal(register.auth?.user.email, account.email);

const { login } = await ask(LoginDocument, { input: { identifier: account.email, password: account.password, deviceName: "codegen" } });
const { me, settings } = await ask(MeDocument, {}, login.accessToken);
assert.equal(me?.id, login.user.id);
const createdAt: string | undefined = me?.createdAt;
assert.ok(createdAt && !Number.isNaN(Date.parse(createdAt)));
const codes: readonly ErrorCode[] = settings.errorCodes;
assert.ok(codes.includes("UNAUTHENTICATED"));

assert.ok(login.refreshToken);
const input = { refreshToken: login.refreshToken, retryKey: randomBytes(16).toString("base64url") };
const { refreshToken: first } = await ask(RefreshDocument, { input });
const { refreshToken: again } = await ask(RefreshDocument, { input });
assert.equal(first?.refreshToken, again?.refreshToken, "the same call again gives the same successor");
const token = again.accessToken;

const page = (await ask(MySessionsDocument, { first: 1 }, token)).me?.sessions;
assert.ok(page?.pageInfo.hasNextPage);
assert.equal(page.edges[0]?.node.current, true);
const rest = (await ask(MySessionsDocument, { first: 5, after: page.pageInfo.endCursor ?? null }, token)).me?.sessions;
assert.equal(rest?.edges.length, 1);

const { revokeSessions } = await ask(RevokeOthersDocument, {}, token);
assert.deepEqual(revokeSessions.sessions.map(({ revokedReason }) => revokedReason), ["REVOKED_BY_USER"]);
const { logout } = await ask(LogoutDocument, {}, token);
assert.equal(logout.session?.id, login.session.id);
assert.equal(logout.session.revokedReason, "LOGOUT");
await assert.rejects(ask(MeDocument, {}, token), (error) => error instanceof Refused && error.code === "UNAUTHENTICATED" && error.reason === "SESSION_REVOKED");
console.log("ok   a TypeScript client signs in, refreshes, ends its sessions and signs out");
