import type { ErrorInfo } from "./errors.js";
import { parse } from "./json.js";
import { isOpen, scan } from "./operation.js";
import { refusal } from "./refusal.js";
import type { Session } from "./session.js";
import { isStream } from "./stream.js";

/**
 * A `fetch` for GraphQL clients. It sends the access token along, and a request that was refused for it once more with
 * a new one. The token goes to whatever address is fetched: give it to clients of your own servers only.
 */
export function createFetch(session: Session, send: typeof fetch, publicFields: readonly string[]): typeof fetch {
  return async (input, init) => {
    const request = input instanceof Request ? input : undefined;
    const asked = scan(await documentOf(request, init, request?.url ?? String(input)));

    for (let again = false; ; again = true) {
      const ticket = await session.authorize(isOpen(asked, publicFields));
      const headers = new Headers(init?.headers ?? request?.headers);
      for (const [name, value] of Object.entries(ticket.headers)) headers.set(name, value);
      const response = await send(request?.clone() ?? input, { ...init, headers });
      if (again || isStream(init?.body)) return response;
      const info = await refusalOf(response, asked.isQuery);
      if (!info || !(await session.mend(ticket, info))) return response;
    }
  };
}

/** The document of a request; nothing when it is not there to see, as with persisted queries. */
async function documentOf(request: Request | undefined, init: RequestInit | undefined, url: string): Promise<string> {
  const body = init?.body ?? (await request?.clone().text());
  if (typeof body === "string" && body) return String((parse(body) as { query?: unknown } | undefined)?.query ?? "");
  return new URL(url, "http://host").searchParams.get("query") ?? "";
}

/** Why the access token was refused, if sending the request again does no harm. */
async function refusalOf(response: Response, isQuery: boolean): Promise<ErrorInfo | undefined> {
  const plain: ErrorInfo | undefined = response.status === 401 ? { code: "UNAUTHENTICATED" } : undefined;
  if (!/^application\/(graphql-response\+)?json\b/.test(response.headers.get("content-type") ?? "")) return plain;
  const text = await response.clone().text();
  if (!text.includes('"UNAUTHENTICATED"')) return undefined; // most answers: not worth parsing
  const answer = parse(text) as Parameters<typeof refusal>[0] | undefined;
  return answer ? refusal(answer, isQuery) : plain;
}
