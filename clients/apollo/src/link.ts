import { ApolloLink, Observable } from "@apollo/client/core";
import type { ErrorInfo } from "./errors.js";
import { isOpen, read } from "./operation.js";
import { refusal, refused } from "./refusal.js";
import type { Session } from "./session.js";

/**
 * The link for Apollo Client: right above the `HttpLink`, below links that repeat. It sends the access token along, and
 * an operation that was refused for it once more with a new one. `context: { anonymous: true }` goes past it.
 *
 * It looks at answers and errors by their shape, which is why it works with Apollo Client 3 and 4 alike.
 */
export function createLink(session: Session, publicFields: readonly string[]): ApolloLink {
  return new ApolloLink((operation, forward) => {
    if (operation.getContext()["anonymous"]) return forward(operation);
    const asked = read(operation.query);

    return new Observable((observer) => {
      let current: { unsubscribe(): void } | undefined;
      let closed = false;

      async function send(again: boolean): Promise<void> {
        const ticket = await session.authorize(isOpen(asked, publicFields));
        if (closed) return;
        operation.setContext(({ headers }: Record<string, any>) => {
          const { authorization: _, ...others } = headers ?? {};
          return { headers: { ...others, ...ticket.headers } };
        });

        let [first, held] = [true, false];
        /** Passes an answer on; a refusal that comes first only when it is clear that it is the last word. */
        function judge(info: ErrorInfo | undefined, pass: () => void): void {
          held = first && !again && info !== undefined;
          first = false;
          if (!held) return pass();
          session
            .mend(ticket, info!)
            .then((mended) => (mended ? send(true) : pass()))
            .catch(fail);
        }
        current = forward(operation).subscribe({
          next(answer: any) {
            judge(answer.errors && refusal(answer, asked.isQuery), () => {
              observer.next(answer);
              if (held) observer.complete();
            });
          },
          error(error: unknown) {
            judge(refused(error) ?? plain401(error), () => observer.error(error));
          },
          complete() {
            if (!held) observer.complete();
          },
        });
      }

      function fail(error: unknown): void {
        if (!closed) observer.error(error);
      }

      send(false).catch(fail);
      return () => {
        closed = true;
        current?.unsubscribe();
      };
    });
  });
}

/** A 401 of a service that knows no codes. */
function plain401(error: unknown): ErrorInfo | undefined {
  return (error as { statusCode?: number } | undefined)?.statusCode === 401 ? { code: "UNAUTHENTICATED" } : undefined;
}
