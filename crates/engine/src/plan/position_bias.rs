//! Biases of scores by distance as operations.
use crate::layers::{BiasKind, RelativePositionBiasOptions};

/// A bias of scores by the distance between query and key, resolved: `[1, heads, T, S]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionBias {
    /// Heads of the attention.
    pub heads: usize,
    /// The buckets of the first weight; `None`: a multiple of the distance for each head.
    pub buckets: Option<Buckets>,
}

/// How distances fall into buckets.
///
/// # Source
/// Raffel et al., "Exploring the limits of transfer learning with a unified text-to-text transformer" (2020), 2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// How many.
    pub count: usize,
    /// From where on all fall into the last.
    pub max_distance: usize,
    /// Whether keys behind the query have the second half of the buckets.
    pub bidirectional: bool,
}

impl Buckets {
    /// The bucket of a key that is `offset` steps behind its query.
    #[must_use]
    pub fn of(&self, offset: i64) -> usize {
        let (mut count, mut first) = (self.count, 0);
        let distance = if self.bidirectional {
            count /= 2;
            first = if offset > 0 { count } else { 0 };
            offset.unsigned_abs() as usize
        } else {
            (-offset.min(0)) as usize
        };
        let exact = count / 2;
        if distance < exact {
            return first + distance;
        }
        // Half of the buckets are for one distance each, the others grow by the same factor. What is whole in exact numbers
        // is not rounded down.
        let share = (distance as f64 / exact as f64).ln() / (self.max_distance as f64 / exact as f64).ln();
        let place = exact + (share * (count - exact) as f64 + 1e-6) as usize;
        first + place.min(count - 1)
    }
}

impl From<&RelativePositionBiasOptions> for PositionBias {
    fn from(options: &RelativePositionBiasOptions) -> Self {
        let buckets = Buckets {
            count: options.buckets,
            max_distance: options.max_distance,
            bidirectional: options.bidirectional,
        };
        Self { heads: options.num_heads, buckets: (options.kind == BiasKind::Buckets).then_some(buckets) }
    }
}

impl PositionBias {
    /// The slope of a head: what a step of distance takes away.
    ///
    /// # Source
    /// Press, Smith and Lewis, "Train short, test long: attention with linear biases" (2022).
    #[must_use]
    pub fn slope(&self, head: usize) -> f64 {
        let whole = 1usize << self.heads.ilog2();
        if head < whole {
            return (-8.0 * (head + 1) as f64 / whole as f64).exp2();
        }
        // Further heads have every other slope of twice as many.
        (-8.0 * (2 * (head - whole) + 1) as f64 / (2 * whole) as f64).exp2()
    }

    /// For queries `first..first + queries` and each key the bucket of their distance, row by row.
    #[must_use]
    pub fn places(&self, buckets: &Buckets, first: usize, queries: usize, keys: usize) -> Vec<u32> {
        let row = |query: usize| (0..keys).map(move |key| buckets.of(key as i64 - (first + query) as i64) as u32);
        (0..queries).flat_map(row).collect()
    }

    /// Distances of the same, taken away by the slope of a head.
    #[must_use]
    pub fn slopes(&self, first: usize, queries: usize, keys: usize) -> Vec<f32> {
        let mut values = Vec::with_capacity(self.heads * queries * keys);
        for head in 0..self.heads {
            let slope = self.slope(head);
            for query in first..first + queries {
                values.extend((0..keys).map(|key| (-slope * query.abs_diff(key) as f64) as f32));
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::{Buckets, PositionBias};

    #[test]
    fn distances_fall_into_buckets_as_in_t5() {
        let both = Buckets { count: 32, max_distance: 128, bidirectional: true };
        let offsets = [0, -1, -7, -8, -11, -12, -16, -32, -64, -127, -128, -1000, 1, 8, 16, 64, 200];
        let expected = [0, 1, 7, 8, 8, 9, 10, 12, 14, 15, 15, 15, 17, 24, 26, 30, 31];
        assert_eq!(offsets.map(|offset| both.of(offset)), expected);
        let before = Buckets { bidirectional: false, ..both };
        assert_eq!(
            [0, -1, -15, -16, -32, -127, -500, 3].map(|offset| before.of(offset)),
            [0, 1, 15, 16, 21, 31, 31, 0]
        );
    }

    #[test]
    fn slopes_of_heads_are_powers_of_two() {
        let slopes = |heads: usize| {
            let bias = PositionBias { heads, buckets: None };
            (0..heads).map(|head| bias.slope(head)).collect::<Vec<_>>()
        };
        assert_eq!(slopes(8), (1..=8).map(|power| 0.5f64.powi(power)).collect::<Vec<_>>());
        assert_eq!(slopes(1), [2f64.powi(-8)]);
        assert_eq!(slopes(3), [2f64.powi(-4), 2f64.powi(-8), 2f64.powi(-2)]);
    }
}
