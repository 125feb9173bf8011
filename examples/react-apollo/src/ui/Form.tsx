/**
 * A form that says what is wrong where it is wrong. What was typed stays, and stays in the page alone: nothing of it is in
 * React's state.
 */
import { createContext, useContext, useEffect, useId, useRef, useState, type FormEvent, type ReactNode } from "react";
import { problemOf, type Problem, type Texts } from "../problems";

const Problems = createContext<Problem | undefined>(undefined);

interface FormProps {
  /** Text of the button. */
  submit: ReactNode;
  /** What it says meanwhile. */
  busy?: string;
  /** Throws what the server refused. */
  onSubmit: (value: (name: string) => string, form: HTMLFormElement) => Promise<void>;
  label?: string;
  /** Other words for some codes. */
  texts?: Texts;
  /** Beside the button. */
  beside?: ReactNode;
  danger?: boolean;
  children: ReactNode;
}

export function Form({ submit, busy = "One moment …", onSubmit, label, texts, beside, danger = false, children }: FormProps) {
  const [problem, setProblem] = useState<Problem>();
  const [working, setWorking] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const wait = useCountdown(problem?.notBefore);

  // The first wrong field, or else the sentence: whoever cannot see the page is told as well.
  useEffect(() => {
    const target = problem && (form.current?.querySelector("[aria-invalid=true]") ?? form.current?.querySelector("[role=alert]"));
    if (target instanceof HTMLElement) target.focus();
  }, [problem]);

  async function send(event: FormEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    if (working || wait > 0) return;
    const element = event.currentTarget;
    const data = new FormData(element);
    setWorking(true);
    try {
      await onSubmit((name) => String(data.get(name) ?? ""), element);
      setProblem(undefined);
    } catch (error) {
      setProblem(problemOf(error, texts));
    } finally {
      setWorking(false);
    }
  }

  return (
    <Problems value={problem}>
      <form ref={form} className="form" aria-label={label} onSubmit={(event) => void send(event)}>
        {problem && (
          <p className="notice bad" role="alert" tabIndex={-1}>
            {problem.text} {wait > 0 && <span>Try again in {duration(wait)}.</span>}
          </p>
        )}
        {children}
        <div className="actions">
          <button className={danger ? "button danger" : "button primary"} aria-disabled={working || wait > 0}>
            {working ? busy : submit}
          </button>
          {beside}
        </div>
      </form>
    </Problems>
  );
}

interface FieldProps {
  label: string;
  name: string;
  type?: "email" | "password" | "text";
  autoComplete: string;
  hint?: ReactNode;
  defaultValue?: string | undefined;
  minLength?: number | undefined;
  optional?: boolean;
  autoFocus?: boolean;
}

export function Field({ label, name, type = "text", hint, optional = false, ...rest }: FieldProps) {
  const id = useId();
  const wrong = useContext(Problems)?.fields[name];
  const [shown, setShown] = useState(false);
  const described = [hint && `${id}-hint`, wrong && `${id}-wrong`].filter(Boolean).join(" ");
  return (
    <div className="field">
      <label htmlFor={id}>
        {label} {optional && <span className="quiet">(optional)</span>}
      </label>
      <div className="control">
        <input
          id={id}
          name={name}
          type={shown ? "text" : type}
          required={!optional}
          aria-invalid={wrong ? true : undefined}
          aria-describedby={described || undefined}
          autoCapitalize="none"
          spellCheck={false}
          {...rest}
        />
        {type === "password" && (
          <button type="button" className="show" aria-pressed={shown} aria-label="Show password" onClick={() => setShown(!shown)}>
            {shown ? "Hide" : "Show"}
          </button>
        )}
      </div>
      {hint && (
        <p id={`${id}-hint`} className="hint">
          {hint}
        </p>
      )}
      {wrong && (
        <p id={`${id}-wrong`} className="wrong">
          {wrong}
        </p>
      )}
    </div>
  );
}

/** Whole seconds until then. */
function useCountdown(until: number | undefined): number {
  const [now, setNow] = useState(() => performance.now());
  const left = until === undefined ? 0 : Math.max(0, Math.ceil((until - now) / 1000));
  useEffect(() => {
    if (until === undefined) return;
    setNow(performance.now());
    const timer = setInterval(() => {
      setNow(performance.now());
      if (performance.now() > until) clearInterval(timer);
    }, 500);
    return () => clearInterval(timer);
  }, [until]);
  return left;
}

function duration(seconds: number): string {
  if (seconds < 120) return `${seconds} second${seconds === 1 ? "" : "s"}`;
  return `${Math.ceil(seconds / 60)} minutes`;
}
