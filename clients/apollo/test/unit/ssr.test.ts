import { afterEach, expect, test, vi } from "vitest";

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

/** What nobody may touch before there is a reason. To see whether there is a `document` is allowed. */
const GLOBALS = [
  "window",
  "localStorage",
  "sessionStorage",
  "BroadcastChannel",
  "navigator",
  "indexedDB",
  "fetch",
  "setTimeout",
];

test.each(["core", "index", "dpop", "react"])(
  "importing %s on a server touches nothing, and neither does making one",
  async (entry) => {
    vi.resetModules();
    await import("@apollo/client/core"); // what it does is its own
    const touched: string[] = [];
    const originals = new Map(GLOBALS.map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]));
    const modules: Record<string, () => Promise<any>> = {
      core: () => import("../../src/core.js"),
      index: () => import("../../src/index.js"),
      dpop: () => import("../../src/dpop.js"),
      react: () => import("../../src/react.js"),
    };
    const module = await watched(() => modules[entry]!());
    await watched(async () => {
      module.createKeywheel?.({ url: "https://auth.example.com/graphql" });
      module.dpop?.();
    });
    expect(touched).toEqual([]);

    /** Runs `job` where the globals tell who touches them, if it is our own code. */
    async function watched<T>(job: () => Promise<T>): Promise<T> {
      for (const name of GLOBALS) {
        const value = (globalThis as any)[name];
        Object.defineProperty(globalThis, name, {
          configurable: true,
          get() {
            if (new Error().stack?.includes("/apollo/src/")) touched.push(name);
            return value;
          },
          set: () => undefined,
        });
      }
      try {
        return await job();
      } finally {
        for (const [name, descriptor] of originals) {
          if (descriptor) Object.defineProperty(globalThis, name, descriptor);
          else delete (globalThis as any)[name];
        }
      }
    }
  },
);

test("a server that makes one for each request keeps them apart", async () => {
  const { createKeywheel } = await import("../../src/core.js");
  const channels = vi.fn();
  vi.stubGlobal("BroadcastChannel", channels);
  const make = () => createKeywheel({ url: "https://auth.example.com/graphql", storage: "memory" });
  const [one, two] = [make(), make()];
  await one.adopt({ accessToken: "secret", expiresIn: 300 });
  expect(await one.headers()).toEqual({ authorization: "Bearer secret" });
  expect(await two.headers()).toEqual({});
  expect(channels).not.toHaveBeenCalled();
});
