// The recipes for Apollo Client 3: `onError`, `fromPromise`, `forward`.
import { ApolloClient, from, fromPromise, gql, HttpLink, InMemoryCache } from "apollo3/core";
import { setContext } from "apollo3/link/context";
import { onError } from "apollo3/link/error";
import { ended, kitchen, ME, type Kitchen } from "./recipe.js";

/** Each request that is refused refreshes for itself. */
const naive = (app: Kitchen) =>
  onError(({ graphQLErrors, operation, forward }) => {
    for (const error of graphQLErrors ?? []) {
      if (error.extensions?.["code"] === "UNAUTHENTICATED") {
        return fromPromise(app.refresh().catch(() => undefined))
          .filter((token) => Boolean(token))
          .flatMap((token) => {
            const { headers } = operation.getContext();
            operation.setContext({ headers: { ...headers, authorization: `Bearer ${token}` } });
            return forward(operation);
          });
      }
    }
    return undefined;
  });

/** The first one refreshes, the others wait in a queue. */
function queueing(app: Kitchen) {
  let refreshing = false;
  let waiting: (() => void)[] = [];
  return onError(({ graphQLErrors, operation, forward }) => {
    for (const error of graphQLErrors ?? []) {
      if (error.extensions?.["code"] !== "UNAUTHENTICATED") continue;
      if (refreshing) {
        return fromPromise(new Promise<void>((resolve) => waiting.push(resolve))).flatMap(() => forward(operation));
      }
      refreshing = true;
      return fromPromise(
        app
          .refresh()
          .then((token) => {
            for (const resolve of waiting) resolve();
            return token;
          })
          .catch(() => undefined)
          .finally(() => {
            waiting = [];
            refreshing = false;
          }),
      )
        .filter((token) => Boolean(token))
        .flatMap(() => forward(operation));
    }
    return undefined;
  });
}

window.cook = (options) => {
  const app = kitchen(options);
  const auth = setContext((_, { headers }) => ({
    headers: { ...headers, authorization: `Bearer ${app.accessToken()}` },
  }));
  const client = new ApolloClient({
    link: from([options.queue ? queueing(app) : naive(app), auth, new HttpLink({ uri: options.url })]),
    cache: new InMemoryCache(),
    queryDeduplication: false,
    defaultOptions: { query: { fetchPolicy: "no-cache" } },
  });
  const query = gql(ME);
  const ask = (times: number) => Promise.all(Array.from({ length: times }, () => ended(client.query({ query }))));
  window.recipe = Object.assign(app, { ask });
};
