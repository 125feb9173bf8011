//! An order that nobody chose.

/// Mixes things up, in every run alike.
pub(crate) fn shuffle<T>(things: &mut [T]) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for last in (1..things.len()).rev() {
        // Marsaglia's xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        things.swap(last, usize::try_from(state % (last as u64 + 1)).unwrap_or(0));
    }
}
