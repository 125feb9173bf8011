/* eslint-disable */
import * as types from './graphql';
import type { TypedDocumentNode as DocumentNode } from '@graphql-typed-document-node/core';

/**
 * Map of all GraphQL operations in the project.
 *
 * This map has several performance disadvantages:
 * 1. It is not tree-shakeable, so it will include all operations in the project.
 * 2. It is not minifiable, so the string of a GraphQL query will be multiple times inside the bundle.
 * 3. It does not support dead code elimination, so it will add unused operations.
 *
 * Therefore it is highly recommended to use the babel or swc plugin for production.
 * Learn more about it here: https://the-guild.dev/graphql/codegen/plugins/presets/preset-client#reducing-bundle-size
 */
type Documents = {
    "\n  query Sessions {\n    me {\n      id\n      sessions(first: 100) {\n        nodes {\n          id\n          current\n          deviceName\n          ipAddress\n          createdAt\n          lastUsedAt\n          revokedAt\n        }\n      }\n    }\n  }\n": typeof types.SessionsDocument,
    "\n  mutation RevokeSessions($input: RevokeSessionsInput!) {\n    revokeSessions(input: $input) {\n      signedOut\n      sessions {\n        id\n        revokedAt\n        revokedReason\n      }\n    }\n  }\n": typeof types.RevokeSessionsDocument,
    "\n  mutation RequestPasswordReset($input: RequestPasswordResetInput!) {\n    requestPasswordReset(input: $input) {\n      expiresIn\n      retryAfter\n    }\n  }\n": typeof types.RequestPasswordResetDocument,
    "\n  mutation ChangePassword($input: ChangePasswordInput!) {\n    changePassword(input: $input) {\n      revokedSessions {\n        id\n        revokedAt\n      }\n      user {\n        id\n      }\n    }\n  }\n": typeof types.ChangePasswordDocument,
    "\n  query Me {\n    me {\n      id\n      email\n      emailVerified\n      username\n      createdAt\n      roles\n    }\n  }\n": typeof types.MeDocument,
    "\n  mutation ChangeEmail($input: ChangeEmailInput!) {\n    changeEmail(input: $input) {\n      expiresIn\n    }\n  }\n": typeof types.ChangeEmailDocument,
    "\n  mutation VerifyAgain($input: RequestEmailVerificationInput!) {\n    requestEmailVerification(input: $input) {\n      expiresIn\n    }\n  }\n": typeof types.VerifyAgainDocument,
    "\n  mutation DeleteAccount($input: DeleteAccountInput!) {\n    deleteAccount(input: $input) {\n      deletedUserId\n    }\n  }\n": typeof types.DeleteAccountDocument,
    "\n  mutation ResetPassword($input: ResetPasswordInput!) {\n    resetPassword(input: $input) {\n      user {\n        id\n      }\n    }\n  }\n": typeof types.ResetPasswordDocument,
    "\n  query Settings {\n    settings {\n      passwordMinLength\n      registrationOpen\n      sendsEmail\n    }\n  }\n": typeof types.SettingsDocument,
    "\n  mutation Register($input: RegisterInput!) {\n    register(input: $input) {\n      emailVerificationRequired\n      auth {\n        accessToken\n        expiresIn\n        tokenType\n        refreshToken\n        deviceToken\n        session {\n          id\n        }\n        user {\n          id\n        }\n      }\n    }\n  }\n": typeof types.RegisterDocument,
    "\n  mutation RequestEmailVerification($input: RequestEmailVerificationInput!) {\n    requestEmailVerification(input: $input) {\n      expiresIn\n      retryAfter\n    }\n  }\n": typeof types.RequestEmailVerificationDocument,
    "\n  mutation VerifyEmail($input: VerifyEmailInput!) {\n    verifyEmail(input: $input) {\n      user {\n        id\n        email\n        emailVerified\n      }\n    }\n  }\n": typeof types.VerifyEmailDocument,
    "\n  mutation StartDemo($input: LoginInput!) {\n    login(input: $input) {\n      accessToken\n      refreshToken\n    }\n  }\n": typeof types.StartDemoDocument,
    "\n  mutation RefreshDemo($input: RefreshTokenInput!) {\n    refreshToken(input: $input) {\n      accessToken\n      refreshToken\n    }\n  }\n": typeof types.RefreshDemoDocument,
    "\n  query WhoAmI {\n    me {\n      id\n    }\n  }\n": typeof types.WhoAmIDocument,
    "\n  mutation EndDemo($input: LogoutInput!) {\n    logout(input: $input) {\n      session {\n        id\n      }\n    }\n  }\n": typeof types.EndDemoDocument,
    "\n  subscription SessionEvents {\n    sessionEvents {\n      id\n      kind\n      session {\n        id\n        deviceName\n        revokedAt\n        revokedReason\n      }\n    }\n  }\n": typeof types.SessionEventsDocument,
};
const documents: Documents = {
    "\n  query Sessions {\n    me {\n      id\n      sessions(first: 100) {\n        nodes {\n          id\n          current\n          deviceName\n          ipAddress\n          createdAt\n          lastUsedAt\n          revokedAt\n        }\n      }\n    }\n  }\n": types.SessionsDocument,
    "\n  mutation RevokeSessions($input: RevokeSessionsInput!) {\n    revokeSessions(input: $input) {\n      signedOut\n      sessions {\n        id\n        revokedAt\n        revokedReason\n      }\n    }\n  }\n": types.RevokeSessionsDocument,
    "\n  mutation RequestPasswordReset($input: RequestPasswordResetInput!) {\n    requestPasswordReset(input: $input) {\n      expiresIn\n      retryAfter\n    }\n  }\n": types.RequestPasswordResetDocument,
    "\n  mutation ChangePassword($input: ChangePasswordInput!) {\n    changePassword(input: $input) {\n      revokedSessions {\n        id\n        revokedAt\n      }\n      user {\n        id\n      }\n    }\n  }\n": types.ChangePasswordDocument,
    "\n  query Me {\n    me {\n      id\n      email\n      emailVerified\n      username\n      createdAt\n      roles\n    }\n  }\n": types.MeDocument,
    "\n  mutation ChangeEmail($input: ChangeEmailInput!) {\n    changeEmail(input: $input) {\n      expiresIn\n    }\n  }\n": types.ChangeEmailDocument,
    "\n  mutation VerifyAgain($input: RequestEmailVerificationInput!) {\n    requestEmailVerification(input: $input) {\n      expiresIn\n    }\n  }\n": types.VerifyAgainDocument,
    "\n  mutation DeleteAccount($input: DeleteAccountInput!) {\n    deleteAccount(input: $input) {\n      deletedUserId\n    }\n  }\n": types.DeleteAccountDocument,
    "\n  mutation ResetPassword($input: ResetPasswordInput!) {\n    resetPassword(input: $input) {\n      user {\n        id\n      }\n    }\n  }\n": types.ResetPasswordDocument,
    "\n  query Settings {\n    settings {\n      passwordMinLength\n      registrationOpen\n      sendsEmail\n    }\n  }\n": types.SettingsDocument,
    "\n  mutation Register($input: RegisterInput!) {\n    register(input: $input) {\n      emailVerificationRequired\n      auth {\n        accessToken\n        expiresIn\n        tokenType\n        refreshToken\n        deviceToken\n        session {\n          id\n        }\n        user {\n          id\n        }\n      }\n    }\n  }\n": types.RegisterDocument,
    "\n  mutation RequestEmailVerification($input: RequestEmailVerificationInput!) {\n    requestEmailVerification(input: $input) {\n      expiresIn\n      retryAfter\n    }\n  }\n": types.RequestEmailVerificationDocument,
    "\n  mutation VerifyEmail($input: VerifyEmailInput!) {\n    verifyEmail(input: $input) {\n      user {\n        id\n        email\n        emailVerified\n      }\n    }\n  }\n": types.VerifyEmailDocument,
    "\n  mutation StartDemo($input: LoginInput!) {\n    login(input: $input) {\n      accessToken\n      refreshToken\n    }\n  }\n": types.StartDemoDocument,
    "\n  mutation RefreshDemo($input: RefreshTokenInput!) {\n    refreshToken(input: $input) {\n      accessToken\n      refreshToken\n    }\n  }\n": types.RefreshDemoDocument,
    "\n  query WhoAmI {\n    me {\n      id\n    }\n  }\n": types.WhoAmIDocument,
    "\n  mutation EndDemo($input: LogoutInput!) {\n    logout(input: $input) {\n      session {\n        id\n      }\n    }\n  }\n": types.EndDemoDocument,
    "\n  subscription SessionEvents {\n    sessionEvents {\n      id\n      kind\n      session {\n        id\n        deviceName\n        revokedAt\n        revokedReason\n      }\n    }\n  }\n": types.SessionEventsDocument,
};

/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 *
 *
 * @example
 * ```ts
 * const query = graphql(`query GetUser($id: ID!) { user(id: $id) { name } }`);
 * ```
 *
 * The query argument is unknown!
 * Please regenerate the types.
 */
export function graphql(source: string): unknown;

/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Sessions {\n    me {\n      id\n      sessions(first: 100) {\n        nodes {\n          id\n          current\n          deviceName\n          ipAddress\n          createdAt\n          lastUsedAt\n          revokedAt\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  query Sessions {\n    me {\n      id\n      sessions(first: 100) {\n        nodes {\n          id\n          current\n          deviceName\n          ipAddress\n          createdAt\n          lastUsedAt\n          revokedAt\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation RevokeSessions($input: RevokeSessionsInput!) {\n    revokeSessions(input: $input) {\n      signedOut\n      sessions {\n        id\n        revokedAt\n        revokedReason\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation RevokeSessions($input: RevokeSessionsInput!) {\n    revokeSessions(input: $input) {\n      signedOut\n      sessions {\n        id\n        revokedAt\n        revokedReason\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation RequestPasswordReset($input: RequestPasswordResetInput!) {\n    requestPasswordReset(input: $input) {\n      expiresIn\n      retryAfter\n    }\n  }\n"): (typeof documents)["\n  mutation RequestPasswordReset($input: RequestPasswordResetInput!) {\n    requestPasswordReset(input: $input) {\n      expiresIn\n      retryAfter\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation ChangePassword($input: ChangePasswordInput!) {\n    changePassword(input: $input) {\n      revokedSessions {\n        id\n        revokedAt\n      }\n      user {\n        id\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation ChangePassword($input: ChangePasswordInput!) {\n    changePassword(input: $input) {\n      revokedSessions {\n        id\n        revokedAt\n      }\n      user {\n        id\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Me {\n    me {\n      id\n      email\n      emailVerified\n      username\n      createdAt\n      roles\n    }\n  }\n"): (typeof documents)["\n  query Me {\n    me {\n      id\n      email\n      emailVerified\n      username\n      createdAt\n      roles\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation ChangeEmail($input: ChangeEmailInput!) {\n    changeEmail(input: $input) {\n      expiresIn\n    }\n  }\n"): (typeof documents)["\n  mutation ChangeEmail($input: ChangeEmailInput!) {\n    changeEmail(input: $input) {\n      expiresIn\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation VerifyAgain($input: RequestEmailVerificationInput!) {\n    requestEmailVerification(input: $input) {\n      expiresIn\n    }\n  }\n"): (typeof documents)["\n  mutation VerifyAgain($input: RequestEmailVerificationInput!) {\n    requestEmailVerification(input: $input) {\n      expiresIn\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation DeleteAccount($input: DeleteAccountInput!) {\n    deleteAccount(input: $input) {\n      deletedUserId\n    }\n  }\n"): (typeof documents)["\n  mutation DeleteAccount($input: DeleteAccountInput!) {\n    deleteAccount(input: $input) {\n      deletedUserId\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation ResetPassword($input: ResetPasswordInput!) {\n    resetPassword(input: $input) {\n      user {\n        id\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation ResetPassword($input: ResetPasswordInput!) {\n    resetPassword(input: $input) {\n      user {\n        id\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Settings {\n    settings {\n      passwordMinLength\n      registrationOpen\n      sendsEmail\n    }\n  }\n"): (typeof documents)["\n  query Settings {\n    settings {\n      passwordMinLength\n      registrationOpen\n      sendsEmail\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation Register($input: RegisterInput!) {\n    register(input: $input) {\n      emailVerificationRequired\n      auth {\n        accessToken\n        expiresIn\n        tokenType\n        refreshToken\n        deviceToken\n        session {\n          id\n        }\n        user {\n          id\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation Register($input: RegisterInput!) {\n    register(input: $input) {\n      emailVerificationRequired\n      auth {\n        accessToken\n        expiresIn\n        tokenType\n        refreshToken\n        deviceToken\n        session {\n          id\n        }\n        user {\n          id\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation RequestEmailVerification($input: RequestEmailVerificationInput!) {\n    requestEmailVerification(input: $input) {\n      expiresIn\n      retryAfter\n    }\n  }\n"): (typeof documents)["\n  mutation RequestEmailVerification($input: RequestEmailVerificationInput!) {\n    requestEmailVerification(input: $input) {\n      expiresIn\n      retryAfter\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation VerifyEmail($input: VerifyEmailInput!) {\n    verifyEmail(input: $input) {\n      user {\n        id\n        email\n        emailVerified\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation VerifyEmail($input: VerifyEmailInput!) {\n    verifyEmail(input: $input) {\n      user {\n        id\n        email\n        emailVerified\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation StartDemo($input: LoginInput!) {\n    login(input: $input) {\n      accessToken\n      refreshToken\n    }\n  }\n"): (typeof documents)["\n  mutation StartDemo($input: LoginInput!) {\n    login(input: $input) {\n      accessToken\n      refreshToken\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation RefreshDemo($input: RefreshTokenInput!) {\n    refreshToken(input: $input) {\n      accessToken\n      refreshToken\n    }\n  }\n"): (typeof documents)["\n  mutation RefreshDemo($input: RefreshTokenInput!) {\n    refreshToken(input: $input) {\n      accessToken\n      refreshToken\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query WhoAmI {\n    me {\n      id\n    }\n  }\n"): (typeof documents)["\n  query WhoAmI {\n    me {\n      id\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation EndDemo($input: LogoutInput!) {\n    logout(input: $input) {\n      session {\n        id\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation EndDemo($input: LogoutInput!) {\n    logout(input: $input) {\n      session {\n        id\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription SessionEvents {\n    sessionEvents {\n      id\n      kind\n      session {\n        id\n        deviceName\n        revokedAt\n        revokedReason\n      }\n    }\n  }\n"): (typeof documents)["\n  subscription SessionEvents {\n    sessionEvents {\n      id\n      kind\n      session {\n        id\n        deviceName\n        revokedAt\n        revokedReason\n      }\n    }\n  }\n"];

export function graphql(source: string) {
  return (documents as any)[source] ?? {};
}

export type DocumentType<TDocumentNode extends DocumentNode<any, any>> = TDocumentNode extends DocumentNode<  infer TType,  any>  ? TType  : never;