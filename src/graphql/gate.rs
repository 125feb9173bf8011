//! Who may come in, decided by the root fields before anything runs.
//!
//! A request that is turned away here has executed nothing, so a client may refresh its access token and send the
//! same request again, mutations included.

/// What a request needs to know about its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Nothing: an `Authorization` header is ignored, so that a stale one cannot keep anybody from signing in.
    Public,
    /// A good access token is used, a bad one ignored.
    Tolerant,
    /// Without credentials the answer is for nobody; bad ones are an error, or a client would not know to refresh.
    Optional,
    /// A good access token.
    Required,
}

/// Every root field that is not public.
const FIELDS: &[(&str, Access)] = &[
    ("me", Access::Optional),
    ("node", Access::Optional),
    ("logout", Access::Tolerant),
    ("auditEvents", Access::Required),
    ("revokeSessions", Access::Required),
    ("changePassword", Access::Required),
    ("deleteAccount", Access::Required),
    ("user", Access::Required),
    ("users", Access::Required),
    ("updateUser", Access::Required),
    ("changeEmail", Access::Required),
    // The session of whoever confirms their own new address stays; without one all of them end.
    ("verifyEmail", Access::Tolerant),
    ("sessionEvents", Access::Required),
    ("_entities", Access::Required),
];

/// Fields that take a password or a token, or send a letter: one of them in an operation, or a guesser would put in a thousand.
const TAKES_CREDENTIAL: &[&str] = &[
    "login",
    "register",
    "exchangeToken",
    "refreshToken",
    "logout",
    "changePassword",
    "deleteAccount",
    "requestPasswordReset",
    "resetPassword",
    "requestEmailVerification",
    "verifyEmail",
    "changeEmail",
];

/// Fields that the gateway of a federated graph asks for.
const OF_A_SUBGRAPH: &[&str] = &["_entities", "_service"];

/// Fields that begin or refresh a session: a DPoP proof that comes with one is for the session's own key.
const TAKES_PROOF: &[&str] = &["login", "register", "exchangeToken", "refreshToken"];

/// What an operation needs: the most that any of its root fields needs.
pub fn access<'a>(root_fields: impl IntoIterator<Item = &'a str>) -> Access {
    root_fields.into_iter().map(access_of).max().unwrap_or(Access::Public)
}

/// Whether a root field takes a password or a token, or sends a letter.
#[must_use]
pub fn takes_credential(root_field: &str) -> bool {
    TAKES_CREDENTIAL.contains(&root_field)
}

/// Whether a root field begins or refreshes a session.
#[must_use]
pub fn takes_proof(root_field: &str) -> bool {
    TAKES_PROOF.contains(&root_field)
}

/// Whether a root field is there for the gateway of a federated graph.
#[must_use]
pub fn is_of_a_subgraph(root_field: &str) -> bool {
    OF_A_SUBGRAPH.contains(&root_field)
}

fn access_of(root_field: &str) -> Access {
    FIELDS.iter().find(|(name, _)| *name == root_field).map_or(Access::Public, |(_, access)| *access)
}
