//! Whether two samples come from one place (Mann and Whitney, 1947), by the normal approximation.

/// The probability of a difference like this one or a larger one, in either direction, if there were none.
#[expect(clippy::cast_precision_loss, reason = "samples are small")]
pub(crate) fn p_value(a: &[f64], b: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> =
        a.iter().map(|x| (*x, true)).chain(b.iter().map(|x| (*x, false))).collect();
    all.sort_by(|x, y| x.0.total_cmp(&y.0));
    let (of_a, of_b, whole) = (a.len() as f64, b.len() as f64, all.len() as f64);

    // Equal values share the mean of their ranks, which makes the spread smaller.
    let (mut ranks_of_a, mut ties, mut before) = (0.0, 0.0, 0.0);
    for group in all.chunk_by(|x, y| x.0.total_cmp(&y.0).is_eq()) {
        let size = group.len() as f64;
        let rank = before + f64::midpoint(1.0, size);
        ranks_of_a += rank * group.iter().filter(|(_, from_a)| *from_a).count() as f64;
        ties += size.powi(3) - size;
        before += size;
    }
    let pairs_won = ranks_of_a - of_a * (of_a + 1.0) / 2.0;
    let spread = (of_a * of_b / 12.0 * (whole + 1.0 - ties / (whole * (whole - 1.0)))).sqrt();
    if spread == 0.0 {
        return 1.0;
    }
    // Half a step towards the middle, since that is a whole number.
    let z = ((pairs_won - of_a * of_b / 2.0).abs() - 0.5).max(0.0) / spread;
    two_tails(z)
}

/// The weight of both tails of the normal distribution beyond `z` (Abramowitz and Stegun, 7.1.26; to seven digits).
fn two_tails(z: f64) -> f64 {
    let x = z / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let series = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592];
    series.into_iter().fold(0.0, |sum, factor| (sum + factor) * t) * (-x * x).exp()
}
