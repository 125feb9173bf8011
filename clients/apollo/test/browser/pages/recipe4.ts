// The same recipes as Apollo Client 4 has them: `ErrorLink`, rxjs.
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, gql, HttpLink, InMemoryCache } from "@apollo/client/core";
import { SetContextLink } from "@apollo/client/link/context";
import { ErrorLink } from "@apollo/client/link/error";
import { from, mergeMap } from "rxjs";
import { ended, kitchen, ME, type Kitchen } from "./recipe.js";

function errorLink(app: Kitchen): ErrorLink {
  let refreshing: Promise<string> | undefined;
  const shared = () => (refreshing ??= app.refresh().finally(() => (refreshing = undefined)));
  return new ErrorLink(({ error, operation, forward }) => {
    if (!CombinedGraphQLErrors.is(error)) return undefined;
    if (!error.errors.some(({ extensions }) => extensions?.["code"] === "UNAUTHENTICATED")) return undefined;
    return from(app.options.queue ? shared() : app.refresh()).pipe(
      mergeMap((token) => {
        const { headers } = operation.getContext();
        operation.setContext({ headers: { ...headers, authorization: `Bearer ${token}` } });
        return forward(operation);
      }),
    );
  });
}

window.cook = (options) => {
  const app = kitchen(options);
  const auth = new SetContextLink(({ headers }) => ({
    headers: { ...headers, authorization: `Bearer ${app.accessToken()}` },
  }));
  const client = new ApolloClient({
    link: ApolloLink.from([errorLink(app), auth, new HttpLink({ uri: options.url })]),
    cache: new InMemoryCache(),
    queryDeduplication: false,
    defaultOptions: { query: { fetchPolicy: "no-cache" } },
  });
  const query = gql(ME);
  const ask = (times: number) => Promise.all(Array.from({ length: times }, () => ended(client.query({ query }))));
  window.recipe = Object.assign(app, { ask });
};
