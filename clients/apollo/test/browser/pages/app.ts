// What runs in the tabs of the browser tests: an app on Apollo Client.
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from "@apollo/client/core";
import { createClient } from "graphql-ws";
import { dpop } from "../../../src/dpop.js";
import { createKeywheel, type Keywheel, type KeywheelOptions } from "../../../src/index.js";

const ME = gql`
  query Me {
    me {
      id
    }
  }
`;
const SESSIONS = gql`
  query Sessions {
    me {
      sessions(first: 100) {
        nodes {
          id
        }
      }
    }
  }
`;

/** An app for the tests to play with. */
export interface App {
  keywheel: Keywheel;
  goodbyes: string[];
  /** Asks so many times at once; gives the different answers. */
  ask(times: number): Promise<unknown[]>;
  /** Follows what happens to the sessions of this user, as the README says. */
  follow(): Following;
}

export interface Following {
  /** Sessions that were told of. */
  told: string[];
  /** Sessions that were read after each connection. */
  read: string[];
  /** How each connection was closed. */
  closed: string[];
  connected: number;
}

declare global {
  interface Window {
    start(url: string, storage: "cookie" | "localStorage", bound?: boolean): App;
    app: App;
  }
}

window.start = (url, storage, bound = false) => {
  const goodbyes: string[] = [];
  const options: KeywheelOptions = { url, storage, onSignedOut: (reason) => goodbyes.push(reason) };
  if (bound) options.dpop = dpop();
  const keywheel = createKeywheel(options);
  const fetch = options.dpop?.fetch ?? window.fetch.bind(window);
  const client = new ApolloClient({
    link: ApolloLink.from([keywheel.link, new HttpLink({ uri: url, fetch })]),
    cache: new InMemoryCache(),
    queryDeduplication: false,
    defaultOptions: { query: { fetchPolicy: "no-cache" } },
  });
  const me = async () => (await client.query<any>({ query: ME })).data?.me?.id ?? null;
  const ask = async (times: number) => [...new Set(await Promise.all(Array.from({ length: times }, me)))];

  function follow(): Following {
    const following: Following = { told: [], read: [], closed: [], connected: 0 };
    const sockets = createClient({
      url: url.replace("http", "ws"),
      connectionParams: keywheel.connectionParams,
      retryAttempts: Infinity,
      shouldRetry: () => true, // without it a connection that cannot be made ends the subscription
      retryWait: (retries) => new Promise((resolve) => setTimeout(resolve, Math.min(200 * 2 ** retries, 5_000))),
      on: {
        connected: () => void ((following.connected += 1), setTimeout(readSessions, 200)),
        closed(event) {
          const { code, reason } = event as CloseEvent;
          following.closed.push(`${code} ${reason}`);
          keywheel.closed(event);
        },
      },
    });
    async function readSessions(): Promise<void> {
      const { data } = await client.query<any>({ query: SESSIONS });
      following.read.push(...(data?.me?.sessions.nodes ?? []).map(({ id }: { id: string }) => id));
    }
    const stop = sockets.subscribe<any>(
      { query: "subscription { sessionEvents { kind session { id } } }" },
      {
        next: ({ data }) => void following.told.push(data.sessionEvents.session.id),
        error: (error) => void following.closed.push(String(error)),
        complete: () => undefined,
      },
    );
    keywheel.subscribe(() => keywheel.state.status === "signedOut" && stop());
    return following;
  }

  show(keywheel, goodbyes);
  return (window.app = { keywheel, goodbyes, ask, follow });
};

/** For the pictures. */
function show(keywheel: Keywheel, goodbyes: string[]): void {
  const place = document.getElementById("root")!;
  const render = () => {
    const { status, user = "nobody", reason = "" } = keywheel.state;
    const colour = { signedIn: "#d8f5d0", signedOut: "#f7d4d4", unknown: "#eee" }[status];
    document.body.style.cssText = `background: ${colour}; font: 20px sans-serif; padding: 1em`;
    place.innerText = `${status}: ${user} ${reason}\n${goodbyes.map((goodbye) => `onSignedOut(${goodbye})`).join("\n")}`;
  };
  keywheel.subscribe(() => queueMicrotask(() => queueMicrotask(render)));
  render();
}
