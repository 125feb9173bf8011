import { useEffect, useState } from "react";
import type { Snapshot, Stage } from "./stage";
import { RACE_WINDOW_MS, type Actor, type Holder } from "./story";

/** The two clients: what each of them has, and what they can do. */
export function Cast({ stage, snapshot }: { stage: Stage; snapshot: Snapshot }) {
  const { story, playing, losing, busy } = snapshot;
  const { owner, thief, ended } = story;
  const idle = playing !== undefined || busy;
  return (
    <div className="cast">
      <section className="actor owner" aria-labelledby="owner">
        <h3 id="owner">
          <Face of="owner" /> Owner
        </h3>
        <Possession holder={owner} none="not signed in" />
        <div className="actor-buttons">
          <Act off={idle || !owner || owner.out} onClick={() => void stage.refresh("owner")}>
            Owner refreshes
          </Act>
          <button
            type="button"
            className="button small quiet-button"
            aria-pressed={losing}
            disabled={idle || !owner || owner.out}
            onClick={() => stage.lose(!losing)}
          >
            Lose the owner’s next answer
          </button>
        </div>
      </section>
      <div className="server" aria-hidden="true">
        <svg viewBox="0 0 24 24" className="icon">
          <rect x="4" y="4" width="16" height="6" rx="1.5" />
          <rect x="4" y="14" width="16" height="6" rx="1.5" />
          <path d="M8 7h.01M8 17h.01" />
        </svg>
        <span>Server</span>
        <span className="takes">takes token</span>
      </div>
      <section className="actor thief" aria-labelledby="thief">
        <h3 id="thief">
          <Face of="thief" /> Thief
        </h3>
        <Possession holder={thief} none="has nothing" />
        <div className="actor-buttons">
          <Act off={idle || !owner || owner.out || ended !== undefined} onClick={() => stage.steal()}>
            Steal this session
          </Act>
          <Act off={idle || !thief || thief.out} onClick={() => void stage.refresh("thief")}>
            Thief refreshes
          </Act>
        </div>
      </section>
      {!playing && !ended && thief && <RaceWindow key={story.rotatedAt} until={snapshot.began + story.rotatedAt + RACE_WINDOW_MS} />}
    </div>
  );
}

function Act({ off, onClick, children }: { off: boolean; onClick: () => void; children: string }) {
  // Not `disabled`: the focus would be lost while a call is under way.
  return (
    <button type="button" className="button small" aria-disabled={off} onClick={() => !off && onClick()}>
      {children}
    </button>
  );
}

function Possession({ holder, none }: { holder: Holder | undefined; none: string }) {
  if (!holder) return <p className="possession none">{none}</p>;
  if (holder.out) return <p className="possession out">signed out</p>;
  return (
    <p className="possession">
      has <Token number={holder.token} /> {holder.pending && <span className="key-badge">and a retry key</span>}
    </p>
  );
}

/** A token by its number. */
export function Token({ number, old = false }: { number: number; old?: boolean }) {
  return (
    <span className={old ? "token old" : "token"}>
      {old && "old "}token {number}
    </span>
  );
}

/** For those who play by hand: how long the server forgives two calls at once. */
function RaceWindow({ until }: { until: number }) {
  const [left] = useState(() => until - performance.now());
  const [over, setOver] = useState(left <= 0 || !Number.isFinite(left));
  useEffect(() => {
    if (over) return;
    const timer = setTimeout(() => setOver(true), left);
    return () => clearTimeout(timer);
  }, [over, left]);
  if (over) return null;
  return (
    <p className="race">
      For five seconds after a refresh the token before it is taken from anybody, as from a second tab. Wait for the bar, or try it.
      <span className="bar" aria-hidden="true">
        <span style={{ animationDuration: `${left}ms` }} />
      </span>
    </p>
  );
}

function Face({ of }: { of: Actor }) {
  return (
    <svg viewBox="0 0 24 24" className="icon" aria-hidden="true">
      <circle cx="12" cy="8" r="4" />
      <path d="M4 21c0-4.5 3.5-7 8-7s8 2.5 8 7" />
      {of === "thief" && <path d="M6.5 7h11" strokeWidth="4" />}
    </svg>
  );
}
