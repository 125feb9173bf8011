import { problemOf } from "../problems";

/** What a page shows while it has nothing else to show. */
export function Loading({ error, again }: { error: unknown; again: () => void }) {
  if (error === undefined) return <p className="quiet loading">Loading …</p>;
  return (
    <div className="notice bad" role="alert">
      <p>{problemOf(error).text}</p>
      <button type="button" className="button" onClick={again}>
        Try again
      </button>
    </div>
  );
}
