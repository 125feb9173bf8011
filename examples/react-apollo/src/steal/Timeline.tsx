import type { ErrorInfo } from "@keywheel/apollo";
import { Fragment, type ReactNode } from "react";
import { Token } from "./Cast";
import type { Snapshot } from "./stage";
import { EMPTY, tell, type Actor, type Event, type Story } from "./story";

type Refresh = Extract<Event, { kind: "refresh" }>;

/** Gaps that are worth a word, in milliseconds. */
const LONG = 3000;

/**
 * Two lanes, and time from top to bottom: on the left what the owner does, on the right what the thief does, between them which
 * token the server takes. A lane is drawn for as long as its client is in.
 */
export function Timeline({ story, waiting }: { story: Story; waiting: Snapshot["waiting"] }) {
  const rows: ReactNode[] = [];
  let past: Story = EMPTY;
  for (const [index, event] of story.events.entries()) {
    const gap = event.at - (past.events.at(-1)?.at ?? 0);
    if (gap > LONG) rows.push(<Gap key={`gap-${index}`} story={past} text={`${(gap / 1000).toFixed(1)} seconds later`} />);
    const next = tell(past, event);
    rows.push(<Row key={index} event={event} before={past} after={next} start={story.copiedAt} />);
    past = next;
  }
  if (waiting) rows.push(<Gap key="waiting" story={past} text={waiting.why} lasts={waiting.until - waiting.from} />);
  if (rows.length === 0) return null;
  return (
    <ol className="timeline" aria-label="What happened, in order">
      {rows}
    </ol>
  );
}

/** How the lanes are drawn at a point of the story. */
function lanes(story: Story): { "data-owner": string; "data-thief": string; "data-session": string } {
  const lane = (actor: Actor): string => (!story[actor] ? "none" : story.ended || story[actor].out ? "out" : "in");
  return { "data-owner": lane("owner"), "data-thief": lane("thief"), "data-session": story.ended ? "over" : "live" };
}

function Gap({ story, text, lasts }: { story: Story; text: string; lasts?: number }) {
  return (
    <li className="row gap" {...lanes(story)}>
      <span className="gap-text">
        {text}
        {lasts !== undefined && (
          <span className="bar" aria-hidden="true">
            <span style={{ animationDuration: `${lasts}ms` }} />
          </span>
        )}
      </span>
    </li>
  );
}

function Row({ event, before, after, start }: { event: Event; before: Story; after: Story; start: number | undefined }) {
  const at = <time className="at">{(event.at / 1000).toFixed(1)} s</time>;
  switch (event.kind) {
    case "signIn":
      return (
        <li className="row" {...lanes(after)}>
          <div className="event owner">
            <p className="what">Signs in {at}</p>
            <p>
              → <Token number={event.token} />
            </p>
          </div>
          <Node takes={event.token} />
        </li>
      );
    case "copy":
      return (
        <li className="row copy" {...lanes(after)}>
          <div className="event thief">
            <p className="what">Copies what the owner has {at}</p>
            <p>
              → <Token number={event.token} />
              {event.withKey && " and the retry key that waits for its answer"}
            </p>
          </div>
        </li>
      );
    case "refresh":
      return <RefreshRow event={event} before={before} after={after} at={at} />;
    case "over":
      return (
        <li className="row over" {...lanes(after)}>
          <div className="end">
            <p className="what">The session is over for both{start !== undefined && `, ${((event.at - start) / 1000).toFixed(1)} s after the theft`}</p>
            <p>
              {(["owner", "thief"] as const).map((actor) => {
                const access = event.access[actor];
                return access === undefined ? null : <span key={actor}>{actor}’s access token: <Code of={access} /></span>;
              })}
            </p>
          </div>
        </li>
      );
  }
}

function RefreshRow({ event, before, after, at }: { event: Refresh; before: Story; after: Story; at: ReactNode }) {
  const { actor, sent, key, again, answer } = event;
  const name = actor === "owner" ? "Owner" : "Thief";
  const tone = answer.kind === "refused" ? "refused" : answer.kind === "lost" ? "lost" : "";
  const caught = after.ended && !before.ended;
  return (
    <li className="row" {...lanes(caught ? before : after)}>
      <div className={`event ${actor} ${tone}`}>
        <p className="what">
          <span>
            <span className="hidden">{name}: </span>
            {again ? "Repeats the call" : "Refreshes"} with <Token number={sent} old={sent < before.current} />
          </span>
          {at}
        </p>
        <p className="result">
          <span>
            → {answer.kind === "rotated" && <Token number={answer.got} />}
            {answer.kind === "repeated" && (
              <>
                <Token number={answer.got} /> once more ({answer.why})
              </>
            )}
            {answer.kind === "lost" && "the answer never arrives"}
            {answer.kind === "refused" && <Code of={answer.error} />}
          </span>
          <span className="retry">key {key}…</span>
        </p>
      </div>
      <Node takes={after.ended ? undefined : after.current} bad={answer.kind === "refused"} />
    </li>
  );
}

/** The number of the token that the server takes from now on. */
function Node({ takes, bad = false }: { takes: number | undefined; bad?: boolean }) {
  return (
    <span className={bad ? "node bad" : "node"}>
      <span className="hidden">{takes === undefined ? "The server takes none." : `The server takes token ${takes}.`}</span>
      <span aria-hidden="true">{takes ?? "✕"}</span>
    </span>
  );
}

function Code({ of }: { of: ErrorInfo | "good" }) {
  if (of === "good") return <code className="code">still good</code>;
  const words = [of.code, of.reason, of.retryAfter !== undefined && `${of.retryAfter} s`].filter(Boolean).join(" · ");
  return (
    <code className="code">
      {words.split(/(?<=_)/).map((part, index) => (
        <Fragment key={index}>
          {part}
          <wbr />
        </Fragment>
      ))}
    </code>
  );
}
