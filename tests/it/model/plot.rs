//! The picture of the result: for each rule and each kind of theft, how many thieves are still in after how long.

use std::fmt::Write;

use super::{
    measure::{CONTENDERS, HONEST, Kind, TALLIES, Tally},
    report::thousands,
    schedule::{DAY, HORIZON, HOUR, MINUTE},
};

const WIDTH: u32 = 1080;
const TOP: u32 = 132;
const ROW: u32 = 46;
const STRIP: u32 = 30;
const LABELS: u32 = 190;
const COLUMN: u32 = 142;
const PANEL: u32 = 122;
/// One point of a curve for so many pixels.
const GRAIN: u32 = 2;

const TICKS: [(u64, &str); 4] = [(MINUTE, "1 min"), (HOUR, "1 h"), (DAY, "1 d"), (HORIZON, "30 d")];

const HEADINGS: [[&str; 2]; 5] = [
    ["The thief", "refreshes first"],
    ["The victim", "refreshes first"],
    ["Copied while a call", "is under way"],
    ["Right behind,", "5 to 10 s"],
    ["Right behind,", "below 5 s"],
];

const STYLE: &str = "
  .page { fill: #ffffff } text { fill: #1f2328; font: 13px system-ui, sans-serif } .title { font-size: 17px; font-weight: 600 }
  .quiet { fill: #59636e; font-size: 12px } .ours { font-weight: 600 } .small { font-size: 10px }
  .frame { fill: #eef1f4 } .in { fill: #c2410c } .out { fill: #1d6fd1 } .rule { stroke: #d1d9e0 } .count { text-anchor: end }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } text { fill: #e6edf3 } .quiet { fill: #9198a1 }
    .frame { fill: #21262d } .in { fill: #f0883e } .out { fill: #58a6ff } .rule { stroke: #3d444d }
  }
";

pub(super) fn draw() -> String {
    let count = u32::try_from(CONTENDERS.len()).unwrap();
    let height = TOP + ROW * count + 44;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"title desc\">\n\
         <title id=\"title\">How long a thief stays in, for eleven rules and five kinds of theft</title>\n\
         <desc id=\"desc\">{DESCRIPTION}</desc>\n\
         <style>{STYLE}</style>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
         <text class=\"title\" x=\"20\" y=\"32\">Thieves who still hold a working token, by the time since the copy</text>\n\
         <text class=\"quiet\" x=\"20\" y=\"53\">A full box: every thief is in for the whole 30 days. An empty one: every thief is out. \
         Time runs from 1 minute to 30 days on a logarithmic scale.</text>\n"
    );
    headings(&mut svg);
    for (row, (contender, tally)) in (0..).zip(CONTENDERS.iter().zip(TALLIES.iter())) {
        let y = TOP + ROW * row;
        let class = if contender.is_ours { "ours" } else { "" };
        writeln!(svg, "<text class=\"{class}\" x=\"20\" y=\"{}\">{}</text>", y + 14, contender.name).unwrap();
        writeln!(svg, "<text class=\"quiet\" x=\"20\" y=\"{}\">{}</text>", y + 29, contender.note).unwrap();
        for (column, kind) in (0..).zip(Kind::ALL) {
            strip(&mut svg, LABELS + COLUMN * column, y, &tally.stays(kind));
        }
        honest(&mut svg, LABELS + COLUMN * 5, y, tally);
    }
    ticks(&mut svg, TOP + ROW * count);
    svg + "</svg>\n"
}

const DESCRIPTION: &str = "A grid of small area charts. Each row is a rule, each column a kind of theft; the height of an area is the \
     share of thieves that still hold a working token, from one minute to thirty days after the copy. The last column has the number \
     of honest clients, of 10 000, that were signed out. The tables in rotation.md have the numbers.";

fn headings(svg: &mut String) {
    for (column, [first, second]) in (0..).zip(HEADINGS) {
        let x = LABELS + COLUMN * column;
        writeln!(svg, "<text x=\"{x}\" y=\"96\">{first}</text><text x=\"{x}\" y=\"113\">{second}</text>")
            .unwrap();
    }
    let x = LABELS + COLUMN * 5;
    writeln!(
        svg,
        "<text x=\"{x}\" y=\"96\">Honest clients, of</text><text x=\"{x}\" y=\"113\">10 000, signed out</text>"
    )
    .unwrap();
}

/// The share of thieves still in, as an area.
fn strip(svg: &mut String, x: u32, y: u32, stays: &[Option<u64>]) {
    let mut outline = format!("M{x} {}", y + STRIP);
    for step in (0..=PANEL).step_by(usize::try_from(GRAIN).unwrap()) {
        let time = time_at(step);
        let still_in = stays.iter().filter(|stay| stay.is_none_or(|stay| stay > time)).count();
        // In tenths of a pixel, so that the text of the number is the same everywhere.
        let height = (still_in * 10 * STRIP as usize).div_ceil(stays.len());
        let top = (y + STRIP) as usize * 10 - height;
        write!(outline, "L{} {}.{}", x + step, top / 10, top % 10).unwrap();
    }
    writeln!(svg, "<rect class=\"frame\" x=\"{x}\" y=\"{y}\" width=\"{PANEL}\" height=\"{STRIP}\"/>")
        .unwrap();
    writeln!(svg, "<path class=\"in\" d=\"{outline}L{} {}Z\"/>", x + PANEL, y + STRIP).unwrap();
}

/// The bar is for clients whose tabs take a lock.
fn honest(svg: &mut String, x: u32, y: u32, tally: &Tally) {
    let signed_out = tally.signed_out[0];
    let width = (signed_out * u64::from(PANEL)).div_ceil(HONEST);
    writeln!(svg, "<rect class=\"frame\" x=\"{x}\" y=\"{}\" width=\"{PANEL}\" height=\"8\"/>", y + 22)
        .unwrap();
    writeln!(svg, "<rect class=\"out\" x=\"{x}\" y=\"{}\" width=\"{width}\" height=\"8\"/>", y + 22).unwrap();
    writeln!(svg, "<text x=\"{x}\" y=\"{}\">{}</text>", y + 15, thousands(signed_out)).unwrap();
}

fn ticks(svg: &mut String, y: u32) {
    for column in 0..5 {
        let left = LABELS + COLUMN * column;
        for (time, label) in TICKS {
            let x = (0..=PANEL).find(|step| time <= time_at(*step)).unwrap_or(PANEL);
            let anchor = if x == 0 {
                "start"
            } else if x == PANEL {
                "end"
            } else {
                "middle"
            };
            let x = left + x;
            writeln!(svg, "<line class=\"rule\" x1=\"{x}\" x2=\"{x}\" y1=\"{}\" y2=\"{}\"/>", y - 14, y - 8)
                .unwrap();
            writeln!(
                svg,
                "<text class=\"quiet small\" text-anchor=\"{anchor}\" x=\"{x}\" y=\"{}\">{label}</text>",
                y + 5
            )
            .unwrap();
        }
    }
}

/// The time that a pixel stands for, from a minute to the horizon.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a pixel is not that exact"
)]
fn time_at(step: u32) -> u64 {
    let whole = (HORIZON / MINUTE) as f64;
    let minutes = whole.powf(f64::from(step) / f64::from(PANEL));
    (minutes * MINUTE as f64).round() as u64
}
