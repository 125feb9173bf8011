// Written by scripts/codes.mjs from schema.graphql. Do not edit: run `npm run codes`.

/** A value of `extensions.code`. A newer server may send others: treat those like `INTERNAL_SERVER_ERROR`. */
export type ErrorCode =
  /** The account is blocked; an administrator can unblock it. */
  | "ACCOUNT_BLOCKED"
  /** Input failed validation; `extensions.fields` is a list of {path, code, message}. */
  | "BAD_USER_INPUT"
  /** Repeat with the nonce from the `DPoP-Nonce` header. Nothing was executed. */
  | "DPOP_NONCE_REQUIRED"
  /** The DPoP proof is missing or wrong; `extensions.reason` says what about it. Nothing was changed, and refreshing does not help. */
  | "DPOP_PROOF_INVALID"
  /** The email address must be verified before signing in. */
  | "EMAIL_NOT_VERIFIED"
  /** The emailed token is unknown, spent or expired. */
  | "EMAIL_TOKEN_INVALID"
  /** Signed in, but not allowed. */
  | "FORBIDDEN"
  /** The query is not a GraphQL document. */
  | "GRAPHQL_PARSE_FAILED"
  /** The query does not fit the schema. */
  | "GRAPHQL_VALIDATION_FAILED"
  /** Something is broken on the server; `extensions.requestId` finds it in the log. */
  | "INTERNAL_SERVER_ERROR"
  /** Wrong identifier or password; never says which. */
  | "INVALID_CREDENTIALS"
  /** There is no such object, or it is none of the caller's business. */
  | "NOT_FOUND"
  /** The operation is larger than the server accepts, or holds more than one field that takes a credential. */
  | "OPERATION_TOO_COMPLEX"
  /** The browser origin is not on the server's list, or the request could have been forged (CSRF). */
  | "ORIGIN_NOT_ALLOWED"
  /** Too many attempts; wait `extensions.retryAfter` seconds. */
  | "RATE_LIMITED"
  /** Too long ago signed in for this change; sign in again, then repeat it. */
  | "REAUTHENTICATION_REQUIRED"
  /** The refresh token is missing, unknown, expired or revoked. Sign in again; do not refresh. */
  | "REFRESH_TOKEN_INVALID"
  /** The refresh token was already spent; its session was ended. Sign in again; do not refresh. */
  | "REFRESH_TOKEN_REUSED"
  /** The server cannot answer now (database unreachable, hashing queue full); repeat after `extensions.retryAfter` seconds. Nothing was changed. */
  | "SERVICE_UNAVAILABLE"
  /**
   * No usable access token; `extensions.reason` says why: TOKEN_MISSING, TOKEN_EXPIRED, TOKEN_INVALID, SESSION_REVOKED.
   * Decided before anything runs: no field of the request was executed, so repeating it is safe, mutations included.
   */
  | "UNAUTHENTICATED";
