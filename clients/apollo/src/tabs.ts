import type { SignOutReason } from "./options.js";

/** What tabs tell each other. */
export type Message =
  /** There is a new access token, good for so many milliseconds; after so many refreshes. */
  | { kind: "token"; session: string; user?: string; serial?: number; token: string; scheme: Scheme; lifetime: number }
  /** This session is over. */
  | { kind: "out"; session: string; reason: SignOutReason }
  /** The record in storage is another one. */
  | { kind: "stored" };

/** The scheme of the `Authorization` header. */
export type Scheme = "Bearer" | "DPoP";

/** How the tabs of one browser keep out of each other's way. Nothing depends on it but the number of refreshes. */
export interface Tabs {
  /**
   * Runs `job` while no other tab runs one; if that takes too long, all the same. `waited`: another tab was at it, so
   * there may be news.
   */
  exclusive<T>(job: (waited: boolean) => Promise<T>): Promise<T>;
  /** Tells all other tabs. */
  post(message: Message): void;
  /** From now on, calls back with what other tabs tell. */
  listen(listener: (message: Message) => void): void;
  /** Stops listening. */
  close(): void;
}

/** For one tab, and where there are no tabs. */
export const alone: Tabs = {
  exclusive: (job) => job(false),
  post() {},
  listen() {},
  close() {},
};

/** How long to wait for another tab, in milliseconds. It may be asleep with the lock in its hands. */
const PATIENCE = 8000;

/** The tabs of a browser, as far as it has the means. `key` is that of the stored record. */
export function browserTabs(name: string, key: string): Tabs {
  let channel: BroadcastChannel | undefined;
  let onStorage: ((event: StorageEvent) => void) | undefined;
  let closed = false;
  return {
    async exclusive(job) {
      const locks = globalThis.navigator?.locks;
      if (!locks) return job(false);
      let result: ReturnType<typeof job> | undefined;
      const hold = (waited: boolean) => settled((result = job(waited)));
      await settled(locks.request(name, { ifAvailable: true }, (lock) => lock && hold(false)));
      if (result) return result;
      await settled(locks.request(name, { signal: AbortSignal.timeout(PATIENCE) }, () => hold(true)));
      return result ?? job(true);
    },
    post: (message) => channel?.postMessage(message),
    listen(listener) {
      if (closed) return;
      if (typeof BroadcastChannel !== "undefined") {
        channel = new BroadcastChannel(name);
        channel.onmessage = (event) => listener(event.data);
      }
      onStorage = (event) => {
        if (event.key === key || event.key === null) listener({ kind: "stored" });
      };
      globalThis.addEventListener?.("storage", onStorage);
    },
    close() {
      closed = true;
      channel?.close();
      channel = undefined;
      if (onStorage) globalThis.removeEventListener?.("storage", onStorage);
    },
  };
}

/** Over, however it ended. */
const settled = (job: Promise<unknown>) => job.catch(() => undefined);
