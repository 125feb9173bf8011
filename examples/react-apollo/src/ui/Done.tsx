import { useEffect, useRef, type ReactNode } from "react";

/** It worked; the form is gone, and the focus goes here. */
export function Done({ children }: { children: ReactNode }) {
  const box = useRef<HTMLParagraphElement>(null);
  useEffect(() => box.current?.focus(), []);
  return (
    <p className="notice good" ref={box} tabIndex={-1} role="status">
      {children}
    </p>
  );
}
