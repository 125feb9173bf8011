// An app as React runs it while it is developed: StrictMode mounts everything twice.
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from "@apollo/client/core";
import { ApolloProvider, useQuery } from "@apollo/client/react";
import { StrictMode, useEffect } from "react";
import { createRoot } from "react-dom/client";
import { createKeywheel, type Keywheel } from "../../../src/index.js";
import { useKeywheel } from "../../../src/react.js";

const ME = gql`
  query Me {
    me {
      id
    }
  }
`;

declare global {
  interface Window {
    mount(url: string): void;
    strict: { keywheel: Keywheel; goodbyes: string[]; effects: number; unmount(): void };
  }
}

window.mount = (url) => {
  const goodbyes: string[] = [];
  const onSignedOut = (reason: string) => {
    goodbyes.push(reason);
    void client.clearStore();
  };
  const keywheel = createKeywheel({ url, onSignedOut });
  const client = new ApolloClient({
    link: ApolloLink.from([keywheel.link, new HttpLink({ uri: url })]),
    cache: new InMemoryCache(),
  });
  const root = createRoot(document.getElementById("root")!);
  window.strict = { keywheel, goodbyes, effects: 0, unmount: () => root.unmount() };

  function Gate() {
    const { status, session } = useKeywheel(keywheel);
    useEffect(() => void (window.strict.effects += 1), []);
    if (status === "unknown") return <p id="status">unknown</p>;
    return status === "signedIn" ? <App key={session} /> : <p id="status">signed out</p>;
  }
  function App() {
    const { user } = useKeywheel(keywheel);
    const { data } = useQuery<{ me: { id: string } }>(ME);
    return (
      <p id="status">
        {user} {data?.me?.id === user ? "is there" : "is asked for"}
      </p>
    );
  }
  root.render(
    <StrictMode>
      <ApolloProvider client={client}>
        <Gate />
      </ApolloProvider>
    </StrictMode>,
  );
};
