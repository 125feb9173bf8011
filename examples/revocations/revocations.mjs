// Follows the revocation feed of Keywheel: Node.js 20 or later, and nothing else.
//
//   const revocations = follow("https://auth.example.com");
//   const { payload } = await jwtVerify(token, keys, rules); // as in docs/verify-tokens.md
//   if (revocations.covers(payload)) throw new Error("the session has ended");

/** Asks every half second; an answer that has not changed is empty. `stop()` ends it. */
export function follow(issuer, { every = 500 } = {}) {
  const url = new URL(`${issuer}/.well-known/keywheel/revocations`);
  const ended = new Map();
  let notBefore = 0;
  let etag;
  let timer;
  let stopped = false;
  let asOf = 0;

  async function read() {
    const asked = Date.now();
    const answer = await fetch(url, { headers: etag ? { "if-none-match": etag } : {}, signal: AbortSignal.timeout(2_000) });
    if (answer.status === 200) {
      const { revoked, next, more, ttl, ...rest } = await answer.json();
      for (const { sid, at } of revoked) ended.set(sid, at + ttl);
      notBefore = Math.max(notBefore, rest.notBefore ?? 0);
      // What follows is asked under another address, of which there is no copy yet.
      etag = url.searchParams.get("since") === next ? answer.headers.get("etag") : undefined;
      url.searchParams.set("since", next);
      if (more) return read();
    } else if (answer.status !== 304) {
      throw new Error(`the feed answers ${answer.status}`);
    }
    asOf = asked;
  }

  async function again() {
    // What cannot be read is not empty: what is known stays, and `age` grows.
    await read().catch(() => {});
    const now = Date.now() / 1000;
    for (const [sid, until] of ended) if (until < now) ended.delete(sid);
    wait();
  }
  function wait() {
    if (!stopped) timer = setTimeout(again, every);
  }
  const ready = read().finally(wait);

  return {
    /** Settles when the list was read for the first time. */
    ready,
    /** Whether a verified token is of a session that has ended. */
    covers: ({ sid, iat }) => ended.has(sid) || iat < notBefore,
    /** Milliseconds since the list was last known to be true: how late a revocation may be noticed. */
    age: () => Date.now() - asOf,
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
