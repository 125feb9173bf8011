import type { Adapter, Message, Tabs } from "../../src/core.js";

/** A browser whose tabs share a storage, a lock and a channel. */
export class Browser {
  readonly items = new Map<string, string>();
  readonly jar: { cookie?: string } = {};
  /** Milliseconds that a message takes. A lock can overtake it. */
  channelDelay = 10;
  locks = true;
  readonly #listeners = new Set<(message: Message) => void>();
  #queue: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  readonly storage: Adapter = {
    getItem: (key) => this.items.get(key) ?? null,
    setItem: (key, value) => void this.items.set(key, value),
  };

  get record(): any {
    return JSON.parse(this.items.get("keywheel") ?? "{}");
  }

  tab(): Tabs {
    let own: ((message: Message) => void) | undefined;
    return {
      exclusive: async (job) => {
        if (!this.locks) return job(false);
        const waited = this.#waiting > 0;
        this.#waiting += 1;
        const result = this.#queue.then(() => job(waited));
        this.#queue = result.catch(() => undefined).then(() => (this.#waiting -= 1));
        return result;
      },
      post: (message) => {
        for (const listener of this.#listeners) {
          if (listener !== own) setTimeout(() => listener(structuredClone(message)), this.channelDelay);
        }
      },
      listen: (listener) => {
        own = listener;
        this.#listeners.add(listener);
      },
      close: () => void this.#listeners.delete(own!),
    };
  }
}
