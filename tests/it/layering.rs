//! Which module may name which, and how long a file may be.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The arrows: a module and those that it may name.
const ARROWS: [(&str, &[&str]); 13] = [
    ("domain", &[]),
    ("clock", &[]),
    ("telemetry", &[]),
    ("config", &["domain"]),
    ("mail", &["domain"]),
    ("store", &["domain"]),
    ("crypto", &["domain", "clock", "telemetry"]),
    ("auth", &["domain", "clock", "crypto", "mail", "store", "telemetry"]),
    ("graphql", &["domain", "auth"]),
    ("http", &["domain", "auth", "graphql", "mail", "telemetry"]),
    (
        "app",
        &["auth", "clock", "config", "crypto", "domain", "graphql", "http", "mail", "store", "telemetry"],
    ),
    ("cli", &["app", "config", "graphql"]),
    ("main", &["cli"]),
];

/// Crates that only one place may know.
const AT_HOME: [(&str, &[&str]); 7] = [
    ("sea_orm", &["store"]),
    ("sqlx", &["store"]),
    ("migration", &["app"]),
    ("axum", &["http", "app"]),
    ("async_graphql", &["graphql", "http"]),
    ("lettre", &["mail"]),
    ("minijinja", &["mail"]),
];

const MAX_LINES: usize = 400;

#[test]
fn modules_name_only_what_they_may() {
    let mut wrong = Vec::new();
    for (file, text) in sources("src") {
        let module = module_of(&file);
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == module) else {
            assert_eq!(module, "lib", "{} is in no row of the table", file.display());
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            for named in named_modules(line, &text, number) {
                if named != module && !allowed.contains(&named.as_str()) {
                    wrong.push(format!(
                        "{}:{}: {module} -> {named}: {}",
                        file.display(),
                        number + 1,
                        line.trim()
                    ));
                }
            }
            for (name, homes) in AT_HOME {
                if mentions_crate(line, name) && !homes.contains(&module.as_str()) {
                    wrong.push(format!(
                        "{}:{}: {module} -> {name}: {}",
                        file.display(),
                        number + 1,
                        line.trim()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn files_are_short_enough_to_read() {
    let long: Vec<String> = ["src", "migration/src", "tests"]
        .into_iter()
        .flat_map(sources)
        .filter(|(_, text)| text.lines().count() > MAX_LINES)
        .map(|(file, text)| format!("{}: {} lines", file.display(), text.lines().count()))
        .collect();
    assert!(long.is_empty(), "more than {MAX_LINES} lines:\n{}", long.join("\n"));
}

#[test]
fn the_table_catches_what_it_forbids() {
    let text =
        "use crate::{\n    auth::Auth,\n    store::{Store, users},\n};\nlet x = crate::http::router();";
    let named = |number: usize| named_modules(text.lines().nth(number).unwrap(), text, number);
    assert_eq!(named(1), ["auth"]);
    assert_eq!(named(2), ["store"]);
    assert_eq!(named(4), ["http"]);
    assert!(mentions_crate("use sqlx as db;", "sqlx"));
    assert!(
        mentions_crate("use sea_orm::EntityTrait;", "sea_orm")
            && !mentions_crate("a::migration", "migration")
    );
}

/// The modules of this crate that a line names: by `crate::x`, `keywheel::x`, or in a group that began above.
fn named_modules(line: &str, text: &str, number: usize) -> Vec<String> {
    let mut found: Vec<String> = ["crate::", "keywheel::"]
        .iter()
        .flat_map(|root| line.split(root).skip(1))
        .filter_map(|rest| first_name(rest.trim_start_matches('{')))
        .collect();
    let before: Vec<&str> = text.lines().take(number).collect();
    let group = before.iter().rposition(|line| line.trim_end().ends_with("crate::{"));
    if let Some(start) = group
        && before[start..].iter().all(|line| !line.starts_with("};"))
        && line.starts_with("    ")
        && !line.starts_with("     ")
    {
        found.extend(first_name(line.trim_start()));
    }
    found
}

fn first_name(text: &str) -> Option<String> {
    let name: String = text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    ARROWS.iter().any(|(module, _)| *module == name).then_some(name)
}

fn mentions_crate(line: &str, name: &str) -> bool {
    if line.trim().trim_start_matches("pub ").starts_with(&format!("use {name} as ")) {
        return true;
    }
    line.match_indices(&format!("{name}::")).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
    })
}

fn module_of(file: &Path) -> String {
    let inside = file.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((path.clone(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty());
    found
}
