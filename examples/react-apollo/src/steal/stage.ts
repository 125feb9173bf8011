/**
 * The stage: real sessions, real calls, and a clock. It lives outside of React, so that a render more or less is nothing to it.
 */
import { end, numberOf, prepare, refresh, signIn, whoAmI, type Wallet } from "./wallet";
import { EMPTY, tell, type Actor, type Answer, type Event, type Story } from "./story";
import { SCRIPTS, type ScriptName, type Step } from "./scripts";

export interface Snapshot {
  readonly story: Story;
  /** When the story began, as a time of `performance.now()`. */
  readonly began: number;
  /** Sessions that wait for their story. */
  readonly spare: number;
  readonly playing?: ScriptName;
  /** While a script waits: from when until when, so that the page can draw it. */
  readonly waiting?: { readonly from: number; readonly until: number; readonly why: string };
  /** The next answer to the owner will be thrown away. */
  readonly losing: boolean;
  readonly busy: boolean;
}

type Call = Omit<Extract<Event, { kind: "refresh" }>, "at" | "answer">;

export class Stage {
  snapshot: Snapshot = { story: EMPTY, began: 0, spare: 0, losing: false, busy: false };
  readonly #listeners = new Set<() => void>();
  #spare: Wallet[] = [];
  #wallets: Partial<Record<Actor, Wallet>> = {};
  #stop = new AbortController();

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /**
   * Signs in for one session, and, since the password is at hand now and is kept nowhere, for one each of the other stories.
   * One after the other: a wrong password is one wrong password.
   */
  async supply(identifier: string, password: string): Promise<void> {
    this.#spare.push(await signIn(identifier, password));
    const more = await Promise.allSettled([signIn(identifier, password), signIn(identifier, password)]);
    for (const one of more) if (one.status === "fulfilled") this.#spare.push(one.value);
    this.#show({ spare: this.#spare.length });
  }

  /** Clears the stage: the next session begins. The last one is ended, if it still lives. */
  begin(): void {
    this.#strike();
    const wallet = this.#spare.shift();
    if (!wallet) throw new Error("There is no session left.");
    this.#wallets = { owner: wallet };
    this.#show({ story: EMPTY, began: performance.now(), spare: this.#spare.length, losing: false });
    this.#tell({ kind: "signIn", at: 0, token: numberOf(wallet) });
  }

  /** Everything that the owner has stored, by value. */
  steal(): void {
    const { owner } = this.#wallets;
    if (!owner) return;
    this.#wallets.thief = { ...owner };
    this.#tell({ kind: "copy", at: this.#now(), token: numberOf(owner), withKey: owner.pendingKey !== undefined });
  }

  lose(losing: boolean): void {
    this.#show({ losing });
  }

  async refresh(actor: Actor): Promise<void> {
    const before = this.#wallets[actor];
    if (!before || this.snapshot.busy) return;
    const { began } = this.snapshot;
    const sent = prepare(before);
    this.#wallets[actor] = sent; // stored before it is sent
    this.#show({ busy: true });
    const outcome = await refresh(sent);
    if (began !== this.snapshot.began) return;
    const lost = actor === "owner" && this.snapshot.losing && "ok" in outcome;
    this.#show({ busy: false, ...(lost && { losing: false }) });

    const again = before.pendingKey !== undefined;
    const call: Call = { kind: "refresh", actor, sent: numberOf(before), key: sent.pendingKey.slice(0, 4), again };
    if ("refused" in outcome) {
      this.#tell({ ...call, at: this.#now(), answer: { kind: "refused", error: outcome.refused } });
      if (outcome.refused.code === "REFRESH_TOKEN_REUSED") await this.#tryAccessTokens();
    } else if (lost) {
      this.#tell({ ...call, at: this.#now(), answer: { kind: "lost" } });
    } else {
      this.#wallets[actor] = outcome.ok; // the new token in, the key out, in one write
      this.#tell({ ...call, at: this.#now(), answer: this.#read(numberOf(outcome.ok), again) });
    }
  }

  async play(name: ScriptName): Promise<void> {
    this.begin();
    const { signal } = this.#stop;
    this.#show({ playing: name });
    for (const step of SCRIPTS[name].steps) {
      await this.#wait(step);
      if (signal.aborted) return;
      if (step.act === "steal") this.steal();
      else {
        if (step.act === "lose") this.lose(true);
        await this.refresh(step.act === "thief" ? "thief" : "owner");
      }
      if (signal.aborted) return;
    }
    this.#end("playing");
  }

  /** From here on by hand. */
  pause(): void {
    this.#stop.abort();
    this.#stop = new AbortController();
    this.#end("playing", "waiting");
  }

  /** Nobody looks any more: all sessions of this page end. */
  leave(): void {
    this.#strike();
    this.#spare.forEach(end);
    this.#spare = [];
    this.#show({ story: EMPTY, spare: 0 });
  }

  #strike(): void {
    this.pause();
    const { owner, thief } = this.#wallets;
    this.#wallets = {};
    this.#show({ busy: false });
    if (this.snapshot.story.ended) return;
    // Whoever has the current token; the other one's would look like what it is.
    const live = [owner, thief].filter((wallet) => wallet !== undefined).sort((a, b) => numberOf(b) - numberOf(a))[0];
    if (live) end(live);
  }

  #read(got: number, again: boolean): Answer {
    if (got > this.snapshot.story.current) return { kind: "rotated", got };
    return { kind: "repeated", got, why: again ? "same key" : "race window" };
  }

  /** The refresh tokens are worthless; are the access tokens? */
  async #tryAccessTokens(): Promise<void> {
    const { began } = this.snapshot;
    const { owner, thief } = this.#wallets;
    const [ofOwner, ofThief] = await Promise.all([owner && whoAmI(owner), thief && whoAmI(thief)]);
    if (began !== this.snapshot.began) return;
    const said = (outcome: typeof ofOwner) => (!outcome ? undefined : "refused" in outcome ? outcome.refused : ("good" as const));
    const [a, b] = [said(ofOwner), said(ofThief)];
    this.#tell({ kind: "over", at: this.#now(), access: { ...(a && { owner: a }), ...(b && { thief: b }) } });
  }

  #wait({ after, why }: Step): Promise<void> {
    const from = performance.now();
    const { signal } = this.#stop;
    if (why) this.#show({ waiting: { from, until: from + after, why } });
    return new Promise((done) => {
      const over = (): void => {
        clearTimeout(timer);
        if (!signal.aborted) this.#end("waiting");
        done();
      };
      const timer = setTimeout(over, after);
      signal.addEventListener("abort", over, { once: true });
    });
  }

  #now(): number {
    return performance.now() - this.snapshot.began;
  }

  #tell(event: Event): void {
    this.#show({ story: tell(this.snapshot.story, event) });
  }

  #show(change: Partial<Snapshot>): void {
    this.snapshot = { ...this.snapshot, ...change };
    for (const listener of this.#listeners) listener();
  }

  #end(...names: ("playing" | "waiting")[]): void {
    const next = { ...this.snapshot };
    for (const name of names) delete (next as Record<string, unknown>)[name];
    this.snapshot = next;
    for (const listener of this.#listeners) listener();
  }
}
