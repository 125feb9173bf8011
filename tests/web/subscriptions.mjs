// Do the clients that people use follow their sessions, come back with a fresh token when theirs has expired, and notice within
// a second what another server did? Two servers on one database; graphql-ws, graphql-sse, and the consumer in examples/revocations.
//   node subscriptions.mjs <program>
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient as createSseClient } from "graphql-sse";
import { createClient as createWsClient } from "graphql-ws";
import WebSocket from "ws";
import { follow } from "../../examples/revocations/revocations.mjs";
import { ask, Servers } from "./servers.mjs";

const [program] = process.argv.slice(2);
if (!program) {
  console.error("usage: node subscriptions.mjs <program>");
  process.exit(2);
}

const PASSWORD = "correct horse battery staple";
const IDENTIFIER = "phone@example.com";
/** Seconds an access token lives. */
const TTL = 3;
const servers = new Servers(program, { KEYWHEEL_TOKENS__ACCESS_TTL: String(TTL) });

const TOKENS = "accessToken refreshToken session { id }";
const login = (node) =>
  ask(node, `mutation ($input: LoginInput!) { login(input: $input) { ${TOKENS} } }`, { identifier: IDENTIFIER, password: PASSWORD, delivery: "BODY" });
const refresh = (node, { refreshToken }) =>
  ask(node, `mutation ($input: RefreshTokenInput) { refreshToken(input: $input) { ${TOKENS} } }`, { refreshToken, retryKey: randomBytes(16).toString("base64url") });
const logout = (node, { refreshToken }) =>
  ask(node, "mutation ($input: LogoutInput!) { logout(input: $input) { session { id } } }", { refreshToken });

const SUBSCRIPTION = { query: "subscription { sessionEvents { id kind session { id current } } }" };

let passed = 0;
let failed = 0;
function check(name, ok, detail) {
  if (ok) passed += 1;
  else failed += 1;
  console.log(`${ok ? "ok" : "FAILED"}   ${name}${ok ? "" : `: ${JSON.stringify(detail)}`}`);
}

/** Waits until it is true, and says how long that took; null if it never is. */
async function until(condition, patience = 10_000) {
  const began = performance.now();
  while (!condition()) {
    if (performance.now() - began > patience) return null;
    await sleep(5);
  }
  return Math.round(performance.now() - began);
}

/** Follows with one of the two clients: what it was told, when it connected, and how it was closed. */
function connect(kind, node, token) {
  const seen = { events: [], connected: 0, closed: [], over: undefined, tokens: 0 };
  const fresh = async () => {
    seen.tokens += 1;
    return { authorization: `Bearer ${await token(seen.tokens)}` };
  };
  const on = { connected: () => (seen.connected += 1), closed: ({ code, reason }) => seen.closed.push(`${code} ${reason}`) };
  const retryWait = () => sleep(50);
  const client =
    kind === "graphql-ws"
      ? createWsClient({ url: `${node.replace("http", "ws")}/graphql`, webSocketImpl: WebSocket, connectionParams: fresh, on, retryWait })
      : createSseClient({ url: `${node}/graphql`, headers: fresh, on, retry: retryWait, retryAttempts: 100 });
  client.subscribe(SUBSCRIPTION, {
    next: ({ data, errors }) => seen.events.push(errors ? { errors } : data.sessionEvents),
    error: (error) => (seen.over = error),
    complete: () => (seen.over = "complete"),
  });
  // A client that is just coming back may find nobody.
  return { seen, dispose: () => Promise.resolve(client.dispose()).catch(() => {}) };
}

try {
  const first = await servers.start();
  const [here, there] = [first, await servers.start()];
  await ask(here, "mutation ($input: RegisterInput!) { register(input: $input) { emailVerificationRequired } }", { email: IDENTIFIER, password: PASSWORD });

  for (const kind of ["graphql-ws", "graphql-sse"]) {
    const is = (name, ...rest) => check(`${kind}: ${name}`, ...rest);
    let tokens = await login(there);
    const expired = tokens.accessToken;
    await sleep((TTL + 1) * 1000);

    // The first token that the client has is an old one.
    const phone = connect(kind, there, async (time) => {
      if (time === 1) return expired;
      tokens = await refresh(there, tokens);
      return tokens.accessToken;
    });
    const { seen } = phone;
    await until(() => seen.tokens >= 2 && seen.connected >= 1);
    await sleep(200);
    is("comes back with another token when the first has expired", seen.tokens === 2 && !seen.over, seen);
    if (kind === "graphql-ws") is("and was told why", seen.closed[0] === "4403 TOKEN_EXPIRED", seen.closed);

    const tablet = await login(here);
    let took = await until(() => seen.events.some(({ kind, session }) => kind === "CREATED" && session.id === tablet.session.id));
    is(`is told of a sign-in on the other server (${took} ms)`, took !== null && took < 1_000, seen);
    await logout(here, tablet);
    took = await until(() => seen.events.some(({ kind, session }) => kind === "REVOKED" && session.id === tablet.session.id));
    is(`and of a sign-out (${took} ms)`, took !== null && took < 1_000, seen);

    const before = seen.tokens;
    took = await until(() => seen.tokens > before);
    is("comes back again when the token expires in the middle", took !== null && !seen.over, seen);
    await sleep(300);
    const next = await login(here);
    took = await until(() => seen.events.some(({ session }) => session.id === next.session.id));
    is("and goes on being told", took !== null, seen);

    // Its own session is ended elsewhere. There is no token to come back with.
    const [closedBefore, tokensBefore] = [seen.closed.length, seen.tokens];
    await logout(here, tokens);
    took = await until(() => seen.closed.length > closedBefore || seen.tokens > tokensBefore || seen.over);
    is(`is cut off when its session is ended on the other server (${took} ms)`, took !== null && took < 1_000, seen);
    if (kind === "graphql-ws") is("and was told why", seen.closed[closedBefore] === "4403 SESSION_REVOKED", seen.closed);
    took = await until(() => seen.over);
    is("and gives up, since there is no other token", seen.over !== "complete" && took !== null, seen);
    await phone.dispose();
  }

  const revocations = follow(there, { every: 250 });
  await revocations.ready;
  const claims = ({ accessToken }) => JSON.parse(Buffer.from(accessToken.split(".")[1], "base64url"));
  const times = [];
  for (let n = 0; n < 10; n += 1) {
    const victim = await login(there);
    await sleep(n * 40);
    if (revocations.covers(claims(victim))) failed += 1;
    await logout(here, victim);
    times.push(await until(() => revocations.covers(claims(victim))));
  }
  check(`feed: an end on the other server is known after ${times.join(", ")} ms`, times.every((time) => time !== null && time < 1_000), times);
  check("feed: what it knows is of now", revocations.age() < 1_000, revocations.age());
  check("feed: a session that lives is not covered", !revocations.covers(claims(await login(here))));
  revocations.stop();

  const stopping = connect("graphql-ws", there, async () => (await login(here)).accessToken);
  await until(() => stopping.seen.connected === 1);
  const began = performance.now();
  servers.children[1].kill("SIGTERM");
  await until(() => servers.children[1].exitCode !== null);
  check(`a server with an open socket stops (${Math.round(performance.now() - began)} ms)`, servers.children[1].exitCode === 0, servers.children[1].exitCode);
  check("and says that it does", stopping.seen.closed[0]?.startsWith("1012"), stopping.seen.closed);
  await stopping.dispose();
} catch (error) {
  failed += 1;
  console.error(error);
} finally {
  await servers.stop();
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
