// Does Keywheel compose with a service that extends its users, does one query reach both through a gateway, and is nobody told
// more by way of the gateway than directly?
//   node check.mjs <program>
import { randomBytes } from "node:crypto";
import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { RemoteGraphQLDataSource } from "@apollo/gateway";
import { Servers } from "../web/servers.mjs";
import * as gateway from "./gateway.mjs";
import * as orders from "./orders.mjs";

const [program] = process.argv.slice(2);
if (!program) {
  console.error("usage: node check.mjs <program>");
  process.exit(2);
}

const PASSWORD = "correct horse battery staple";
const ISSUER = "http://localhost:4000";
/** Seconds an access token lives. */
const TTL = 6;
const servers = new Servers(program, {
  KEYWHEEL_GRAPHQL__FEDERATION: "true",
  KEYWHEEL_TRUSTED_PROXIES: "127.0.0.1",
  KEYWHEEL_TOKENS__ACCESS_TTL: String(TTL),
});
const stops = [() => servers.stop()];

async function ask(url, query, { token, variables, headers } = {}) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }), ...headers },
    body: JSON.stringify({ query, variables }),
  });
  return { cookies: response.headers.getSetCookie(), ...(await response.json()) };
}

/** The same from another address of this machine. */
function askFrom(localAddress, url, query, { variables, headers }) {
  return new Promise((resolve, reject) => {
    const options = { method: "POST", localAddress, headers: { "content-type": "application/json", ...headers } };
    const sent = request(url, options, async (response) => {
      let body = "";
      for await (const piece of response) body += piece;
      resolve(JSON.parse(body));
    });
    sent.on("error", reject).end(JSON.stringify({ query, variables }));
  });
}

const LOGIN = "mutation ($input: LoginInput!) { login(input: $input) { accessToken refreshToken session { id } user { id } } }";
const login = (url, identifier, more) => ask(url, LOGIN, { variables: { input: { identifier, password: PASSWORD, delivery: "BODY", ...more } } });
const signIn = async (url, identifier) => (await login(url, identifier)).data.login;

let passed = 0;
let failed = 0;
function check(name, ok, detail) {
  if (ok) passed += 1;
  else failed += 1;
  console.log(`${ok ? "ok" : "FAILED"}   ${name}${ok ? "" : `: ${JSON.stringify(detail)}`}`);
}
const same = (name, found, expected) => check(name, JSON.stringify(found) === JSON.stringify(expected), found);
const codes = ({ errors }) => errors?.map(({ extensions }) => extensions.code);

try {
  const server = await servers.start();
  const api = `${server}/graphql`;
  for (const name of ["alice", "bob", "carol"]) {
    const input = { email: `${name}@example.com`, username: name, password: PASSWORD };
    await ask(api, "mutation ($input: RegisterInput!) { register(input: $input) { emailVerificationRequired } }", { variables: { input } });
  }
  servers.run("user", "role", "carol@example.com", "admin");
  const [alice, bob] = [await signIn(api, "alice@example.com"), await signIn(api, "bob@example.com")];

  const sdl = servers.run("schema", "--federation");
  same("the command prints what `_service` answers", (await ask(api, "{ _service { sdl } }")).data._service.sdl, sdl);

  const shop = await orders.serve(
    [
      { id: "1", buyer: alice.user.id, session: alice.session.id },
      { id: "2", buyer: bob.user.id, session: bob.session.id },
      ...Array.from({ length: 150 }, (_, each) => ({ id: String(each + 3), buyer: `usr_${randomBytes(16).toString("hex")}` })),
    ],
    { issuer: ISSUER, audience: "keywheel", jwks: `${server}/.well-known/jwks.json` },
  );
  stops.push(shop.stop);
  const services = [
    { name: "keywheel", url: api, sdl },
    { name: "orders", url: shop.url, sdl: orders.typeDefs },
  ];
  const supergraph = gateway.compose(services);
  check("the two compose, with one `PageInfo` and one `node`", supergraph.includes("join__Graph"), supergraph);
  check("subscriptions stay at Keywheel", !supergraph.includes("sessionEvents"), supergraph);
  const graph = await gateway.serve(supergraph);
  stops.push(graph.stop);
  const query = (text, token, variables) => ask(graph.url, text, { token, variables });

  const MINE = "{ me { username orders { id } } myOrders { buyer { username } } }";
  let answer = await query(MINE, (await signIn(api, "alice@example.com")).accessToken);
  same("one query reaches both", answer.data, { me: { username: "alice", orders: [{ id: "1" }] }, myOrders: [{ buyer: { username: "alice" } }] });

  const LATEST = "query ($first: Int!) { latestOrders(first: $first) { nodes { id buyer { id username email } placedWith { deviceName } } } }";
  const buyers = ({ data }) => data.latestOrders.nodes.map(({ buyer }) => buyer.username);
  answer = await query(LATEST, (await signIn(api, "alice@example.com")).accessToken, { first: 3 });
  same("of other users nothing is told by way of a reference", [buyers(answer), answer.errors], [["alice", null, null], undefined]);
  check("nor of their sessions", answer.data.latestOrders.nodes[0].placedWith.deviceName && !answer.data.latestOrders.nodes[1].placedWith?.deviceName, answer);
  answer = await query("{ latestOrders(first: 2) { nodes { buyer { orders { id } } } } }", (await signIn(api, "alice@example.com")).accessToken);
  same("by neither service", answer.data?.latestOrders.nodes.map(({ buyer }) => buyer.orders.length), [1, 0]);
  answer = await query(LATEST, (await signIn(api, "carol@example.com")).accessToken, { first: 3 });
  same("but to whoever may see users", buyers(answer), ["alice", "bob", null]);
  answer = await query(LATEST, (await signIn(api, "carol@example.com")).accessToken, { first: 101 });
  check("101 at a time are refused", codes(answer)?.includes("OPERATION_TOO_COMPLEX") && buyers(answer).every((name) => name === null), answer);
  answer = await query(`{ _entities(representations: []) { __typename } }`, (await signIn(api, "carol@example.com")).accessToken);
  same("clients of the gateway have no `_entities`", codes(answer), ["GRAPHQL_VALIDATION_FAILED"]);

  answer = await query("{ me { username } }");
  same("without a token `me` is nobody", [answer.data, answer.errors], [{ me: null }, undefined]);
  answer = await query("{ myOrders { id } }");
  same("the other service refuses", [codes(answer), answer.data], [["UNAUTHENTICATED"], null]);
  answer = await query(LATEST, undefined, { first: 2 });
  check("and Keywheel resolves nobody", codes(answer)?.includes("UNAUTHENTICATED") && buyers(answer).every((name) => name === null), answer);

  // The same keys, and the audience of something else.
  const other = await servers.start({ KEYWHEEL_TOKENS__AUDIENCE: "another service" });
  const foreign = (await signIn(`${other}/graphql`, "alice@example.com")).accessToken;
  same("a token for another audience is refused by the other service", codes(await query("{ myOrders { id } }", foreign)), ["UNAUTHENTICATED"]);
  same("and by Keywheel", codes(await query("{ me { username } }", foreign)), ["UNAUTHENTICATED"]);
  const forged = alice.accessToken.replace(/.{8}$/, "AAAAAAAA");
  same("so is a forged one", codes(await query("{ myOrders { id } }", forged)), ["UNAUTHENTICATED"]);

  answer = await login(graph.url, "alice@example.com");
  check("signing in through the gateway works in body delivery", answer.data?.login.refreshToken, answer);
  const REFRESH = "mutation ($input: RefreshTokenInput) { refreshToken(input: $input) { accessToken } }";
  const refreshed = await query(REFRESH, undefined, { input: { refreshToken: answer.data.login.refreshToken } });
  check("and so does refreshing", refreshed.data?.refreshToken.accessToken, refreshed);
  answer = await login(graph.url, "alice@example.com", { delivery: "COOKIE" });
  check("but not in cookie delivery, where the origin is missing", codes(answer)?.includes("ORIGIN_NOT_ALLOWED") && answer.cookies.length === 0, answer);

  const phone = { input: { identifier: "alice@example.com", password: PASSWORD, delivery: "BODY" } };
  const FROM = LOGIN.replace("session { id }", "session { ipAddress }");
  answer = await askFrom("127.0.0.2", graph.url, FROM, { variables: phone, headers: { "x-forwarded-for": "192.0.2.1" } });
  same("the session knows the address of the client, and not what the client claims", answer.data?.login.session.ipAddress, "127.0.0.2");

  // A gateway that passes on the cookie as well opens nothing: without the origin of the page it is refused.
  const browser = await ask(api, LOGIN, { variables: { input: { identifier: "alice@example.com", password: PASSWORD, delivery: "COOKIE" } }, headers: { origin: ISSUER } });
  class PassingCookies extends RemoteGraphQLDataSource {
    willSendRequest({ request, context }) {
      if (context.cookie) request.http.headers.set("cookie", context.cookie);
    }
  }
  const careless = await gateway.serve(supergraph, PassingCookies);
  stops.push(careless.stop);
  const cookie = browser.cookies.map((each) => each.split(";")[0]).join("; ");
  answer = await ask(careless.url, "mutation { refreshToken { accessToken } }", { headers: { cookie } });
  check("a cookie that a gateway passes on refreshes nothing", browser.cookies.length > 0 && codes(answer)?.includes("ORIGIN_NOT_ALLOWED"), answer);
  answer = await ask(careless.url, LATEST, { token: (await signIn(api, "carol@example.com")).accessToken, variables: { first: 3 } });
  check("and one that forgets the token is told so", codes(answer)?.includes("UNAUTHENTICATED") && buyers(answer).every((name) => name === null), answer);

  const last = await signIn(api, "bob@example.com");
  await ask(api, "mutation { logout { session { id } } }", { token: last.accessToken });
  same("a session that was ended is over for Keywheel at once", codes(await query("{ me { username } }", last.accessToken)), ["UNAUTHENTICATED"]);
  same("and for the other service when its token expires", (await query("{ myOrders { id } }", last.accessToken)).data, { myOrders: [{ id: "2" }] });
  await sleep((TTL + 1) * 1000);
  answer = await query("{ myOrders { id } }", last.accessToken);
  same("which it has now", [codes(answer), answer.errors?.[0].extensions.reason], [["UNAUTHENTICATED"], "TOKEN_EXPIRED"]);
  answer = await query("{ me { username } }", alice.accessToken);
  same("for Keywheel too", [codes(answer), answer.errors?.[0].extensions.reason], [["UNAUTHENTICATED"], "TOKEN_EXPIRED"]);
} finally {
  for (const stop of stops.reverse()) await stop();
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
