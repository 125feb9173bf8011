import { errorInfo, type ErrorInfo } from "./errors.js";

/**
 * Why an answer refuses the access token, if sending the request again does no harm: no `data` says that nothing has
 * run, and a query may run twice.
 */
export function refusal(answer: { data?: unknown; errors?: unknown }, isQuery: boolean): ErrorInfo | undefined {
  return isQuery || answer.data === undefined ? refused(answer.errors) : undefined;
}

/** The same of an error. */
export function refused(error: unknown): ErrorInfo | undefined {
  const info = errorInfo(error);
  return info?.code === "UNAUTHENTICATED" ? info : undefined;
}
