import { useApolloClient, useSubscription } from "@apollo/client/react";
import { checkSession, keywheel } from "./client";
import { graphql } from "./gql";
import { remember } from "./goodbye";

const SESSION_EVENTS = graphql(`
  subscription SessionEvents {
    sessionEvents {
      id
      kind
      session {
        id
        deviceName
        revokedAt
        revokedReason
      }
    }
  }
`);

/** Signs out at once when this session was ended elsewhere, and keeps the list of devices true. */
export function useSessionEvents(): void {
  const client = useApolloClient();
  useSubscription(SESSION_EVENTS, {
    ignoreResults: true,
    onData({ data: { data } }) {
      if (!data) return;
      const { kind, session } = data.sessionEvents;
      // Not `current`: the session of the socket may have been replaced by a new sign-in of this page.
      if (kind !== "CREATED" && session.id === keywheel.state.session) {
        remember(session.revokedReason);
        void checkSession();
      } else {
        void client.refetchQueries({ include: "active" });
      }
    },
  });
}
