import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from "@apollo/client/core";
import { vi } from "vitest";
import { createKeywheel, type Keywheel, type KeywheelOptions, type SignOutReason } from "../../src/index.js";
import type { FakeServer } from "./server.js";
import { Browser } from "./tabs.js";

export const ME = gql`
  query Me {
    me {
      id
    }
  }
`;
export const ACT = gql`
  mutation Act {
    act {
      id
    }
  }
`;
export const SETTINGS = gql`
  query Settings {
    settings {
      passwordMinLength
    }
  }
`;

/** A tab with an app in it. */
export interface Tab {
  keywheel: Keywheel;
  client: any; // of one major or the other
  /** Why it was signed out, each time. */
  goodbyes: SignOutReason[];
  me(): Promise<string | null>;
  act(): Promise<string>;
}

/** Opens a tab. What it stores is the browser's, so a second one is a second tab, or the first after a reload. */
export function openTab(server: FakeServer, browser = new Browser(), options: Partial<KeywheelOptions> = {}): Tab {
  const goodbyes: SignOutReason[] = [];
  const fetch = server.fetch(browser.jar);
  const keywheel = createKeywheel({
    url: server.url,
    storage: browser.storage,
    tabs: browser.tab(),
    fetch,
    onSignedOut: (reason) => goodbyes.push(reason),
    ...options,
  });
  const client = apollo(keywheel, server.url, options.dpop?.fetch ?? options.fetch ?? fetch);
  return {
    keywheel,
    client,
    goodbyes,
    me: async () => (await client.query({ query: ME })).data.me?.id ?? null,
    act: async () => (await client.mutate({ mutation: ACT })).data.act.id,
  };
}

export function apollo(keywheel: Keywheel, uri: string, fetch: typeof globalThis.fetch): any {
  const http = new HttpLink({ uri, fetch });
  return new ApolloClient({
    link: ApolloLink.from([keywheel.link, http]),
    cache: new InMemoryCache(),
    queryDeduplication: false,
    defaultOptions: { query: { fetchPolicy: "no-cache" }, mutate: { fetchPolicy: "no-cache" } },
  } as any);
}

export const CREDENTIALS = { identifier: "ada", password: "right" };

/** A tab where Ada is signed in. */
export async function signedInTab(
  server: FakeServer,
  browser?: Browser,
  options?: Partial<KeywheelOptions>,
): Promise<Tab> {
  const tab = openTab(server, browser, options);
  await tab.keywheel.login(CREDENTIALS);
  return tab;
}

/** Lets the faked time pass until a promise is settled. */
export async function pass<T>(promise: Promise<T>, longest = 120_000): Promise<T> {
  let settled = false;
  promise.then(
    () => (settled = true),
    () => (settled = true),
  );
  for (let passed = 0; !settled && passed < longest; passed += 20) await vi.advanceTimersByTimeAsync(20);
  if (!settled) throw new Error(`not settled after ${longest} ms`);
  return promise;
}

/** Lets the faked time pass. */
export async function wait(seconds: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(seconds * 1000);
}

export function fakeTime(): void {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"] });
}
