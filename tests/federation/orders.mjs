// Another service of the graph. It knows orders, adds them to the users of Keywheel, and finds out by itself who asks: it
// verifies the access token with Keywheel's public keys, and asks nobody.
import { ApolloServer } from "@apollo/server";
import { ApolloServerPluginInlineTraceDisabled } from "@apollo/server/plugin/disabled";
import { startStandaloneServer } from "@apollo/server/standalone";
import { buildSubgraphSchema } from "@apollo/subgraph";
import { GraphQLError, parse } from "graphql";
import { createRemoteJWKSet, jwtVerify } from "jose";

export const typeDefs = `
  extend schema @link(url: "https://specs.apollo.dev/federation/v2.5", import: ["@key", "@shareable"])

  type Query {
    "The caller's own."
    myOrders: [Order!]!
    "Everybody's, for everybody: but who the buyers are, Keywheel decides."
    latestOrders(first: Int! = 20): OrderConnection!
    "Of all services, one may have it."
    node(id: ID!): Node
  }

  interface Node { id: ID! }

  type Order implements Node @key(fields: "id") { id: ID! buyer: User! placedWith: Session }

  type User @key(fields: "id") { id: ID! orders: [Order!]! }
  type Session @key(fields: "id", resolvable: false) { id: ID! }

  type OrderConnection { nodes: [Order!]! pageInfo: PageInfo! }
  type PageInfo @shareable { hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String endCursor: String }
`;

// With the status 200, as Keywheel has it for gateways: of a 401 they tell the client the status, and not the reason.
const unauthenticated = (reason) =>
  new GraphQLError("A valid access token is needed.", { extensions: { code: "UNAUTHENTICATED", reason, http: { status: 200 } } });

/** Who asks, or null; a token that is there and not good is an error, so that a client knows to refresh. */
function verifier({ issuer, audience, jwks }) {
  const keys = createRemoteJWKSet(new URL(jwks));
  return async (authorization) => {
    if (!authorization) return null;
    const [, token] = /^Bearer (\S+)$/i.exec(authorization) ?? [];
    if (!token) throw unauthenticated("TOKEN_INVALID");
    try {
      const { payload } = await jwtVerify(token, keys, { issuer, audience, typ: "at+jwt", algorithms: ["ES256"] });
      // Bound to a key: good only with a proof that no gateway passes on.
      if (payload.cnf) throw new Error("bound");
      return payload.sub;
    } catch (error) {
      throw unauthenticated(error.code === "ERR_JWT_EXPIRED" ? "TOKEN_EXPIRED" : "TOKEN_INVALID");
    }
  };
}

/** Starts the service on orders like `{ id, buyer, session }`. */
export async function serve(orders, trust) {
  const identify = verifier(trust);
  const order = ({ id, buyer, session }) => ({ __typename: "Order", id, buyer: { __typename: "User", id: buyer }, placedWith: session && { __typename: "Session", id: session } });
  const required = (caller) => {
    if (!caller) throw unauthenticated("TOKEN_MISSING");
    return caller;
  };
  const of = (buyer) => orders.filter((each) => each.buyer === buyer).map(order);
  const pageInfo = { hasNextPage: false, hasPreviousPage: false };
  const resolvers = {
    Query: {
      myOrders: (_, __, { caller }) => of(required(caller)),
      latestOrders: (_, { first }) => ({ nodes: orders.slice(0, first).map(order), pageInfo }),
      node: () => null,
    },
    Node: { __resolveType: () => "Order" },
    Order: { __resolveReference: ({ id }) => orders.filter((each) => each.id === id).map(order)[0] },
    // `_entities` can be called by anybody who reaches the service, so it decides here and not at the gateway.
    User: { orders: ({ id }, _, { caller }) => (required(caller) === id ? of(id) : []) },
  };
  const server = new ApolloServer({
    schema: buildSubgraphSchema({ typeDefs: parse(typeDefs), resolvers }),
    // Traces would tell whoever asks for them how long what took.
    plugins: [ApolloServerPluginInlineTraceDisabled()],
    includeStacktraceInErrorResponses: false,
  });
  const context = async ({ req }) => ({ caller: await identify(req.headers.authorization) });
  const { url } = await startStandaloneServer(server, { context, listen: { port: 0, host: "127.0.0.1" } });
  return { url, stop: () => server.stop() };
}
