// The explorer: GraphiQL, with the tokens looked after.
//
// An answer that holds tokens is remembered, and the next request carries them: Login, then every other tab works by
// one click. Tokens and passwords live in this page's memory and nowhere else; a reload forgets them.

/* global React, ReactDOM, GraphiQL */

const ENDPOINT = "/graphql";

// ---- Tabs ----------------------------------------------------------------------------------------------------------

const tabs = [
  {
    query: `# Sign in: fill in the password below, then run.
# The other tabs use the tokens of the answer.
mutation Login($input: LoginInput!) {
  login(input: $input) {
    accessToken
    tokenType
    expiresIn
    refreshToken
    refreshExpiresIn
    session {
      id
      deviceName
    }
    user {
      id
      email
      roles
    }
  }
}`,
    variables: {
      input: { identifier: "demo@example.com", password: "", delivery: "BODY", deviceName: "Explorer" },
    },
  },
  {
    query: `# Who am I? Null when nobody is signed in.
query Me {
  me {
    id
    email
    username
    emailVerified
    roles
    createdAt
  }
}`,
  },
  {
    query: `# Exchange the refresh token for new tokens.
# Empty variables are filled in on the way.
mutation Refresh($input: RefreshTokenInput) {
  refreshToken(input: $input) {
    accessToken
    tokenType
    expiresIn
    refreshToken
    refreshExpiresIn
    session {
      id
      lastUsedAt
    }
  }
}`,
    variables: { input: { refreshToken: "", retryKey: "" } },
  },
  {
    query: `# Where am I signed in?
query Sessions {
  me {
    sessions(first: 20) {
      nodes {
        id
        deviceName
        current
        lastUsedAt
        expiresAt
        ipAddress
      }
    }
  }
}`,
  },
  {
    query: `# Sign out everywhere else.
# The scope ALL ends this session as well.
mutation Revoke($input: RevokeSessionsInput!) {
  revokeSessions(input: $input) {
    signedOut
    sessions {
      id
      revokedAt
      revokedReason
    }
  }
}`,
    variables: { input: { scope: "OTHERS" } },
  },
  {
    query: `# What happens to my sessions, while it happens.
# Run, then sign in somewhere else.
subscription Follow {
  sessionEvents {
    id
    kind
    createdAt
    session {
      id
      deviceName
      current
      revokedReason
    }
  }
}`,
  },
].map(({ query, variables }) => ({ query, variables: variables ? JSON.stringify(variables, null, 2) : "" }));

// ---- Tokens --------------------------------------------------------------------------------------------------------

let tokens = { access: null, refresh: null };
let lastRetry = null;
const listeners = new Set();

function setTokens(access, refresh) {
  tokens = { access, refresh };
  lastRetry = null;
  listeners.forEach((listener) => listener());
}

/** Looks at everything in an answer, since an alias or a nested payload can put tokens anywhere. */
function learnFrom(value) {
  if (value === null || typeof value !== "object") return;
  if (value.signedOut === true || value.logout) setTokens(null, null);
  // Tokens come as a pair: where the cookie holds the refresh token, an older one must not stay behind.
  if (typeof value.accessToken === "string") setTokens(value.accessToken, value.refreshToken ?? null);
  Object.values(value).forEach(learnFrom);
}

/** The same key for the same token until new tokens arrive: it tells the server a repeated call from a stolen token. */
function retryKeyFor(token) {
  if (lastRetry === null || lastRetry.token !== token) {
    const random = String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16)));
    const key = btoa(random).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    lastRetry = { token, key };
  }
  return lastRetry.key;
}

/** Fills in what the variables leave empty. Without a remembered token the field goes away, and the cookie counts. */
function complete(request) {
  const input = request.variables?.input;
  if (input?.refreshToken === "") input.refreshToken = tokens.refresh ?? undefined;
  if (input?.retryKey === "") input.retryKey = retryKeyFor(input.refreshToken);
  return request;
}

async function fetchWithTokens(url, init) {
  const headers = new Headers(init.headers);
  // A header written in the tab wins.
  if (tokens.access && !headers.has("authorization")) headers.set("authorization", `Bearer ${tokens.access}`);

  const body = JSON.stringify(complete(JSON.parse(init.body)));
  const response = await fetch(url, { ...init, headers, body });

  // Errors change nothing here, UNAUTHENTICATED included: what became of the session is for the reader to see.
  if (/json/.test(response.headers.get("content-type"))) {
    const answer = await response.clone().json().catch(() => null);
    learnFrom(answer?.data);
  }
  return response;
}

// ---- Subscriptions -------------------------------------------------------------------------------------------------

/** Server-sent events, one request for each subscription. They are read with fetch, which can send the token along. */
async function listen(request, headers, sink, signal) {
  const init = {
    method: "POST",
    headers: { "content-type": "application/json", ...headers, accept: "text/event-stream" },
    body: JSON.stringify(request),
    signal,
  };
  const response = await fetchWithTokens(ENDPOINT, init);
  if (!/event-stream/.test(response.headers.get("content-type"))) return sink.next(await response.json());

  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const blocks = (text + part.value).split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const [, data] = block.match(/^event: next\ndata: (.*)$/) ?? [];
      if (data) sink.next(JSON.parse(data));
    }
  }
}

/** What GraphiQL wants of a client of WebSockets. */
const followWith = (headers) => ({
  subscribe(request, sink) {
    const stop = new AbortController();
    listen(request, headers, sink, stop.signal).then(
      () => sink.complete(),
      () => stop.signal.aborted || sink.error(new Error("The server has ended it; run it again to be told why.")),
    );
    return () => stop.abort();
  },
});

// ---- Requests ------------------------------------------------------------------------------------------------------

/** For a moment after a change of tabs GraphiQL still has the operation of the tab before. */
function ofThisTab(request, options) {
  let documentAST;
  try {
    documentAST = GraphiQL.GraphQL.parse(request.query);
  } catch {
    return [request, options]; // Not a valid document: the server says it better.
  }
  const names = documentAST.definitions.filter((it) => it.kind === "OperationDefinition").map((it) => it.name?.value);
  const named = names.includes(request.operationName) ? request.operationName : undefined;
  return [{ ...request, operationName: named ?? (names.length === 1 ? names[0] : undefined) }, { ...options, documentAST }];
}

function fetcher(...sent) {
  const [request, options] = ofThisTab(...sent);
  const wsClient = followWith(options?.headers);
  return GraphiQL.createFetcher({ url: ENDPOINT, fetch: fetchWithTokens, wsClient })(request, options);
}

// ---- Page ----------------------------------------------------------------------------------------------------------

/** GraphiQL stores tabs and history with their variables, passwords among them. This storage ends with the page. */
function memoryStorage(entries) {
  const items = new Map(entries);
  return {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
    clear: () => items.clear(),
    get length() {
      return items.size;
    },
  };
}

function Status() {
  const signedIn = React.useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => tokens.access !== null,
  );
  const text = signedIn ? "Signed in: the access token goes along with every request" : "Not signed in";
  return React.createElement(
    "span",
    { role: "status", className: signedIn ? "status signed-in" : "status", title: text },
    text,
  );
}

const explorer = React.createElement(
  GraphiQL,
  {
    fetcher,
    // GraphiQL shows the first tab's variables only if it finds them here.
    storage: memoryStorage([["graphiql:variables", tabs[0].variables]]),
    defaultTabs: tabs,
    defaultEditorToolsVisibility: "variables",
    isHeadersEditorEnabled: true,
    shouldPersistHeaders: false,
  },
  React.createElement(GraphiQL.Logo, null, React.createElement(Status)),
);

ReactDOM.createRoot(document.getElementById("explorer")).render(explorer);
