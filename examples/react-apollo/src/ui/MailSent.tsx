import { useEffect, useRef, useState, type ReactNode } from "react";
import { problemOf } from "../problems";

/** Where to look now. In development the mail is on a page of Keywheel. */
export function MailSent({ children, again }: { children: ReactNode; again: () => Promise<unknown> }) {
  const box = useRef<HTMLDivElement>(null);
  const [note, setNote] = useState("");
  useEffect(() => box.current?.focus(), []);

  async function repeat(): Promise<void> {
    try {
      await again();
      setNote("Asked for it once more. It takes a minute before another letter is sent.");
    } catch (error) {
      setNote(problemOf(error).text);
    }
  }

  return (
    <div className="card narrow" ref={box} tabIndex={-1}>
      <p>{children}</p>
      {DEV_MAIL && (
        <p>
          This is development: the mail is at <a href={DEV_MAIL}>{DEV_MAIL}</a>.
        </p>
      )}
      <p className="quiet">Nothing came? Look among the unwanted ones, then ask again.</p>
      <div className="actions">
        <button type="button" className="button" onClick={() => void repeat()}>
          Send it again
        </button>
      </div>
      <p role="status">{note}</p>
    </div>
  );
}
