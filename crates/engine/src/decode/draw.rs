//! Drawing tokens by their probabilities, with random numbers that depend on the seed, the sentence and the step alone.
use sconce_kernels::random::RandomKey;

use super::candidates::Scored;

/// Random numbers of one row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draws {
    /// The seed of the call.
    pub seed: u64,
    /// The sentence.
    pub stream: u32,
    /// The sequence of the sentence.
    pub sequence: u32,
    /// The number of the token.
    pub step: u64,
}

impl Draws {
    /// Number `index`, uniform in `[0, 1)`.
    fn uniform(self, index: u32) -> f64 {
        // Training has streams of its own: the highest bit tells them apart.
        let key = RandomKey { seed: self.seed, step: self.step | 1 << 63, node: self.stream };
        // Two numbers a block, in each of the sequences' ranges of blocks.
        let [a, b, c, d] = key.block(self.sequence.wrapping_mul(1 << 16).wrapping_add(index / 2));
        let (high, low) = if index.is_multiple_of(2) { (a, b) } else { (c, d) };
        const UNIT: f64 = 1.0 / 9_007_199_254_740_992.0;
        ((u64::from(high) << 32 | u64::from(low)) >> 11) as f64 * UNIT
    }

    /// Up to `count` different entries, each drawn by its share of what is left: the places in `scores`, which are logarithms
    /// of probabilities but for a constant. Entries of minus infinity are never drawn.
    pub fn without_replacement(self, scores: &[f32], count: usize) -> Vec<usize> {
        let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if most == f32::NEG_INFINITY {
            return Vec::new();
        }
        let mut weights: Vec<f64> = scores.iter().map(|&score| f64::from(score - most).exp()).collect();
        let mut drawn = Vec::with_capacity(count);
        for number in 0..count {
            let total: f64 = weights.iter().sum();
            let mut point = self.uniform(number as u32) * total;
            let mut chosen = None;
            for (place, &weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
                chosen = Some(place);
                if point < weight {
                    break;
                }
                point -= weight;
            }
            let Some(place) = chosen else { break };
            drawn.push(place);
            weights[place] = 0.0;
        }
        drawn
    }

    /// One of some tokens.
    pub fn one(self, tokens: &[Scored]) -> Option<Scored> {
        let scores: Vec<f32> = tokens.iter().map(|&(score, _)| score).collect();
        self.without_replacement(&scores, 1).first().map(|&place| tokens[place])
    }
}

#[cfg(test)]
mod tests {
    use super::Draws;

    fn draws(stream: u32, sequence: u32, step: u64) -> Draws {
        Draws { seed: 7, stream, sequence, step }
    }

    #[test]
    fn tokens_come_as_often_as_they_are_probable() {
        let probabilities = [0.5f32, 0.0, 0.3, 0.15, 0.05];
        let tokens: Vec<(f32, u32)> = probabilities.iter().map(|p| p.ln() + 3.0).zip(10..).collect();
        let mut counts = [0u32; 5];
        const DRAWS: u32 = 20_000;
        for number in 0..DRAWS {
            let (_, id) = draws(number % 50, number / 50 % 4, u64::from(number / 200)).one(&tokens).unwrap();
            counts[id as usize - 10] += 1;
        }
        for (count, probability) in counts.iter().zip(probabilities) {
            let expected = f64::from(probability) * f64::from(DRAWS);
            let deviation = (expected * (1.0 - f64::from(probability))).sqrt();
            assert!((f64::from(*count) - expected).abs() <= 4.0 * deviation, "{counts:?}");
        }
    }

    #[test]
    fn what_is_drawn_does_not_come_again() {
        let scores = [0.0f32, f32::NEG_INFINITY, -1.0, -2.0];
        for step in 0..100 {
            let mut drawn = draws(0, 0, step).without_replacement(&scores, 5);
            assert_eq!(drawn.len(), 3);
            drawn.sort_unstable();
            assert_eq!(drawn, [0, 2, 3]);
        }
        assert!(draws(0, 0, 0).without_replacement(&[f32::NEG_INFINITY], 1).is_empty());
        // The second of two: 0.3 of what 0.5 leaves, or the like.
        let scores: Vec<f32> = [0.5f32, 0.3, 0.2].iter().map(|p| p.ln()).collect();
        let mut counts = [0u32; 3];
        for step in 0..20_000 {
            counts[draws(3, 1, step).without_replacement(&scores, 2)[1]] += 1;
        }
        let expected =
            [0.3 * 0.5 / 0.7 + 0.2 * 0.5 / 0.8, 0.5 * 0.3 / 0.5 + 0.2 * 0.3 / 0.8, 0.5 * 0.2 / 0.5 + 0.3 * 0.2 / 0.7];
        for (count, share) in counts.iter().zip(expected) {
            assert!((f64::from(*count) / 20_000.0 - share).abs() < 0.015, "{counts:?}");
        }
    }

    #[test]
    fn streams_sequences_and_steps_have_numbers_of_their_own() {
        let all: Vec<u64> = (0..3)
            .flat_map(|stream| (0..3).flat_map(move |sequence| (0..3).map(move |step| draws(stream, sequence, step))))
            .flat_map(|draws| [draws.uniform(0).to_bits(), draws.uniform(1).to_bits(), draws.uniform(2).to_bits()])
            .collect();
        let mut unique = all.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), all.len());
    }
}
