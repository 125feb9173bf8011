// Does anybody ever meet a token whose key he does not have? Two servers on one database, clients that sign in and refresh on
// both, keys that follow one another every few seconds; every token is verified by `jose`, which keeps its copy of the keys for
// as long as it was told.
//   node jose.mjs <program> [<verifications> [<algorithm>]]
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from "jose";
import { ask, Servers } from "./servers.mjs";

const [program, verifications = "10000", algorithm = "ES256"] = process.argv.slice(2);
if (!program) {
  console.error("usage: node jose.mjs <program> [<verifications> [<algorithm>]]");
  process.exit(2);
}

const ISSUER = "http://localhost:4000";
const PASSWORD = "correct horse battery staple";
const PHONES = 8;
/** Seconds a key signs. From this follows that it is published three seconds before, and that a copy is good for one. */
const ROTATION = 9;
const KEYS = 5;
const servers = new Servers(program, {
  KEYWHEEL_TOKENS__ALGORITHM: algorithm,
  KEYWHEEL_TOKENS__ACCESS_TTL: "10",
  KEYWHEEL_TOKENS__KEY_ROTATION: String(ROTATION),
  KEYWHEEL_LIMITS__ENABLED: "false",
  KEYWHEEL_SESSIONS__MAX_PER_USER: "1000",
});

const login = (node, identifier) =>
  ask(node, "mutation ($input: LoginInput!) { login(input: $input) { accessToken refreshToken } }", {
    identifier,
    password: PASSWORD,
    delivery: "BODY",
  });
const refresh = (node, refreshToken) =>
  ask(node, "mutation ($input: RefreshTokenInput) { refreshToken(input: $input) { accessToken refreshToken } }", {
    refreshToken,
    retryKey: randomBytes(16).toString("base64url"),
  });

/** A service that keeps its copy of the keys for as long as the server allows, and fetches it again for nothing else. */
async function verifier(node) {
  const url = new URL(`${node}/.well-known/jwks.json`);
  // Not when it meets an unknown key: a service that never does so must not need to.
  const maxAge = /max-age=(\d+)/.exec((await fetch(url)).headers.get("cache-control"))[1] * 1000;
  const keys = createRemoteJWKSet(url, { cacheMaxAge: maxAge, cooldownDuration: 3_600_000 });
  return (token) =>
    jwtVerify(token, keys, {
      issuer: ISSUER,
      audience: "keywheel",
      algorithms: [algorithm],
      typ: "at+jwt",
      requiredClaims: ["exp", "iat", "sub", "sid", "jti"],
      clockTolerance: 2,
    });
}

const failures = [];
const kids = new Map();
let verified = 0;
let refreshed = 0;

/** Verified at once, and again until it ends: by services that ask one server, and by those that ask the other. */
async function verify(token, verifiers) {
  for (const check of verifiers) {
    try {
      await check(token);
      verified += 1;
    } catch (error) {
      failures.push(`${error.code} ${decodeProtectedHeader(token).kid}`);
    }
  }
}

try {
  const first = await servers.start();
  const nodes = [first, await servers.start()];
  const verifiers = await Promise.all([...nodes, ...nodes].map(verifier));
  for (let i = 0; i < PHONES; i += 1) {
    const input = { email: `phone${i}@example.com`, password: PASSWORD };
    await ask(nodes[i % 2], "mutation ($input: RegisterInput!) { register(input: $input) { auth { accessToken } } }", input);
  }
  const began = Date.now();
  const enough = () => verified + failures.length >= Number(verifications) && kids.size >= KEYS;

  async function phone(i) {
    let tokens = await login(nodes[i % 2], `phone${i}@example.com`);
    const kept = [];
    for (let n = 0; !enough(); n += 1) {
      const { kid, alg } = decodeProtectedHeader(tokens.accessToken);
      if (alg !== algorithm) failures.push(`signed with ${alg}`);
      kids.set(kid, (kids.get(kid) ?? 0) + 1);
      kept.push({ token: tokens.accessToken, until: Date.now() + 9_000 });
      while (kept[0].until < Date.now()) kept.shift();
      await verify(tokens.accessToken, verifiers);
      await verify(kept[0].token, verifiers);
      await sleep(20);
      tokens = n % 20 === 19 ? await login(nodes[n % 2], `phone${i}@example.com`) : await refresh(nodes[(i + n) % 2], tokens.refreshToken);
      refreshed += 1;
      if (Date.now() - began > 80_000) throw new Error(`only ${kids.size} keys and ${verified} verifications in 80 seconds`);
    }
  }
  // An operator who turns the wheel as well, in the middle of it.
  async function operator() {
    await sleep(3_000);
    servers.run("keys", "rotate");
  }
  await Promise.all([operator(), ...Array.from({ length: PHONES }, (_, i) => phone(i))]);

  const seconds = ((Date.now() - began) / 1000).toFixed(1);
  const published = (await (await fetch(`${nodes[0]}/.well-known/jwks.json`)).json()).keys.length;
  console.log(
    `${algorithm}: ${kids.size} keys signed in ${seconds} s on two servers; ${refreshed} sign-ins and refreshes, ` +
      `${verified} verifications, ${failures.length} failures; ${published} keys are published`,
  );
} catch (error) {
  failures.push(error.message);
} finally {
  await servers.stop();
}
if (failures.length) {
  console.error([...new Set(failures)].slice(0, 10).join("\n"));
  process.exit(1);
}
