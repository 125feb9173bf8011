//! The tables in `docs/rotation.md` and the picture beside them, which are written by the model.

use std::{fmt::Write, fs, path::PathBuf};

use super::{
    measure::{CONTENDERS, Contender, HONEST, Kind, TALLIES, Tally},
    plot,
    schedule::{DAY, HOUR, MINUTE},
};

const BEGIN: &str = "<!-- written by the model: begin -->\n";
const END: &str = "<!-- written by the model: end -->\n";

const COMMAND: &str = "UPDATE_DOCS=1 cargo test --test it model";

#[test]
fn the_documentation_has_what_the_model_says() {
    let page = file("docs/rotation.md");
    let text = fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    keep(page, &text, &format!("{before}{BEGIN}\n{}\n{END}{after}", tables()));

    let picture = file("docs/rotation-model.svg");
    let drawn = fs::read_to_string(&picture).unwrap_or_default();
    keep(picture, &drawn, &plot::draw());
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[expect(clippy::disallowed_methods, reason = "whoever runs the test says what it is for")]
fn keep(file: PathBuf, found: &str, expected: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(file, expected).unwrap();
    } else {
        assert!(found == expected, "{} is not what the model says; run {COMMAND}", file.display());
    }
}

fn tables() -> String {
    let mut text = String::from(
        "| Rule | Thief first | Victim first | Call under way | Behind, 5 to 10 s | Behind, below 5 s | Thief in, victim out \
         | Honest, signed out: lock | no lock |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for (contender, tally) in CONTENDERS.iter().zip(TALLIES.iter()) {
        let caught = Kind::ALL.map(|kind| caught(tally, kind)).join(" | ");
        let [with_lock, without] = tally.signed_out.map(thousands);
        let worst = worst(tally);
        writeln!(text, "| {} | {caught} | {worst} | {with_lock} | {without} |", name(contender)).unwrap();
    }
    text.push_str(
        "\nHow long thieves hold a working token: half of them / 95 of 100 / in at the end, after 30 days.\n\n\
         | Rule | Thief first | Victim first | Call under way | Behind, 5 to 10 s | Behind, below 5 s |\n\
         |---|--:|--:|--:|--:|--:|\n",
    );
    for (contender, tally) in CONTENDERS.iter().zip(TALLIES.iter()) {
        let stays = Kind::ALL.map(|kind| stay(tally, kind)).join(" | ");
        writeln!(text, "| {} | {stays} |", name(contender)).unwrap();
    }
    text
}

fn name(contender: &Contender) -> String {
    let Contender { name, note, is_ours, .. } = contender;
    let name = if *is_ours { format!("**{name}**") } else { (*name).to_owned() };
    if note.is_empty() { name } else { format!("{name}, {note}") }
}

fn caught(tally: &Tally, kind: Kind) -> String {
    let caught = tally.of_kind(kind).filter(|theft| theft.out_in_time).count();
    percent(caught, tally.of_kind(kind).count())
}

fn worst(tally: &Tally) -> String {
    let all = || Kind::ALL.into_iter().flat_map(|kind| tally.of_kind(kind));
    percent(all().filter(|theft| theft.victim_out_thief_in).count(), all().count())
}

fn stay(tally: &Tally, kind: Kind) -> String {
    let stays = tally.stays(kind);
    let still_in = stays.iter().filter(|stay| stay.is_none()).count();
    let at = |percent: usize| duration(stays[(stays.len() - 1) * percent / 100]);
    format!("{} / {} / {}", at(50), at(95), percent(still_in, stays.len()))
}

/// Rounded so that nothing but all is 100 % and nothing but none is 0 %.
fn percent(part: usize, whole: usize) -> String {
    let tenths = 1_000 * part / whole;
    match tenths {
        _ if part == whole => "100 %".to_owned(),
        _ if part == 0 => "0 %".to_owned(),
        0 => "< 0.1 %".to_owned(),
        _ => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}

fn duration(stay: Option<u64>) -> String {
    let in_tenths = |unit: u64, millis: u64| format!("{}.{}", millis / unit, millis % unit * 10 / unit);
    match stay {
        None => "∞".to_owned(),
        Some(millis) if millis < MINUTE => "< 1 min".to_owned(),
        Some(millis) if millis < HOUR => format!("{} min", millis / MINUTE),
        Some(millis) if millis < 2 * DAY => format!("{} h", in_tenths(HOUR, millis)),
        Some(millis) => format!("{} d", in_tenths(DAY, millis)),
    }
}

pub(super) fn thousands(count: u64) -> String {
    assert!(count <= HONEST);
    if count < 1_000 { count.to_string() } else { format!("{} {:03}", count / 1_000, count % 1_000) }
}
