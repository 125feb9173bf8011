/**
 * As much of a router as seven pages need.
 */
import { useSyncExternalStore, type AnchorHTMLAttributes, type MouseEvent } from "react";

const listeners = new Set<() => void>();

function tell(): void {
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  if (listeners.size === 0) window.addEventListener("popstate", tell);
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) window.removeEventListener("popstate", tell);
  };
}

/** The path of the page; the component renders again when it changes. */
export function usePath(): string {
  return useSyncExternalStore(subscribe, () => window.location.pathname.replace(/(.)\/+$/, "$1"));
}

export function navigate(path: string, { replace = false } = {}): void {
  if (replace) window.history.replaceState(null, "", path);
  else window.history.pushState(null, "", path);
  window.scrollTo(0, 0);
  tell();
}

/** A link within the app. What opens a new tab is left to the browser. */
export function Link({ href, ...rest }: AnchorHTMLAttributes<HTMLAnchorElement> & { href: string }) {
  const current = usePath() === href ? "page" : undefined;
  function follow(event: MouseEvent): void {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    if (window.location.pathname !== href) navigate(href);
  }
  return <a href={href} aria-current={current} onClick={follow} {...rest} />;
}

/**
 * The token of a mailed link, `#token=…`. It is taken out of the address bar at once, so that it is in no history and no
 * screenshot, and kept until the page that it was for has used it.
 */
export function useMailedToken(): string | undefined {
  return useSyncExternalStore(subscribe, () => mailed);
}

let mailed = takeToken();
window.addEventListener("hashchange", () => {
  mailed = takeToken() ?? mailed;
  tell();
});

function takeToken(): string | undefined {
  const token = new URLSearchParams(window.location.hash.slice(1)).get("token") ?? undefined;
  if (token) window.history.replaceState(null, "", window.location.pathname);
  return token;
}
