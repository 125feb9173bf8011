//! The operations in `tests/operations`, generated from the schema when this is compiled.

#![deny(warnings)]

use graphql_client::GraphQLQuery;

type DateTime = String;

macro_rules! operations {
    ($($name:ident in $file:tt),* $(,)?) => {$(
        #[derive(GraphQLQuery)]
        #[graphql(
            schema_path = "../../../schema.graphql",
            query_path = $file,
            response_derives = "Debug, PartialEq",
            variables_derives = "Debug, Clone, Default"
        )]
        pub struct $name;
    )*};
}

operations!(
    Register in "../../operations/sign-in.graphql",
    Login in "../../operations/sign-in.graphql",
    Refresh in "../../operations/sign-in.graphql",
    RefreshWithCookie in "../../operations/sign-in.graphql",
    Logout in "../../operations/sign-in.graphql",
    ChangePassword in "../../operations/sign-in.graphql",
    Me in "../../operations/sessions.graphql",
    MySessions in "../../operations/sessions.graphql",
    Refetch in "../../operations/sessions.graphql",
    RevokeOthers in "../../operations/sessions.graphql",
    RevokeAll in "../../operations/sessions.graphql",
    RevokeSome in "../../operations/sessions.graphql",
    RequestPasswordReset in "../../operations/recovery.graphql",
    ResetPassword in "../../operations/recovery.graphql",
    RequestEmailVerification in "../../operations/recovery.graphql",
    ChangeEmail in "../../operations/recovery.graphql",
    VerifyEmail in "../../operations/recovery.graphql",
);
