// What runs in the pages of browser.test.ts.
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from "@apollo/client/core";
import { dpop } from "../../src/dpop.js";
import { createKeywheel, type Keywheel, type KeywheelOptions } from "../../src/index.js";

const ME = gql`
  query Me {
    me {
      id
    }
  }
`;

/** An app for the tests to play with. */
export interface App {
  keywheel: Keywheel;
  goodbyes: string[];
  /** Asks so many times at once; gives the different answers. */
  ask(times: number): Promise<unknown[]>;
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
  return (window.app = { keywheel, goodbyes, ask });
};
