/**
 * Keywheel, Apollo Client and the socket: made once, outside of components.
 */
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { createKeywheel } from "@keywheel/apollo";
import { createClient } from "graphql-ws";
import { forgetGoodbye, sayGoodbye } from "./goodbye";

const url = "/graphql";

export const keywheel = createKeywheel({
  url,
  onSignedOut(reason) {
    sayGoodbye(reason);
    void client.clearStore(); // not resetStore, which would ask for everything again, as nobody
  },
});

keywheel.subscribe(() => {
  if (keywheel.state.status === "signedIn") forgetGoodbye();
});

const socket = createClient({
  url: new URL(url, window.location.href).href.replace(/^http/, "ws"),
  async connectionParams() {
    const params = await keywheel.connectionParams();
    if (!("authorization" in params)) throw new Error("Nobody is signed in."); // ends the connection for good
    return params;
  },
  // As long as the page is open: servers restart, laptops sleep.
  retryAttempts: Infinity,
  retryWait: (retries) => new Promise((done) => setTimeout(done, Math.min(30_000, 2 ** retries * 500) * (0.5 + Math.random() / 2))),
  on: {
    // Events are news, not the truth: what happened while nobody listened is in the list.
    connected: (_socket, _payload, again) => void (again && client.refetchQueries({ include: "active" })),
    // The next connection would find out as well, when it is time for it. This is at once.
    closed: (event) => {
      if ((event as CloseEvent).reason === "SESSION_REVOKED") void checkSession();
    },
  },
});

export const client = new ApolloClient({
  link: ApolloLink.split(
    ({ operationType }) => operationType === "subscription",
    new GraphQLWsLink(socket),
    ApolloLink.from([keywheel.link, new HttpLink({ uri: url })]),
  ),
  cache: new InMemoryCache(),
});

/**
 * Asks whether the session goes on; if not, this tab signs out. A refresh waits its turn behind a sign-in that is under way in
 * any tab, and so never takes the end of the replaced session for the end of the new one.
 */
export async function checkSession(): Promise<void> {
  if (keywheel.state.status !== "signedIn") return;
  await keywheel.refresh().catch(() => undefined); // no network: the next request finds out
}
