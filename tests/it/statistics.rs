//! The statistics that the benchmark of failed sign-ins rests on, against known values.

#[path = "../../benches/support/mann_whitney.rs"]
mod mann_whitney;

use mann_whitney::p_value;

#[track_caller]
fn assert_close(p: f64, known: f64) {
    assert!((p - known).abs() < 1e-5, "{p} is not {known}");
}

/// `scipy.stats.mannwhitneyu(a, b, method="asymptotic")`.
#[test]
fn the_values_are_those_of_scipy() {
    let to = |n: i32| (1..=n).map(f64::from).collect::<Vec<_>>();
    let shifted: Vec<f64> = to(10).iter().map(|x| x + 3.5).collect();
    assert_close(p_value(&to(10), &shifted), 0.031_209_01);
    let (a, b) = ([1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 4.0], [2.0, 3.0, 4.0, 4.0, 5.0, 5.0]);
    assert_close(p_value(&a, &b), 0.078_262_43);
    assert_close(p_value(&b, &a), 0.078_262_43);
    assert_close(p_value(&[1.5, 9.0, 4.25], &[2.0, 3.0, 7.0, 8.0, 10.0, 11.0]), 0.518_605_02);
}

#[test]
fn what_is_the_same_is_not_told_apart_and_what_differs_is() {
    let steps = |from: f64| (0..400).map(|n| from + f64::from(n % 97) / 97.0).collect::<Vec<_>>();
    assert_close(p_value(&steps(0.0), &steps(0.0)), 1.0);
    assert!(p_value(&steps(0.0), &steps(0.2)) < 1e-9);
    assert_close(p_value(&[1.0; 5], &[1.0; 5]), 1.0);
}
