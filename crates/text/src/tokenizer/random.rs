//! Random numbers of a text: they follow from a seed and the number of the text alone.

/// SplitMix64.
#[derive(Clone, Debug)]
pub(super) struct Random {
    state: u64,
}

fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    pub(super) fn new(seed: u64, text: u64) -> Self {
        Self { state: mix(mix(seed.wrapping_add(STEP)).wrapping_add(text.wrapping_mul(STEP))) }
    }

    /// The next number, from 0 to below 1.
    pub(super) fn next(&mut self) -> f64 {
        self.state = self.state.wrapping_add(STEP);
        (mix(self.state) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn numbers_are_spread_evenly_and_depend_on_seed_and_text() {
        let numbers = |seed, text| {
            let mut random = Random::new(seed, text);
            (0..4000).map(|_| random.next()).collect::<Vec<f64>>()
        };
        let one = numbers(1, 0);
        assert_eq!(one, numbers(1, 0));
        assert_ne!(one, numbers(2, 0));
        assert_ne!(one, numbers(1, 1));
        let mean = one.iter().sum::<f64>() / 4000.0;
        assert!((mean - 0.5).abs() < 0.03, "{mean}");
        // The first numbers of many texts, too.
        let mean = (0..4000).map(|text| Random::new(7, text).next()).sum::<f64>() / 4000.0;
        assert!((mean - 0.5).abs() < 0.03, "{mean}");
        assert!(one.iter().all(|number| (0.0..1.0).contains(number)));
    }
}
