import { Kind, parse, type OperationDefinitionNode } from "graphql";

/** What becomes of one request: it arrives or not, and so does its answer; or somebody else answers. */
export type Fate = "arrives" | "request lost" | "answer lost" | Response;

interface Session {
  id: string;
  user: string;
  delivery: string;
  generation: number;
  retryKey: string | undefined;
  ended: "" | "revoked" | "reused";
}

/**
 * A server that knows the rotation rule and nothing of forgiveness: a token that was replaced is taken again with the
 * retry key of its rotation, and with anything else the session ends. A refresh without a key is a mistake.
 */
export class FakeServer {
  readonly url = "http://keywheel.test/graphql";
  accessTtl = 300; // seconds
  /** How a refusal looks: as with the newer media type, as with the older one, or as from a careless server. */
  style: "modern" | "legacy" | "401 json" = "modern";
  /** Refuses every access token. */
  stubborn = false;
  /** Milliseconds before an answer. */
  latency = 0;
  /** Decides about a request, by the names of its fields. */
  fate: (field: string) => Fate = () => "arrives";

  readonly counts = { login: 0, logout: 0, refreshToken: 0, me: 0, act: 0 };
  /** Mutations that were executed. */
  acts: string[] = [];
  readonly requests: { field: string; headers: Headers; variables: any; credentials: string | undefined }[] = [];
  readonly sessions = new Map<string, Session>();
  readonly usedKeys = new Map<string, string>();
  readonly mistakes: string[] = [];
  #issued = 0;
  readonly #access = new Map<string, { session: Session; expires: number }>();

  /** A browser's way to the server; `jar` holds its cookie. */
  fetch(jar: { cookie?: string } = {}): typeof fetch {
    return async (_input, init = {}) => {
      const { query, variables } = JSON.parse(String(init.body));
      const operation = parse(query).definitions[0] as OperationDefinitionNode;
      const node = operation.selectionSet.selections[0]!;
      if (node.kind !== Kind.FIELD) throw new Error("a field was expected");
      const field = node.name.value;
      const headers = new Headers(init.headers);
      this.requests.push({ field, headers, variables, credentials: init.credentials });
      const fate = this.fate(field);
      const withJar = init.credentials === "include" ? jar : {};

      const aborted = new Promise<never>((_, reject) => {
        const fail = () => reject(new DOMException("aborted", "AbortError"));
        if (init.signal?.aborted) fail();
        init.signal?.addEventListener("abort", fail);
      });
      const work = async () => {
        if (fate instanceof Response) return fate.clone();
        if (fate === "request lost") throw new TypeError("Failed to fetch");
        const { answer, cookie } = this.#answer(field, variables?.input ?? {}, headers, withJar.cookie);
        if (this.latency) await new Promise((resolve) => setTimeout(resolve, this.latency));
        if (fate === "answer lost") throw new TypeError("Failed to fetch");
        if (cookie !== undefined) withJar.cookie = cookie;
        const alias = node.alias?.value ?? field;
        return this.#respond(alias, answer);
      };
      return Promise.race([work(), aborted]);
    };
  }

  /** Ends a session, as from another device. */
  revoke(id: string): void {
    this.sessions.get(id)!.ended = "revoked";
  }

  /** Every access token that was given out is worth nothing from now on. */
  forgetAccessTokens(): void {
    this.#access.clear();
  }

  get live(): Session[] {
    return [...this.sessions.values()].filter((session) => !session.ended);
  }

  #answer(field: string, input: any, headers: Headers, cookie: string | undefined): { answer: any; cookie?: string } {
    if (field in this.counts) this.counts[field as keyof typeof this.counts] += 1;
    if (field === "login") {
      if (input.password !== "right") return { answer: { code: "INVALID_CREDENTIALS" } };
      const id = `ses_${this.sessions.size + 1}`;
      const session: Session = {
        id,
        user: `usr_${input.identifier}`,
        delivery: input.delivery,
        generation: 0,
        retryKey: undefined,
        ended: "",
      };
      this.sessions.set(id, session);
      const replaced = cookie && this.sessions.get(cookie.split("/")[0]!);
      if (replaced && session.delivery === "COOKIE") replaced.ended = "revoked";
      return this.#tokens(session, `kwd_${input.identifier}`);
    }
    if (field === "refreshToken") {
      const [id, generation] = (input.refreshToken ?? cookie ?? "/").split("/");
      const session = this.sessions.get(id);
      const refused = (code: string) => ({ answer: { code }, ...(cookie && { cookie: "" }) });
      if (!/^[\w-]{22,128}$/.test(input.retryKey ?? "")) this.mistakes.push("a refresh without a retry key");
      if (!session) return refused("REFRESH_TOKEN_INVALID");
      if (session.ended) return refused(session.ended === "reused" ? "REFRESH_TOKEN_REUSED" : "REFRESH_TOKEN_INVALID");
      const usedWith = this.usedKeys.get(input.retryKey) ?? `${id}/${generation}`;
      this.usedKeys.set(input.retryKey, usedWith);
      if (usedWith !== `${id}/${generation}` && session.delivery === "BODY") this.mistakes.push("a key for two tokens");
      if (Number(generation) === session.generation) {
        session.generation += 1;
        session.retryKey = input.retryKey;
        return this.#tokens(session);
      }
      if (Number(generation) === session.generation - 1 && input.retryKey === session.retryKey)
        return this.#tokens(session);
      session.ended = "reused";
      return refused("REFRESH_TOKEN_REUSED");
    }
    if (field === "logout") {
      const session = this.sessions.get((input.refreshToken ?? cookie ?? "").split("/")[0]);
      if (session) session.ended = "revoked";
      return { answer: { data: { session: session ? { id: session.id } : null } }, cookie: "" };
    }
    const [scheme, token] = (headers.get("authorization") ?? "").split(" ");
    if (field === "settings") return { answer: { data: { passwordMinLength: 8 } } };
    if (!token && field === "me") return { answer: { data: null } };
    const access = this.#access.get(token ?? "");
    const reason = !token ? "TOKEN_MISSING" : access?.session.ended ? "SESSION_REVOKED" : "TOKEN_EXPIRED";
    if (
      this.stubborn ||
      !access ||
      scheme !== "Bearer" ||
      access.session.ended ||
      access.expires <= performance.now()
    ) {
      return { answer: { code: "UNAUTHENTICATED", reason } };
    }
    if (field === "act") this.acts.push(access.session.user);
    return { answer: { data: { id: access.session.user, __typename: "User" } } };
  }

  #tokens(session: Session, deviceToken: string | null = null): { answer: any; cookie?: string } {
    const accessToken = `at_${(this.#issued += 1)}`;
    this.#access.set(accessToken, { session, expires: performance.now() + this.accessTtl * 1000 });
    const refreshToken = `${session.id}/${session.generation}`;
    const inCookie = session.delivery === "COOKIE";
    const data = {
      accessToken,
      expiresIn: this.accessTtl,
      tokenType: "BEARER",
      refreshToken: inCookie ? null : refreshToken,
      deviceToken: inCookie ? null : deviceToken,
      session: { id: session.id },
      user: { id: session.user, email: null, username: null, emailVerified: true, roles: [] },
    };
    return { answer: { data }, ...(inCookie && { cookie: refreshToken }) };
  }

  #respond(name: string, answer: any): Response {
    const type = this.style === "modern" ? "application/graphql-response+json" : "application/json";
    if ("data" in answer) return json(200, { data: { [name]: answer.data } }, type);
    const early = answer.code === "UNAUTHENTICATED";
    const errors = [{ message: "refused", extensions: answer }];
    return json(early && this.style !== "legacy" ? 401 : 200, early ? { errors } : { errors, data: null }, type);
  }
}

/** An answer by somebody else, such as a proxy, or with a code of the server. */
export function json(
  status: number,
  body: unknown,
  type = "application/json",
  headers: Record<string, string> = {},
): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": `${type}; charset=utf-8`, ...headers },
  });
}

/** A refusal with a code, such as a server that asks for patience. */
export function refused(status: number, extensions: object, headers: Record<string, string> = {}): Response {
  return json(status, { errors: [{ message: "refused", extensions }] }, "application/graphql-response+json", headers);
}
