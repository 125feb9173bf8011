import { useQuery } from "@apollo/client/react";
import { useKeywheel } from "@keywheel/apollo/react";
import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { keywheel } from "../client";
import { ME } from "../pages/Profile";
import { Field, Form } from "../ui/Form";
import { Cast } from "./Cast";
import { SCRIPTS, SCRIPT_NAMES, type ScriptName } from "./scripts";
import { Stage } from "./stage";
import { verdict, type Verdict } from "./story";
import { Timeline } from "./Timeline";

/** The answer to "if an old token falls into the wrong hands, the thief refreshes for ever": two clients, one copy, real calls. */
export default function Steal() {
  const [stage] = useState(() => new Stage());
  const snapshot = useSyncExternalStore(stage.subscribe, () => stage.snapshot);
  const area = useRef<HTMLElement>(null);

  useEffect(() => {
    const leave = (): void => stage.leave();
    window.addEventListener("pagehide", leave);
    return () => {
      window.removeEventListener("pagehide", leave);
      leave();
    };
  }, [stage]);

  function begin(name: ScriptName | "hand"): void {
    if (name === "hand") stage.begin();
    else void stage.play(name);
    area.current?.scrollIntoView({ block: "start" });
  }

  const { story, playing } = snapshot;
  const { tone, title, text } = verdict(story);
  return (
    <div className="steal">
      <blockquote className="question">
        If one old token falls into the wrong hands, the thief refreshes for ever. How do I prevent that?
      </blockquote>
      <p className="lead">
        Replace the token at every refresh, and recognise the old ones. Then whoever comes second gives the theft away, be it the thief or
        the owner. See it happen, with real calls:
      </p>

      <Choice spare={snapshot.spare} supply={(identifier, password) => stage.supply(identifier, password)} begin={begin} />

      <section className="stage" aria-labelledby="stage-title" ref={area}>
        <h2 id="stage-title" className="hidden">
          What happens
        </h2>
        <div className={`verdict ${tone}`}>
          <Mark tone={tone} />
          <div aria-live="polite" aria-atomic="true">
            <p className="verdict-title">{title}</p>
            <p>{text}</p>
          </div>
          {playing && (
            <button type="button" className="button small" onClick={() => stage.pause()}>
              Go on by hand
            </button>
          )}
        </div>
        <Cast stage={stage} snapshot={snapshot} />
        <Timeline story={story} waiting={snapshot.waiting} />
      </section>

      <Explanation />
    </div>
  );
}

interface ChoiceProps {
  spare: number;
  supply: (identifier: string, password: string) => Promise<void>;
  begin: (name: ScriptName | "hand") => void;
}

/** Which story; and the password, when there is no session left to tell it with. */
function Choice({ spare, supply, begin }: ChoiceProps) {
  const { status } = useKeywheel(keywheel);
  const me = useQuery(ME, { skip: status !== "signedIn" }).data?.me;
  const identifier = me?.email ?? me?.username ?? undefined;
  const stories = [
    ...SCRIPT_NAMES.map((name) => ({ name, ...SCRIPTS[name] })),
    { name: "hand", title: "By hand", text: "You press the buttons, in any order." },
  ];
  return (
    <div className="card">
      <Form
        label="Choose a story"
        submit="Begin"
        beside={
          <p className="hint" role="status">
            {spare === 0
              ? "Signs in for three throw-away sessions, apart from your own, and forgets the password. They end when you leave this page."
              : spare === 1
                ? "One more session is ready to be stolen."
                : `${spare} more sessions are ready to be stolen.`}
          </p>
        }
        onSubmit={async (value) => {
          if (spare === 0) await supply(value("identifier"), value("password"));
          begin(value("story") as ScriptName | "hand");
        }}
      >
        <fieldset className="stories">
          <legend className="hidden">Story</legend>
          {stories.map(({ name, title, text }) => (
            <label key={name} className="story">
              <input type="radio" name="story" value={name} defaultChecked={name === "thief"} />
              <span className="story-title">{title}</span>
              <span className="story-text">{text}</span>
            </label>
          ))}
        </fieldset>
        {spare === 0 && (
          <div className="credentials">
            {identifier === undefined ? (
              <Field label="Email address or username" name="identifier" autoComplete="username" />
            ) : (
              <input hidden name="identifier" autoComplete="username" value={identifier} readOnly />
            )}
            <Field label={identifier === undefined ? "Password" : `Password of ${identifier}`} name="password" type="password" autoComplete="current-password" />
          </div>
        )}
      </Form>
    </div>
  );
}

/** What the colour says, without the colour. */
function Mark({ tone }: { tone: Verdict["tone"] }) {
  const paths = { calm: "M8 12h8", alarm: "M12 7v6M12 17h.01", caught: "M8 8l8 8M16 8l-8 8", good: "M7 12.5l3.5 3.5 6.5-8" };
  return (
    <svg viewBox="0 0 24 24" className="mark" aria-hidden="true">
      <circle cx="12" cy="12" r="11" />
      <path d={paths[tone]} />
    </svg>
  );
}

function Explanation() {
  return (
    <section className="explanation" aria-labelledby="why">
      <h2 id="why">How does the server know?</h2>
      <ol>
        <li>
          <strong>A token works once.</strong> Each refresh replaces it. A session is one row with one number; every older token is recognised by
          it, for ever.
        </li>
        <li>
          <strong>One of the two comes second.</strong> After the first has refreshed, the other has an old token. When it is sent,
          two people hold this session. The server cannot tell which is the thief, so it ends the session for both.
        </li>
        <li>
          <strong>Lost answers are forgiven.</strong> Before each refresh the client stores a random <em>retry key</em>, and sends it along. The
          same token with the same key is the same call; a thief has another key.
        </li>
        <li>
          <strong>Five seconds are forgiven to anybody,</strong> since two tabs may refresh in the same instant. A thief who is that fast stays
          until the next refresh, and must be that fast each time.
        </li>
      </ol>
      <p>
        A thief whose victim never comes back is not caught by this; the list of devices, a limit of thirty days, and sessions that are bound to
        a key are for that. All of it is in <code>docs/rotation.md</code>. The app itself keeps its refresh token in an <code>HttpOnly</code>{" "}
        cookie, where no script can copy it.
      </p>
    </section>
  );
}
