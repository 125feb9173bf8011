//! Randomness that is the same in every run and on every machine.

/// What the dice are for. Every purpose has a stream of its own, so that drawing more for one changes no other.
#[derive(Clone, Copy)]
pub(super) enum Stream {
    Use,
    Network,
    Theft,
}

/// `SplitMix64`.
pub(super) struct Dice(u64);

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Dice {
    pub(super) fn new(seed: u64, stream: Stream) -> Self {
        Self(mix(seed.wrapping_mul(3).wrapping_add(stream as u64)))
    }

    /// The dice of one thing among many; the order in which they are asked for plays no part.
    pub(super) fn of(seed: u64, stream: Stream, thing: u64) -> Self {
        Self(mix(Self::new(seed, stream).0 ^ thing.wrapping_mul(STEP)))
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    pub(super) fn between(&mut self, start: u64, end: u64) -> u64 {
        start + self.below(end - start)
    }

    /// As likely between one and two times `start` as between two and four, and so on, `doublings` times.
    pub(super) fn of_magnitude(&mut self, start: u64, doublings: u64) -> u64 {
        let start = start << self.below(doublings);
        self.between(start, 2 * start)
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let count = u64::try_from(from.len()).unwrap();
        from[usize::try_from(self.below(count)).unwrap()]
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
