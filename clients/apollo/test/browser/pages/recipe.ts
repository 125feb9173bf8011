// What the error links that people copy have in common: tokens in localStorage, and a refresh that knows nothing of other requests.
// Nothing here is good. It is what users write, and they should stay signed in all the same.

export interface RecipeApp {
  /** Asks so many times at once; says how each ended. */
  ask(times: number): Promise<string[]>;
  signIn(identifier: string, password: string): Promise<void>;
  /** Why the recipe has signed its user out: the codes of the refreshes that failed. */
  signedOut: string[];
  /** Refreshes that were begun. */
  begun: number;
}

export interface Options {
  url: string;
  /** Whether requests that fail together wait for one refresh, as the longer recipes do with a queue. */
  queue: boolean;
  /** Where the refresh token is. */
  delivery: "BODY" | "COOKIE";
}

declare global {
  interface Window {
    recipe: RecipeApp;
    cook(options: Options): void;
  }
}

export interface Kitchen extends RecipeApp {
  options: Options;
  accessToken(): string | null;
  /** Rejects, and signs out, whatever went wrong. */
  refresh(): Promise<string>;
}

const TOKENS = "accessToken refreshToken";

export function kitchen(options: Options): Kitchen {
  const { url, delivery } = options;

  async function post(query: string, input: object): Promise<any> {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      ...(delivery === "COOKIE" && { credentials: "include" as const }),
      body: JSON.stringify({ query, variables: { input } }),
    });
    const { data, errors } = await response.json();
    if (errors) throw new Error(errors[0].extensions.code);
    return Object.values(data)[0];
  }

  function keep({ accessToken, refreshToken }: { accessToken: string; refreshToken: string | null }): string {
    localStorage.setItem("accessToken", accessToken);
    if (refreshToken) localStorage.setItem("refreshToken", refreshToken);
    return accessToken;
  }

  const signedOut: string[] = [];
  return {
    options,
    signedOut,
    begun: 0,
    accessToken: () => localStorage.getItem("accessToken"),
    async signIn(identifier, password) {
      keep(
        await post(`mutation Login($input: LoginInput!) { login(input: $input) { ${TOKENS} } }`, {
          identifier,
          password,
          delivery,
        }),
      );
    },
    async refresh() {
      this.begun += 1;
      try {
        const refreshToken = localStorage.getItem("refreshToken") ?? undefined;
        return keep(
          await post(`mutation Refresh($input: RefreshTokenInput) { refreshToken(input: $input) { ${TOKENS} } }`, {
            refreshToken,
          }),
        );
      } catch (error) {
        signedOut.push((error as Error).message); // localStorage.clear(); location.href = "/login"
        throw error;
      }
    },
    ask: () => Promise.reject(new Error("no client")),
  };
}

/** How an answer ended, for the tests. */
export const ended = (asked: Promise<any>): Promise<string> =>
  asked.then(
    (result) => (result === undefined ? "nothing" : (result.data?.me?.id ?? "nobody")),
    (error: Error) => `failed: ${error.message}`,
  );

export const ME = "query Me { me { id } }";
