/**
 * What happened to a session, as pure data: the events, who holds which token, and the verdict in plain words. Nothing in here
 * knows the outcome beforehand; it is told by the answers of the server.
 */
import type { ErrorInfo } from "@keywheel/apollo";

export type Actor = "owner" | "thief";

/** Within it the server takes the token before the current one from anybody: `tokens.race_window_ms`. */
export const RACE_WINDOW_MS = 5000;

/** What came back for a refresh. */
export type Answer =
  /** A new token. */
  | { readonly kind: "rotated"; readonly got: number }
  /** The token that was handed out before, once more. */
  | { readonly kind: "repeated"; readonly got: number; readonly why: "same key" | "race window" }
  /** The server has answered, and nobody heard it. */
  | { readonly kind: "lost" }
  | { readonly kind: "refused"; readonly error: ErrorInfo };

export type Event = { readonly at: number } & (
  | { readonly kind: "signIn"; readonly token: number }
  | { readonly kind: "copy"; readonly token: number; readonly withKey: boolean }
  | { readonly kind: "refresh"; readonly actor: Actor; readonly sent: number; readonly key: string; readonly again: boolean; readonly answer: Answer }
  | { readonly kind: "over"; readonly access: Readonly<Partial<Record<Actor, ErrorInfo | "good">>> }
);

export interface Holder {
  /** Number of the token it has. */
  readonly token: number;
  /** It has learned that the session is over. */
  readonly out: boolean;
  /** A call of its own is without an answer. */
  readonly pending: boolean;
}

export interface Story {
  readonly events: readonly Event[];
  readonly owner?: Holder;
  readonly thief?: Holder;
  /** The token that the server takes now. */
  readonly current: number;
  readonly rotatedAt: number;
  readonly copiedAt?: number;
  /** When the server ended the session, and who made it do so. */
  readonly ended?: { readonly at: number; readonly by: Actor };
}

export const EMPTY: Story = { events: [], current: 0, rotatedAt: -Infinity };

/** Codes that end a session for the client that gets them. */
const SIGNED_OUT = ["REFRESH_TOKEN_INVALID", "REFRESH_TOKEN_REUSED", "ACCOUNT_BLOCKED"];

export function tell(story: Story, event: Event): Story {
  const next: Story = { ...story, events: [...story.events, event] };
  switch (event.kind) {
    case "signIn":
      return { ...next, owner: { token: event.token, out: false, pending: false }, current: event.token };
    case "copy":
      return { ...next, thief: { token: event.token, out: false, pending: event.withKey }, copiedAt: event.at };
    case "refresh":
      return refreshed(next, event);
    case "over":
      return next;
  }
}

function refreshed(story: Story, { at, actor, sent, answer }: Extract<Event, { kind: "refresh" }>): Story {
  const holder = story[actor]!;
  switch (answer.kind) {
    case "rotated":
      return { ...story, [actor]: { token: answer.got, out: false, pending: false }, current: answer.got, rotatedAt: at };
    case "repeated":
      return { ...story, [actor]: { token: answer.got, out: false, pending: false } };
    case "lost":
      // It would have been a new token, unless the call was a repetition itself.
      return { ...story, [actor]: { ...holder, pending: true }, ...(sent === story.current && { current: sent + 1, rotatedAt: at }) };
    case "refused": {
      if (!SIGNED_OUT.includes(answer.error.code)) return { ...story, [actor]: { ...holder, pending: true } };
      const first = !story.ended && answer.error.code === "REFRESH_TOKEN_REUSED";
      return { ...story, [actor]: { ...holder, out: true, pending: false }, ...(first && { ended: { at, by: actor } }) };
    }
  }
}

export interface Verdict {
  readonly tone: "calm" | "alarm" | "caught" | "good";
  readonly title: string;
  readonly text: string;
}

/** What this means, for somebody who has never heard of rotation. */
export function verdict(story: Story): Verdict {
  const { owner, thief, ended, current } = story;
  const last = story.events.findLast((event) => event.kind === "refresh");
  if (!owner) {
    return { tone: "calm", title: "Nothing has happened yet.", text: "Choose a story and let it play. Every call in it is a real one." };
  }
  if (ended) return caught(story, ended);
  if (last?.answer.kind === "refused") return refusedFor(last.actor, last.answer.error);
  if (!thief) return alone(owner, last);
  if (!last || (story.copiedAt ?? 0) > last.at) {
    return {
      tone: "alarm",
      title: `The thief has a copy of token ${thief.token}.`,
      text: "Nobody can tell yet: it is the same token, letter by letter. The next refresh replaces it, and then one of the two has an old one.",
    };
  }
  if (thief.token === owner.token && !owner.pending) {
    return {
      tone: "alarm",
      title: `Both hold token ${owner.token} now.`,
      text: "Two calls came within five seconds, as from two tabs of one browser, and the server forgave that. Go on: the next refresh that misses those five seconds ends it.",
    };
  }
  if (thief.token === current) {
    return {
      tone: "alarm",
      title: "The thief is in, for now.",
      text: `The thief has token ${thief.token}, and the owner’s token ${owner.token} is an old one. As soon as the owner’s app refreshes, by itself, the server will see it.`,
    };
  }
  return {
    tone: "alarm",
    title: "The owner was faster.",
    text: `The session has moved on to token ${current}. The thief’s token ${thief.token} is an old one: whoever sends it gives the theft away.`,
  };
}

function caught({ copiedAt, owner, thief, events }: Story, ended: { at: number; by: Actor }): Verdict {
  const seconds = ((ended.at - (copiedAt ?? 0)) / 1000).toFixed(1);
  const who = ended.by === "owner" ? "The owner’s app sent a token that somebody else had already exchanged." : "The thief sent a token that the owner had already exchanged.";
  const never = !events.some((event) => event.kind === "refresh" && event.actor === "thief" && event.answer.kind !== "refused");
  const gain = never ? "The thief never had a working token." : "What the thief had is worthless now.";
  const both = owner?.out && thief?.out ? "Both have been told." : `The ${ended.by === "owner" ? "thief" : "owner"} will be told at the next refresh.`;
  return {
    tone: "caught",
    title: `Caught, ${seconds} seconds after the theft.`,
    text: `${who} So two hold this session, and the server ended it for both. ${gain} The owner signs in again; the thief cannot. ${both}`,
  };
}

function alone(owner: Holder, last: Extract<Event, { kind: "refresh" }> | undefined): Verdict {
  if (last?.answer.kind === "lost") {
    return {
      tone: "calm",
      title: "The answer got lost.",
      text: `The server has moved on, and the owner still has token ${owner.token}. That is just how a thief would look. But the owner has stored a retry key before the call.`,
    };
  }
  if (last?.answer.kind === "repeated") {
    return {
      tone: "good",
      title: "Forgiven: nobody was signed out.",
      text: `The same token with the same retry key can only be the one who made that call. The server gave token ${owner.token} once more, however long it took.`,
    };
  }
  if (last) {
    return { tone: "good", title: "All is well.", text: `The owner has token ${owner.token}. Every refresh replaces the token, so a copy goes stale.` };
  }
  return { tone: "calm", title: "The owner is signed in.", text: `The owner has token ${owner.token}. Steal it, or let the owner refresh.` };
}

function refusedFor(actor: Actor, { code, retryAfter }: ErrorInfo): Verdict {
  const text =
    code === "RATE_LIMITED"
      ? `That was a lot of refreshes. The server asks to wait ${retryAfter ?? "some"} seconds; nobody is signed out by that.`
      : code === "NO_ANSWER"
        ? "Keywheel did not answer. Nobody is signed out by that; the same call, with the same retry key, can be made again."
        : `Keywheel answered ${code}.`;
  return { tone: "calm", title: `No new token for the ${actor}.`, text };
}
