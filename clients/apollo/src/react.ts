/**
 * Keywheel in React components.
 * @module
 */
import { useEffect, useSyncExternalStore } from "react";
import type { Keywheel } from "./core.js";
import { UNKNOWN, type State } from "./state.js";

export type { State } from "./state.js";

/**
 * Whether somebody is signed in; the component renders again when that changes. `unknown` on the server, in the first
 * render after it, and until the stored session was looked at: show neither the app nor the sign-in screen then.
 */
export function useKeywheel(keywheel: Pick<Keywheel, "state" | "subscribe" | "ready">): State {
  useEffect(() => void keywheel.ready(), [keywheel]);
  return useSyncExternalStore(
    keywheel.subscribe,
    () => keywheel.state,
    () => UNKNOWN,
  );
}
