//! What is known of a chunk's rows once all exponentials are summed: losses, factors, `dh`, and the rows for `dW`.
use super::{
    chunk::{Chunk, Factors, Sums},
    gradient::Gradient,
    plan::scaled_stride,
    target::ChunkTargets,
};
use crate::{
    Context,
    panels::{Write, unpack_panel},
    shared::Shared,
    simd::LANES,
};

pub(super) struct Finish<'a> {
    pub chunk: &'a Chunk<'a>,
    /// All rows, `[rows, features]`.
    pub h: &'a [f32],
    /// Which of them the chunk holds.
    pub rows: &'a [usize],
    pub targets: &'a ChunkTargets<'a>,
    /// Row weights times gradient scale.
    pub weights: &'a [f32],
    pub row_loss: Shared<'a>,
    pub row_prediction: Shared<'a, u32>,
    pub gradient: Option<&'a Gradient<'a>>,
}

/// Largest logit and sums of a row over all classes.
pub(super) struct RowSums {
    pub maximum: f32,
    pub exponentials: f64,
    logits: f64,
    targets: f64,
    products: f64,
}

impl RowSums {
    /// Reads what the pieces left; they must have ended.
    pub(super) fn new(chunk: &Chunk<'_>, panel: usize, lane: usize) -> Self {
        // SAFETY: nobody writes maxima and sums any more.
        let read = |shared: Shared<'_>, at: usize| unsafe { *shared.at(at + lane) };
        let maxima = (0..chunk.plan.blocks).map(|block| read(chunk.maxima, (block * chunk.panels + panel) * LANES));
        let sum =
            |sum| (0..chunk.plan.ranges).map(|range| f64::from(read(chunk.sums, chunk.sum(range, panel, sum)))).sum();
        Self {
            maximum: maxima.fold(f32::NEG_INFINITY, f32::max),
            exponentials: sum(Sums::Exponentials),
            logits: sum(Sums::Logits),
            targets: sum(Sums::Targets),
            products: sum(Sums::Products),
        }
    }

    /// Whether all logits are numbers below infinity and one is above its negative.
    pub(super) fn is_sound(&self) -> bool {
        self.maximum.is_finite() && !self.logits.is_nan()
    }
}

impl Finish<'_> {
    /// Losses, predictions, and the factors of the gradients.
    pub(super) fn factors(&self, context: &Context) {
        let chunk = self.chunk;
        context.pool.run(chunk.panels, &|panel| {
            for lane in 0..LANES {
                let token = panel * LANES + lane;
                // SAFETY: rows and lanes of this panel belong to this piece.
                unsafe {
                    let factor = |factor: Factors| chunk.factors.at(chunk.factor(panel, factor) + lane);
                    if token >= chunk.tokens {
                        *factor(Factors::Exponential) = 0.0;
                        *factor(Factors::Target) = 0.0;
                        *factor(Factors::Gradient) = 0.0;
                        continue;
                    }
                    let sums = RowSums::new(chunk, panel, lane);
                    let smoothing = f64::from(self.targets.smoothing);
                    let spread = smoothing / chunk.linear.classes as f64;
                    let (mass, product) = match self.targets.id(token) {
                        Some(_) => (1.0, f64::from(*chunk.picked.at(token))),
                        None => (sums.targets, sums.products),
                    };
                    let mass = mass * (1.0 - smoothing) + smoothing;
                    let mut product = product * (1.0 - smoothing);
                    if smoothing > 0.0 {
                        product += spread * sums.logits;
                    }
                    let sound = sums.is_sound();
                    let loss = mass * (f64::from(sums.maximum) + sums.exponentials.ln()) - product;
                    *self.row_loss.at(self.rows[token]) = if sound { loss as f32 } else { f32::NAN };
                    *self.row_prediction.at(self.rows[token]) = chunk.best_class(token);
                    let weight = if sound { self.weights[token] } else { f32::NAN };
                    let exponential = (f64::from(weight) * mass / sums.exponentials) as f32;
                    *factor(Factors::Exponential) = exponential;
                    *factor(Factors::Target) = weight;
                    *factor(Factors::Gradient) = if self.targets.explicit() { 1.0 } else { exponential };
                }
            }
        });
    }

    /// `dh`, and what `dW` needs: the rows of `h` times their factors, the targets subtracted from the exponentials.
    pub(super) fn rows(&self, context: &Context) {
        if self.gradient.is_some() {
            context.pool.run(self.chunk.panels, &|panel| self.panel(panel));
        }
    }

    fn panel(&self, panel: usize) {
        let (chunk, Some(gradient)) = (self.chunk, self.gradient) else { return };
        let features = chunk.linear.features;
        let tokens = panel * LANES..chunk.tokens.min((panel + 1) * LANES);
        let length = features * LANES;
        // SAFETY: this panel of everything belongs to this piece.
        let (dh, factor) = unsafe {
            let dh = chunk.dh.part(panel * length, length);
            for range in 1..chunk.plan.ranges {
                let other = chunk.dh.part((range * chunk.panels + panel) * length, length);
                dh.iter_mut().zip(other).for_each(|(sum, other)| *sum += *other);
            }
            (dh, &*chunk.factors.part(chunk.factor(panel, Factors::Gradient), LANES))
        };
        if !self.targets.explicit() {
            for vector in dh.as_chunks_mut::<LANES>().0 {
                vector.iter_mut().zip(factor).for_each(|(dh, factor)| *dh *= factor);
            }
            for (lane, token) in tokens.clone().enumerate() {
                let Some(id) = self.targets.id(token) else { continue };
                let weight = self.weights[token];
                let row = &chunk.linear.kernel[id * features..][..features];
                dh.as_chunks_mut::<LANES>().0.iter_mut().zip(row).for_each(|(dh, w)| dh[lane] -= weight * w);
                // In units of the factor, the target is the sum of the exponentials.
                let sum = RowSums::new(chunk, panel, lane).exponentials;
                // SAFETY: as above.
                unsafe { *chunk.logits.at(chunk.logit(panel, id) + lane) -= sum as f32 };
            }
        }
        // SAFETY: each row belongs to one lane of one panel.
        let row = |row: &usize| unsafe { gradient.dh.part(row * features, features) };
        let write = if gradient.dh_keeps { Write::Add } else { Write::Set };
        unpack_panel(dh, |lane| self.rows.get(panel * LANES + lane).map(row), write);
        for (token, factor) in tokens.zip(factor) {
            // SAFETY: as above.
            let to = unsafe { chunk.scaled.part(token * scaled_stride(features), features) };
            let from = &self.h[self.rows[token] * features..][..features];
            to.iter_mut().zip(from).for_each(|(to, h)| *to = factor * h);
        }
    }
}
