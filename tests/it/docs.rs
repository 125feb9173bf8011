//! What the documentation names is there: tests, files, sections, actions.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

use keywheel::domain::audit::Action;

const SECURITY: &str = "docs/security.md";
/// Tables whose rows say how something is defended: each row names a test.
const DEFENCES: &str = "| # | Attack | Defence | Where | Tests |";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn project_file(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_test_and_file_that_the_threat_model_names_is_there() {
    let text = project_file(SECURITY);
    let mut missing = Vec::new();
    let mut tests = 0;
    for span in code_spans(&text) {
        match Named::read(span) {
            Some(Named::Test { file, function }) => {
                tests += 1;
                if !has_test(&file, &function) {
                    missing.push(format!("{span}: no such test in {file}"));
                }
            }
            Some(Named::File(file)) if !root().join(&file).exists() => missing.push(file),
            Some(Named::File(_)) | None => {}
        }
    }
    assert!(missing.is_empty(), "{SECURITY}:\n{}", missing.join("\n"));
    assert!(tests > 100, "only {tests} tests were found: are they read at all?");
}

#[test]
fn every_defence_names_its_test_and_its_place() {
    let text = project_file(SECURITY);
    let mut rows = BTreeSet::new();
    let mut inside = false;
    for line in text.lines() {
        inside = line.starts_with('|') && (inside || line == DEFENCES);
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        if !inside || cells[0] == "#" || cells[0].starts_with("--") {
            continue;
        }
        assert_eq!(cells.len(), 5, "{line}");
        assert!(rows.insert(cells[0].to_owned()), "{} is there twice", cells[0]);
        let named = |cell: &str| code_spans(cell).into_iter().filter_map(Named::read).collect::<Vec<_>>();
        assert!(!named(cells[3]).is_empty(), "{}: no file", cells[0]);
        let proven = named(cells[4]).iter().any(|named| match named {
            Named::Test { .. } => true,
            Named::File(file) => {
                ["tests/web/", "fuzz/", "benches/"].iter().any(|home| file.starts_with(home))
            }
        });
        assert!(proven, "{}: no test", cells[0]);
    }
    assert!(rows.len() > 50, "only {} rows were read", rows.len());
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for file in pages() {
        let text = project_file(&file);
        for target in links(&text) {
            count += 1;
            let (path, anchor) =
                target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
            let page = if path.is_empty() { PathBuf::from(&file) } else { resolve(&file, path) };
            if !root().join(&page).exists() {
                wrong.push(format!("{file}: {target}"));
            } else if let Some(anchor) = anchor
                && has_extension(&page, "md")
                && !anchors(&project_file(page.to_str().unwrap())).contains(anchor)
            {
                wrong.push(format!("{file}: {target}: no such section"));
            }
        }
    }
    assert!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
    assert!(count > 50, "only {count} links were found");
}

#[test]
fn every_action_of_the_audit_is_explained() {
    let explained = project_file("docs/operations.md");
    for action in Action::ALL {
        assert!(
            explained.lines().any(|line| line.starts_with(&format!("| `{}` |", action.name()))),
            "the table of actions in docs/operations.md lacks {}",
            action.name()
        );
    }
}

#[test]
fn names_and_links_are_read_as_they_are_written() {
    let test = |file: &str, function: &str| Named::Test { file: file.into(), function: function.into() };
    assert_eq!(Named::read("dpop::calls::exactly_one"), Some(test("tests/it/dpop/calls.rs", "exactly_one")));
    assert_eq!(Named::read("src/a/b.rs: it_works"), Some(test("src/a/b.rs", "it_works")));
    assert_eq!(Named::read("tests/web/dpop.mjs"), Some(Named::File("tests/web/dpop.mjs".into())));
    for other in ["kwr_", "tokens.access_ttl", "Origin: null", "text/plain", "a b::c"] {
        assert_eq!(Named::read(other), None, "{other}");
    }
    assert!(
        has_test("tests/it/docs.rs", "links_lead_somewhere") && !has_test("tests/it/docs.rs", "has_test")
    );
    assert_eq!(
        links("[a](b.md#c) `[no](x)` [d](https://e)\n```\n[no](y)\n```\n[f](g \"h\")"),
        ["b.md#c", "g"]
    );
    assert_eq!(anchors("# A `b` c-d, e!\n## X\n## X"), ["a-b-c-d-e", "x", "x-1"].map(String::from).into());
    assert_eq!(resolve("docs/adr/a.md", "../b.md"), Path::new("docs/b.md"));
}

/// What a piece of code in the text refers to.
#[derive(Debug, PartialEq, Eq)]
enum Named {
    Test { file: String, function: String },
    File(String),
}

impl Named {
    fn read(span: &str) -> Option<Self> {
        let is_name = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        if let Some((file, function)) = span.split_once(": ") {
            let test = || Self::Test { file: file.to_owned(), function: function.to_owned() };
            return (has_extension(file, "rs") && is_name(function)).then(test);
        }
        if let Some((module, function)) = span.rsplit_once("::") {
            let file = format!("tests/it/{}.rs", module.replace("::", "/"));
            let test = || Self::Test { file, function: function.to_owned() };
            return (module.split("::").all(is_name) && is_name(function)).then(test);
        }
        let folders = ["src/", "tests/", "migration/", "fuzz/", "benches/", "scripts/", "docs/"];
        folders.iter().any(|folder| span.starts_with(folder)).then(|| Self::File(span.to_owned()))
    }
}

/// Whether a file has a function of this name that is run as a test.
fn has_test(file: &str, function: &str) -> bool {
    let Ok(text) = fs::read_to_string(root().join(file)) else { return false };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.iter().enumerate().any(|(at, line)| {
        let declared = line.trim_start_matches("async ").strip_prefix("fn ");
        let attributes =
            lines[..at].iter().rev().take_while(|line| line.starts_with('#') || line.starts_with("//"));
        declared.and_then(|rest| rest.strip_prefix(function)).is_some_and(|rest| rest.starts_with('('))
            && attributes
                .into_iter()
                .any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
    })
}

/// The pages of this project, by their paths.
fn pages() -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["", "docs", "docs/adr", "fuzz"] {
        let Ok(entries) = fs::read_dir(root().join(folder)) else { continue };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let pages = names.filter(|name| has_extension(name, "md"));
        found.extend(pages.map(|name| Path::new(folder).join(name).to_str().unwrap().to_owned()));
    }
    assert!(found.len() > 15, "{found:?}");
    found
}

fn has_extension(path: impl AsRef<Path>, wanted: &str) -> bool {
    path.as_ref().extension().is_some_and(|extension| extension == wanted)
}

/// The lines outside of blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    })
}

fn code_spans(text: &str) -> Vec<&str> {
    prose(text).flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

/// The links to places in this project.
fn links(text: &str) -> Vec<&str> {
    let words = prose(text).flat_map(|line| line.split('`').step_by(2));
    let targets = words
        .flat_map(|piece| piece.split("](").skip(1))
        .filter_map(|rest| rest.split(&[')', ' '][..]).next());
    targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:")).collect()
}

fn resolve(from: &str, path: &str) -> PathBuf {
    let mut resolved = Path::new(from).parent().unwrap().to_owned();
    for component in Path::new(path).components() {
        match component {
            Component::ParentDir => assert!(resolved.pop(), "{from}: {path} leads out of the project"),
            Component::Normal(name) => resolved.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    resolved
}

/// The names that headings can be linked by.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen = BTreeMap::new();
    let headings = prose(text).filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let kept = line
                .trim_start_matches('#')
                .trim()
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            let name = kept.collect::<String>().to_lowercase().replace(' ', "-");
            let times = seen.entry(name.clone()).and_modify(|times| *times += 1).or_insert(0_u32);
            if *times == 0 { name } else { format!("{name}-{times}") }
        })
        .collect()
}
