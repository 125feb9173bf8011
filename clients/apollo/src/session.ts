import { headersOf, type Access } from "./access.js";
import { endsSession, isPassing, KeywheelError, type ErrorInfo } from "./errors.js";
import type { KeywheelOptions, SignOutReason } from "./options.js";
import { sameUser, UNKNOWN, type State } from "./state.js";
import { memory, pageStorage, randomKey, recordOf, sameSignIn, Store, type TokenRecord } from "./store.js";
import { alone, browserTabs, type Message, type Scheme, type Tabs } from "./tabs.js";
import { call, LOGIN, LOGOUT, REFRESH, type AuthPayload, type Credentials, type SignIn } from "./transport.js";

/** What a request is sent with, and what was known then. */
export interface Ticket {
  headers: Record<string, string>;
  generation: number;
  access: Access | undefined;
  state: State;
}

/** Calls of one refresh or logout before it is given up for now. */
const ATTEMPTS = 3;
/** Milliseconds that a refresh waits because the server said so; if it is longer, the refresh fails at once. */
const LONGEST_WAIT = 5_000;
/** Milliseconds that a server can keep a client away at most. */
const LONGEST_BREAK = 60_000;
/** Milliseconds to wait for the news of another tab after its lock: when it has failed, as it seems, and when it has not. */
const [NO_NEWS, NEWS] = [300, 2_000];

/**
 * A session: the access token in memory, the stored record, the refresh, and what other tabs say of it.
 *
 * Two things protect it from what comes late. Every sign-in and sign-out makes a new `#state` object: what was begun
 * under another one changes nothing any more. Every new access token raises `#generation`: whoever was refused with an
 * older one sends again and does not refresh.
 */
export class Session {
  readonly #options: KeywheelOptions;
  readonly #store: Store;
  readonly #tabs: Tabs;
  readonly #cookie: boolean;
  readonly #listeners = new Set<() => void>();
  #state = UNKNOWN;
  #generation = 0;
  #serial: number | undefined;
  #access: Access | undefined;
  #loading: Promise<void> | undefined;
  #flight: Promise<void> | undefined;
  #abort = new AbortController();
  #notBefore = 0;
  #trouble: unknown;
  #socketGeneration = -1;
  #socketState = UNKNOWN;
  #arrived = (): void => undefined;

  /** Touches nothing yet: no storage, no channel, no timer. */
  constructor(options: KeywheelOptions) {
    const { storage = "cookie", name = "keywheel" } = options;
    this.#options = options;
    this.#cookie = storage === "cookie";
    const inPage = typeof document !== "undefined" && storage !== "memory";
    const adapter = typeof storage === "object" ? storage : inPage ? pageStorage() : memory();
    this.#store = new Store(adapter, name);
    this.#tabs = options.tabs ?? (inPage ? browserTabs(name, name) : alone);
  }

  get state(): State {
    return this.#state;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Looks at what is stored, and asks Keywheel if that does not tell. Never fails: then the state stays unknown. */
  async ready(): Promise<State> {
    await this.#load().catch(() => undefined);
    if (this.#state === UNKNOWN && this.#canRefresh) await this.refresh().catch(() => undefined);
    return this.#state;
  }

  // ---- Signing in and out ------------------------------------------------------------------------------------------

  async login({ identifier, ...rest }: Credentials): Promise<SignIn> {
    await this.#load();
    const delivery = this.#cookie ? "COOKIE" : "BODY";
    const deviceToken = await this.#store.device(identifier);
    // The answer of a refresh could overtake the one of this sign-in and replace its cookie: one after the other.
    this.#abort.abort();
    return this.#tabs.exclusive(async () => {
      const signIn = await call<SignIn>(this.#options, LOGIN, { identifier, ...rest, deviceToken, delivery });
      await this.adopt(signIn, identifier);
      return signIn;
    });
  }

  async adopt(payload: AuthPayload, identifier?: string): Promise<void> {
    if (this.#options.dpop && payload.tokenType !== "DPOP") throw new Error("The session is not bound to the key.");
    await this.#load();
    const record = recordOf(payload, payload.session?.id ?? randomKey());
    const { before } = await this.#store.change(() => record);
    if (identifier !== undefined && payload.deviceToken) await this.#store.keepDevice(identifier, payload.deviceToken);
    this.#take(payload, record);
    const replaced = before.session !== record.session && before.refreshToken;
    if (replaced) call(this.#options, LOGOUT, { refreshToken: replaced }).catch(() => undefined);
  }

  async logout(): Promise<void> {
    await this.#load();
    this.#leave("LOGOUT"); // whatever the server says
    const { before } = await this.#store.change(() => ({ out: "LOGOUT" }));
    const { refreshToken } = before;
    if (!this.#cookie && !refreshToken) return;
    this.#notBefore = 0;
    await this.#insist(() => this.#tabs.exclusive(() => call(this.#options, LOGOUT, { refreshToken })));
  }

  // ---- Requests ----------------------------------------------------------------------------------------------------

  /** The headers for a request. Waits for a new access token only if there is none that is good. */
  async authorize(open: boolean): Promise<Ticket> {
    await this.#load();
    const begun = this.#state;
    if (!open) await this.#freshen();
    const state = this.#state;
    if (begun.status === "signedIn" && state.status === "signedIn" && !sameUser(begun, state)) {
      throw new KeywheelError("Somebody else has signed in meanwhile.", { code: "UNAUTHENTICATED" });
    }
    const access = open ? undefined : this.#access;
    return { headers: headersOf(access), generation: this.#generation, access, state };
  }

  /** After UNAUTHENTICATED: whether to send the request again. Rejects when that cannot be told now. */
  async mend({ access, generation, state }: Ticket, { reason }: ErrorInfo): Promise<boolean> {
    if (!access) return false;
    if (generation === this.#generation) {
      if (reason === "SESSION_REVOKED") await this.#revoked(state);
      else await this.refresh();
    }
    return this.#access !== undefined && sameUser(state, this.#state);
  }

  /** Over; unless a sign-in is under way, in any tab, whose cookie replaces that session: its answer may be the slower one. */
  async #revoked(state: State): Promise<void> {
    await this.#tabs.exclusive((waited) => this.#news(this.#generation, waited));
    if (state === this.#state) await this.#end("SESSION_REVOKED", (now) => now.session === state.session);
  }

  /**
   * For graphql-ws, which asks before each connection. A token that already opened one was probably refused: it is
   * replaced, whatever the clock says. Never fails, since that would close the socket for good.
   */
  async connectionParams(): Promise<Record<string, string>> {
    try {
      await this.#load();
      if (this.#generation === this.#socketGeneration && this.#canRefresh) await this.refresh();
      else await this.#freshen();
    } catch {
      // The server will say so, and graphql-ws asks again.
    }
    this.#socketGeneration = this.#generation;
    this.#socketState = this.#state;
    return headersOf(this.#access);
  }

  /** A socket was closed, maybe since the session is over. Unless it was opened for another one. */
  async closed(event: unknown): Promise<void> {
    const state = this.#socketState;
    const revoked = (event as CloseEvent | undefined)?.reason === "SESSION_REVOKED";
    if (revoked && state === this.#state && state.status === "signedIn") await this.#revoked(state);
  }

  /** Stops listening to other tabs and gives up what is under way. */
  dispose(): void {
    this.#abort.abort();
    this.#tabs.close();
    this.#listeners.clear();
  }

  // ---- Refreshing --------------------------------------------------------------------------------------------------

  /** One at a time. Rejects when there is no telling now whether the session goes on. */
  refresh(): Promise<void> {
    if (this.#flight) return this.#flight;
    const flight = this.#refresh().finally(() => {
      if (this.#flight === flight) this.#flight = undefined;
    });
    return (this.#flight = flight);
  }

  /** For pages whose server has signed them in: looks at the cookie again, though this page was signed out. */
  async restore(): Promise<State> {
    await this.#load();
    if (this.#cookie && this.#state.status === "signedOut") {
      await this.#store.change(() => ({}));
      this.#set(UNKNOWN);
    }
    if (this.#canRefresh) await this.refresh();
    return this.#state;
  }

  get #canRefresh(): boolean {
    return this.#state.status !== "signedOut" && (!this.#cookie || typeof document !== "undefined");
  }

  async #freshen(): Promise<void> {
    for (let round = 0; round < 2 && this.#canRefresh; round += 1) {
      const left = this.#access ? this.#access.deadline - performance.now() : 0;
      if (left > 0) {
        if (left < Math.min(30_000, this.#access!.lifetime / 10)) this.refresh().catch(() => undefined);
        return;
      }
      await this.refresh(); // may tell that the stored session is another one: then once more, for that
      if (this.#access) return;
    }
  }

  async #refresh(): Promise<void> {
    await this.#load();
    const state = this.#state;
    const generation = this.#generation;
    const job = async (waited: boolean) => {
      await this.#news(generation, waited);
      if (state === this.#state && generation === this.#generation) await this.#exchange(state);
    };
    try {
      await this.#insist(() => this.#tabs.exclusive(job));
    } catch (error) {
      if (state === this.#state) throw error; // else it was about a session that nobody asks for any more
    }
  }

  /** One call, with a key that was stored before it and is the same when the call is repeated. */
  async #exchange(state: State): Promise<void> {
    // Written also when there is a key: this tab may see an old storage, and the key be gone from the true one. The count makes it
    // another text, which browsers do not skip.
    const { after: sent } = await this.#store.change((now) =>
      now.out ? now : { ...now, retryKey: now.retryKey ?? randomKey(), tries: (now.tries ?? 0) + 1 },
    );
    if (state !== this.#state) return;
    if (sent.out) return this.#leave(sent.out);
    const unchanged = (now: TokenRecord) => sameSignIn(now, sent) && now.refreshToken === sent.refreshToken;

    let payload: AuthPayload;
    try {
      const { refreshToken, retryKey } = sent;
      this.#abort = new AbortController();
      payload = await call(this.#options, REFRESH, { refreshToken, retryKey }, this.#abort);
    } catch (error) {
      if (!(error instanceof KeywheelError) || !endsSession(error) || state !== this.#state) throw error;
      // Unless another tab has got on with it meanwhile.
      return this.#end(error.code as SignOutReason, unchanged);
    }

    // With a cookie the answer may be for another session: somebody signed in where this page could not hear it.
    const told = payload.session?.id;
    const id = sent.user === undefined ? (sent.session ?? told) : (told ?? sent.session);
    const next = { ...recordOf(payload, id ?? randomKey()), serial: (sent.serial ?? 0) + 1 };
    const { after } = await this.#store.change((now) => (unchanged(now) ? next : now));
    if (state === this.#state && sameSignIn(after, next)) this.#take(payload, after);
  }

  /** Several times while it is only the network, or a server that asks for patience. */
  async #insist<T>(job: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      const wait = this.#notBefore - performance.now();
      if (wait > LONGEST_WAIT) throw this.#trouble;
      if (wait > 0) await pause(wait);
      try {
        return await job();
      } catch (error) {
        if (!(error instanceof KeywheelError) || !isPassing(error)) throw error;
        const told = error.retryAfter && Math.min(error.retryAfter * 1000, LONGEST_BREAK);
        this.#notBefore = performance.now() + (told ?? 2 ** attempt * (100 + 100 * Math.random()));
        this.#trouble = error;
        if (attempt === ATTEMPTS) throw error;
      }
    }
  }

  /** Another tab has just refreshed: its news are on the way, but its lock may be faster, and what it has stored. */
  async #news(generation: number, waited: boolean): Promise<void> {
    const { retryKey, serial } = await this.#store.read();
    const behind = this.#tabs !== alone && serial !== this.#serial;
    if (generation !== this.#generation || !(waited || behind)) return;
    await new Promise<void>((resolve) => {
      this.#arrived = resolve;
      setTimeout(resolve, retryKey ? NO_NEWS : NEWS);
    });
  }

  // ---- What is known -----------------------------------------------------------------------------------------------

  #load(): Promise<void> {
    return (this.#loading ??= this.#look().catch((error: unknown) => {
      this.#loading = undefined;
      throw error;
    }));
  }

  async #look(): Promise<void> {
    const record = await this.#store.read();
    this.#tabs.listen((message) => void this.#hear(message).catch(() => undefined));
    if (record.out) this.#set({ status: "signedOut", reason: record.out });
    else if (record.session && (this.#cookie || record.refreshToken)) this.#enter(record);
    else if (!this.#cookie) this.#set({ status: "signedOut" });
  }

  /** What another tab tells. Storage knows better whether it is still true. */
  async #hear(message: Message): Promise<void> {
    const state = this.#state;
    if (message.kind === "out") {
      if (message.session === state.session) this.#leave(message.reason, false);
      return;
    }
    const record = await this.#store.read();
    if (state !== this.#state) return;
    if (message.kind === "stored") {
      if (record.out && state.status !== "signedOut") this.#leave(record.out, false);
      else if (record.session && !record.out && record.session !== state.session) this.#enter(record);
    } else if (message.kind === "token" && !record.out && (record.session ?? message.session) === message.session) {
      this.#enter(message, message);
    }
  }

  /** Takes tokens from the server, and shares them. */
  #take(payload: AuthPayload, record: TokenRecord): void {
    const { session = "", user, serial } = record;
    const scheme: Scheme = payload.tokenType === "DPOP" ? "DPoP" : "Bearer";
    const access = { token: payload.accessToken, scheme, lifetime: payload.expiresIn * 1000 };
    this.#enter(record, access);
    this.#tabs.post({ kind: "token", session, ...(user && { user }), ...(serial && { serial }), ...access });
  }

  /** Goes on with this session, which may be a new one. */
  #enter({ session = "", user, serial }: Pick<TokenRecord, "session" | "user" | "serial">, access?: Omit<Access, "deadline">): void {
    const before = this.#state;
    const state: State = { status: "signedIn", session, ...(user && { user }) };
    const other = before.status !== "signedIn" || before.session !== session;
    if (other) this.#forget();
    this.#serial = serial;
    if (access) {
      const { token, scheme, lifetime } = access;
      this.#access = { token, scheme, lifetime, deadline: performance.now() + lifetime };
    }
    this.#next();
    if (!other) return;
    this.#set(state);
    if (before.status === "signedIn" && !sameUser(before, state)) this.#tell("REPLACED");
  }

  /** Signed out: here at once, and in the other tabs. */
  #leave(reason: SignOutReason, post = true): void {
    const { status, session } = this.#state;
    this.#forget();
    this.#set({ status: "signedOut", reason });
    if (session && post) this.#tabs.post({ kind: "out", session, reason });
    if (status === "signedIn") this.#tell(reason);
  }

  /** The session is over, unless storage has another one by now. */
  async #end(reason: SignOutReason, still: (now: TokenRecord) => boolean): Promise<void> {
    const state = this.#state;
    const { after } = await this.#store.change((now) => (still(now) ? { out: reason } : now));
    if (state !== this.#state) return;
    if (after.out) this.#leave(after.out);
    else if (after.session !== state.session) this.#enter(after);
  }

  #forget(): void {
    this.#abort.abort();
    this.#access = undefined;
    this.#flight = undefined;
    this.#next();
  }

  #next(): void {
    this.#generation += 1;
    this.#arrived();
  }

  #set(state: State): void {
    this.#state = state;
    for (const listener of this.#listeners) {
      try {
        listener();
      } catch (error) {
        void Promise.reject(error); // the app's, and no reason to leave the other tabs signed in
      }
    }
  }

  /** After all is settled, so that the app may call back; and what it throws is its own. */
  #tell(reason: SignOutReason): void {
    queueMicrotask(() => this.#options.onSignedOut?.(reason));
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
