// The gateway: one graph for clients. It knows nothing of users; it passes on what the caller sent.
import { composeServices } from "@apollo/composition";
import { ApolloGateway, RemoteGraphQLDataSource } from "@apollo/gateway";
import { ApolloServer } from "@apollo/server";
import { startStandaloneServer } from "@apollo/server/standalone";
import { parse } from "graphql";

// Otherwise it reports to its maker how it is used.
process.env.APOLLO_TELEMETRY_DISABLED = "true";

/** The one schema that clients see, of services like `{ name, url, sdl }`. */
export function compose(services) {
  const { errors, supergraphSdl } = composeServices(services.map(({ name, url, sdl }) => ({ name, url, typeDefs: parse(sdl) })));
  if (errors) throw new Error(errors.map(({ message }) => message).join("\n"));
  return supergraphSdl;
}

/** Every service decides by itself what the caller may see, so each must be told who that is. */
class PassingOn extends RemoteGraphQLDataSource {
  willSendRequest({ request, context }) {
    if (context.authorization) request.http.headers.set("authorization", context.authorization);
    // Of the connection: what a client claims in this header is worth nothing.
    request.http.headers.set("x-forwarded-for", context.address);
  }
}

export async function serve(supergraphSdl, DataSource = PassingOn) {
  const gateway = new ApolloGateway({ supergraphSdl, buildService: ({ url }) => new DataSource({ url }) });
  const server = new ApolloServer({ gateway, includeStacktraceInErrorResponses: false });
  const context = async ({ req }) => ({
    authorization: req.headers.authorization,
    address: req.socket.remoteAddress,
    cookie: req.headers.cookie,
  });
  const { url } = await startStandaloneServer(server, { context, listen: { port: 0, host: "127.0.0.1" } });
  return { url, stop: () => server.stop() };
}
