/** What can be sent only once. React Native has no such class. */
export function isStream(body: unknown): boolean {
  return typeof ReadableStream !== "undefined" && body instanceof ReadableStream;
}
