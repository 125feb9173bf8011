// Can an independent client keep a session that is bound to its key, and a thief without the key do nothing with all of
// its tokens? Signs in with keys of both kinds, by the library `dpop`.
//   node dpop.mjs <endpoint, at the public URL of the server> <identifier> <password>
import { calculateThumbprint, generateKeyPair, generateProof } from "dpop";

const [endpoint, identifier, password] = process.argv.slice(2);
if (!password) {
  console.error("usage: node dpop.mjs <endpoint, at the public URL of the server> <identifier> <password>");
  process.exit(2);
}

// ---- A client ------------------------------------------------------------------------------------------------------

const PAYLOAD = "accessToken tokenType refreshToken session { id }";
const LOGIN = `mutation ($input: LoginInput!) { payload: login(input: $input) { ${PAYLOAD} } }`;
const REFRESH = `mutation ($input: RefreshTokenInput) { payload: refreshToken(input: $input) { ${PAYLOAD} } }`;
const ME = "{ me { id } }";
const credentials = { identifier, password };

/** Sends an operation once; the answer, what it tells of itself, and the nonce in it. */
async function send(query, input, headers = {}) {
  const response = await fetch(endpoint, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/graphql-response+json",
      origin: new URL(endpoint).origin,
      ...headers,
    },
    body: JSON.stringify({ query, variables: { input } }),
  });
  const { data, errors } = await response.json();
  return {
    status: response.status,
    data,
    payload: data?.payload,
    code: errors?.[0]?.extensions?.code,
    reason: errors?.[0]?.extensions?.reason,
    challenge: response.headers.get("www-authenticate"),
    nonce: response.headers.get("dpop-nonce"),
    cookie: response.headers.getSetCookie()[0]?.split(";")[0],
  };
}

class Client {
  constructor(keys) {
    this.keys = keys;
  }

  proof(token) {
    return generateProof(this.keys, endpoint, "POST", this.nonce, token);
  }

  /** With a fresh proof, and a second time if the server wants another nonce. */
  async send(query, input, token, headers = {}) {
    for (let first = true; ; first = false) {
      const authorization = token && { authorization: `DPoP ${token}` };
      const answer = await send(query, input, { dpop: await this.proof(token), ...authorization, ...headers });
      this.nonce = answer.nonce ?? this.nonce;
      if (answer.code !== "DPOP_NONCE_REQUIRED" || !first) return answer;
    }
  }
}

// ---- Checks --------------------------------------------------------------------------------------------------------

let passed = 0;
let failed = 0;

function check(name, ok, answer) {
  if (ok) passed += 1;
  else failed += 1;
  console.log(`${ok ? "ok" : "FAILED"}   ${name}${ok ? "" : `: ${JSON.stringify(answer)}`}`);
}

const refused = (answer, code, reason) => answer.code === code && (!reason || answer.reason === reason);

for (const algorithm of ["ES256", "Ed25519"]) {
  const owner = new Client(await generateKeyPair(algorithm));
  const is = (name, ...rest) => check(`${algorithm}: ${name}`, ...rest);

  let answer = await send(LOGIN, credentials, { dpop: await owner.proof() });
  is("a sign-in without a nonce is told one", refused(answer, "DPOP_NONCE_REQUIRED") && answer.nonce, answer);
  is("before anything ran", answer.status === 400 && answer.data === undefined, answer);

  const login = (answer = await owner.send(LOGIN, credentials));
  const { accessToken, refreshToken, tokenType } = login.payload ?? {};
  is("a sign-in with it begins a bound session", tokenType === "DPOP", answer);
  const claims = JSON.parse(Buffer.from(accessToken.split(".")[1], "base64url"));
  const thumbprint = await calculateThumbprint(owner.keys.publicKey);
  is("whose access token names the key", claims.cnf?.jkt === thumbprint, claims);

  answer = await owner.send(ME, undefined, accessToken);
  is("the access token works with a proof", answer.data?.me?.id, answer);
  answer = await owner.send(REFRESH, { refreshToken });
  is("the refresh token works with a proof", answer.payload?.tokenType === "DPOP", answer);
  const next = answer.payload;
  is("and is replaced", next?.refreshToken !== refreshToken && next?.session.id === login.payload.session.id, answer);
  answer = await owner.send(REFRESH, { refreshToken });
  is("a lost answer is given again", answer.payload?.refreshToken === next.refreshToken, answer);

  // A thief with all of the tokens and a key of their own.
  const thief = new Client(await generateKeyPair(algorithm));
  thief.nonce = owner.nonce;
  answer = await send(ME, undefined, { authorization: `Bearer ${next.accessToken}` });
  is("the access token is no bearer token", answer.status === 401 && refused(answer, "UNAUTHENTICATED"), answer);
  answer = await send(ME, undefined, { authorization: `DPoP ${next.accessToken}` });
  is("nor does it work without a proof", refused(answer, "DPOP_PROOF_INVALID", "PROOF_MISSING"), answer);
  is("and the challenge says so", answer.challenge?.startsWith('DPoP error="invalid_dpop_proof"'), answer);
  answer = await thief.send(ME, undefined, next.accessToken);
  is("nor with another key", refused(answer, "DPOP_PROOF_INVALID", "PROOF_BY_OTHER_KEY"), answer);
  answer = await send(REFRESH, { refreshToken: next.refreshToken });
  is("the refresh token does not work without a proof", refused(answer, "DPOP_PROOF_INVALID", "PROOF_MISSING"), answer);
  for (const stolen of [next.refreshToken, refreshToken]) {
    answer = await thief.send(REFRESH, { refreshToken: stolen });
    is("nor with another key", refused(answer, "DPOP_PROOF_INVALID", "PROOF_BY_OTHER_KEY"), answer);
  }

  // A thief who sees requests.
  const seen = { dpop: await owner.proof(next.accessToken), authorization: `DPoP ${next.accessToken}` };
  answer = await send(ME, undefined, seen);
  is("a proof is good", answer.data?.me?.id, answer);
  answer = await send(ME, undefined, seen);
  is("once", refused(answer, "DPOP_PROOF_INVALID", "PROOF_REPLAYED"), answer);
  const dpop = await owner.proof();
  const [one, two] = [
    await send(REFRESH, { refreshToken: next.refreshToken }, { dpop }),
    await send(REFRESH, { refreshToken: next.refreshToken }, { dpop }),
  ];
  is("so is one for a refresh", one.payload && refused(two, "DPOP_PROOF_INVALID", "PROOF_REPLAYED"), two);

  answer = await owner.send(ME, undefined, next.accessToken);
  is("nothing of this ended the session", answer.data?.me?.id, answer);
  const body = "mutation { payload: logout { session { id } } }";
  answer = await owner.send(body, undefined, next.accessToken);
  is("its owner does", answer.payload?.session?.id === login.payload.session.id, answer);

  // The same with a cookie.
  answer = await owner.send(LOGIN, { ...credentials, delivery: "COOKIE" });
  is("a session in a cookie is bound too", answer.payload?.tokenType === "DPOP" && answer.cookie, answer);
  const { cookie } = answer;
  answer = await send(REFRESH, undefined, { cookie });
  is("its cookie is nothing without a proof", refused(answer, "DPOP_PROOF_INVALID", "PROOF_MISSING"), answer);
  is("and stays", answer.cookie === undefined, answer);
  answer = await owner.send(REFRESH, undefined, undefined, { cookie });
  is("and is renewed with one", answer.payload?.tokenType === "DPOP" && answer.cookie !== cookie, answer);
  await send("mutation { logout { session { id } } }", undefined, { cookie: answer.cookie });
}

console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
