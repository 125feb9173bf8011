//! Documents made to hurt: refused at once, before anything is executed.

use std::fmt::Write;

use axum::http::Method;
use serde_json::json;

use crate::support::{ALICE, PASSWORD, Reply, TestApp, client::MODERN};

async fn ask(app: &TestApp, query: &str) -> Reply {
    app.client().accepting(MODERN).query(query).await
}

/// Each of `levels` fragments spreads the next one `width` times.
fn fragment_bomb(levels: usize, width: usize) -> String {
    let mut query = "{ ...f0 }".to_owned();
    for level in 0..levels {
        let spreads = format!("...f{} ", level + 1).repeat(width);
        write!(query, " fragment f{level} on Query {{ {spreads}}}").unwrap();
    }
    query + &format!(" fragment f{levels} on Query {{ __typename }}")
}

/// Expanded, the first of them has 14 million selections and the second 10^27: whoever walks them does not come back.
#[tokio::test]
async fn fragment_bombs_are_defused() {
    let app = TestApp::start().await;
    for (levels, width) in [(15, 3), (30, 8), (20, 2), (10, 10), (60, 2)] {
        let reply = ask(&app, &fragment_bomb(levels, width)).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (400, "OPERATION_TOO_COMPLEX"));
    }
    let unused = format!("{{ __typename }} {}", fragment_bomb(20, 2).split_once('}').unwrap().1);
    assert_eq!(ask(&app, &unused).await.code(), "OPERATION_TOO_COMPLEX", "in a fragment that nobody spreads");
    let other = format!("query a {{ __typename }} query b {}", fragment_bomb(20, 2));
    let body = json!({ "query": other, "operationName": "a" }).to_string();
    let reply = app.client().send(Method::POST, "/graphql", body).await;
    assert_eq!(reply.code(), "OPERATION_TOO_COMPLEX", "in an operation that is not asked for");
    ask(&app, "{ ...a ...a } fragment a on Query { ...b ...b } fragment b on Query { __typename }")
        .await
        .data();
}

#[tokio::test]
async fn a_fragment_that_contains_itself_is_refused() {
    let app = TestApp::start().await;
    for query in [
        "{ ...a } fragment a on Query { ...a }",
        "{ ...a } fragment a on Query { ...b } fragment b on Query { __typename ...a }",
        "{ __typename } fragment a on Query { ...b } fragment b on Query { ...a }",
    ] {
        assert_eq!(ask(&app, query).await.code(), "GRAPHQL_VALIDATION_FAILED");
    }
}

#[tokio::test]
async fn wide_deep_and_long_documents_are_refused() {
    let app = TestApp::start().await;
    let aliases = |n: usize, field: &str| {
        let fields: Vec<_> = (0..n).map(|i| format!("a{i}: {field}")).collect();
        format!("{{ {} }}", fields.join(" "))
    };
    let nested = |n: usize| format!("{}__typename{}", "{ me ".repeat(n), "}".repeat(n));
    for query in [
        aliases(10_000, "__typename"),
        aliases(501, "me{id}"),
        aliases(11, "__typename"),
        nested(9),
        nested(500),
        "{".repeat(8_000),
        "[".repeat(8_000),
        format!("{{ me(a: {}) }}", "[".repeat(7_000)),
        format!("{{ me(a: {}) }}", "{a:".repeat(2_500)),
        format!("query ($a: {}) {{ __typename }}", "[".repeat(7_000)),
        format!("{{ {} }}", "...{ ".repeat(1_500)),
        format!("{{ a(b: [\"\" {}{}]) }}", "[".repeat(330), "]".repeat(330)),
        format!("{{ __typename }} # {}", "x".repeat(8_192)),
        "{ me { sessions { nodes { id } } } ".to_owned() + &"__typename ".repeat(495) + "}",
    ] {
        let reply = ask(&app, &query).await;
        assert_eq!(reply.code(), "OPERATION_TOO_COMPLEX", "{}…", &query[..query.len().min(60)]);
    }
    ask(&app, &aliases(10, "__typename")).await.data();
    let brackets_in_text =
        format!("{{ me {{ sessions(after: \"{}\") {{ nodes {{ id }} }} }} }}", "[".repeat(100));
    assert_eq!(ask(&app, &brackets_in_text).await.data()["me"], json!(null));
    let in_block = format!(
        "{{ __typename }} # {0}\n query b {{ node(id: \"\"\"{0} \\\"\"\" {0}\"\"\") {{ id }} }}",
        "{".repeat(50)
    );
    assert_eq!(
        ask(&app, &in_block).await.code(),
        "GRAPHQL_PARSE_FAILED",
        "read, and found to be two operations"
    );
}

/// Taken for an empty string and an open one, three quotes would hide every bracket that follows.
#[tokio::test]
async fn brackets_cannot_hide_behind_quotes() {
    let app = TestApp::start().await;
    let brackets = format!("{}{}", "[".repeat(330), "]".repeat(330));
    for hidden in ["[\"\"\" \"", "[\"\"\"\"", "\"\"\" \" [", "[\"\"\" \\\"\"\" \""] {
        let query = format!("{{ __typename @include(if: {hidden}{brackets}]) }}");
        assert_eq!(ask(&app, &query).await.code(), "GRAPHQL_PARSE_FAILED", "{hidden}");
    }
}

#[tokio::test]
async fn an_operation_takes_one_credential() {
    let app = TestApp::start().await;
    let login =
        format!("login(input: {{ identifier: \"{ALICE}\", password: \"{PASSWORD}\" }}) {{ expiresIn }}");
    for query in [
        format!("mutation {{ a: {login} b: {login} }}"),
        format!("mutation {{ {login} refreshToken {{ expiresIn }} }}"),
        format!(
            "mutation {{ ...f ...g }} fragment f on Mutation {{ a: {login} }} fragment g on Mutation {{ b: {login} }}"
        ),
        format!("mutation {{ ...f ...f }} fragment f on Mutation {{ {login} }}"),
        format!("mutation {{ {login} ... on Mutation {{ ... {{ x: {login} }} }} }}"),
        format!("mutation {{ {login} logout {{ session {{ id }} }} }}"),
    ] {
        let (statements, reply) = app.statements_of(ask(&app, &query)).await;
        assert_eq!((reply.code().as_str(), statements), ("OPERATION_TOO_COMPLEX", 0), "{query}");
    }
    ask(&app, &format!("mutation {{ {login} }}")).await.data();
    let two = format!("mutation a {{ {login} }} mutation b {{ {login} }}");
    let body = json!({ "query": two, "operationName": "b" }).to_string();
    app.client().send(Method::POST, "/graphql", body).await.data();
}

#[tokio::test]
async fn the_usual_introspection_passes_and_a_multiplied_one_does_not() {
    let app = TestApp::start().await;
    let of_type = (0..9).fold("name kind".to_owned(), |inner, _| format!("name kind ofType {{ {inner} }}"));
    let usual = format!(
        "query IntrospectionQuery {{ __schema {{ queryType {{ name }} mutationType {{ name }}
           types {{ ...FullType }} directives {{ name description locations args {{ ...InputValue }} }} }} }}
         fragment FullType on __Type {{ kind name description
           fields(includeDeprecated: true) {{ name description args {{ ...InputValue }} type {{ ...TypeRef }}
             isDeprecated deprecationReason }}
           inputFields {{ ...InputValue }} interfaces {{ ...TypeRef }}
           enumValues(includeDeprecated: true) {{ name description isDeprecated deprecationReason }}
           possibleTypes {{ ...TypeRef }} }}
         fragment InputValue on __InputValue {{ name description type {{ ...TypeRef }} defaultValue }}
         fragment TypeRef on __Type {{ {of_type} }}"
    );
    let types = ask(&app, &usual).await.data()["__schema"]["types"].as_array().unwrap().len();
    assert!(types > 30);
    let back_and_forth =
        (0..3).fold("name".to_owned(), |inner, _| format!("fields {{ type {{ {inner} }} }}"));
    let multiplied = format!("{{ __schema {{ types {{ {back_and_forth} }} }} }}");
    assert_eq!(ask(&app, &multiplied).await.code(), "OPERATION_TOO_COMPLEX");
}

#[tokio::test]
async fn a_body_is_64_kilobytes_at_most_announced_or_not() {
    let app = TestApp::start().await;
    let body = |size: usize| {
        let empty = json!({ "query": "{ __typename }", "extensions": { "pad": "" } }).to_string();
        empty.replace("\"pad\":\"\"", &format!("\"pad\":\"{}\"", "x".repeat(size - empty.len())))
    };
    let post =
        async |client: crate::support::Client, size| client.send(Method::POST, "/graphql", body(size)).await;
    post(app.client(), 64 * 1024).await.data();
    for size in [64 * 1024 + 1, 1_000_000] {
        let reply = post(app.client(), size).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (413, "OPERATION_TOO_COMPLEX"));
        let announced = app.client().header("content-length", &size.to_string());
        assert_eq!(post(announced, size).await.status, 413);
    }
}
