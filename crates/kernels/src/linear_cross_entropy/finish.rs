//! What is known of a chunk's rows once all exponentials are summed: losses, factors, `dh`, and the rows for `dW`.
use super::{
    chunk::{Chunk, Factors, Sums},
    gradient::Gradient,
    plan::scaled_stride,
    target::ChunkTargets,
};
use crate::{
    Context,
    pieces::{load_at, store_at},
    shared::Shared,
    simd::{Kernel, LANES, Lanes, Simd, prefetch},
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
    pub row_unsmoothed: Option<Shared<'a>>,
    pub row_prediction: Shared<'a, u32>,
    pub gradient: Option<&'a Gradient<'a>>,
}

/// What is known of the logits of a row over all classes.
pub(super) struct RowSums {
    /// Logarithm of the sum of the exponentials of all logits.
    pub logsumexp: f64,
    /// The largest logit.
    pub largest: f32,
    /// The class with the largest logit, the lowest of equals; 0 if no logit is a number.
    pub best: u32,
    /// Sum of the exponentials of the distances to the reference.
    pub exponentials: f64,
    /// Sum of the logits that a share of each target is spread over.
    logits: f64,
    targets: f64,
    products: f64,
}

/// A sum of a row over all ranges of classes; the pieces that make it must have ended.
fn total(chunk: &Chunk<'_>, panel: usize, lane: usize, sum: Sums) -> f64 {
    // SAFETY: nobody writes sums any more.
    let of = |range: usize| unsafe { *chunk.sums.at(chunk.sum(range, panel, sum) + lane) };
    (0..chunk.plan.ranges).map(|range| f64::from(of(range))).sum()
}

impl RowSums {
    /// Reads what the pieces left; they must have ended.
    pub(super) fn new(chunk: &Chunk<'_>, panel: usize, lane: usize) -> Self {
        // SAFETY: nobody writes sums and references any more.
        let read = |range: usize, sum: Sums| unsafe { *chunk.sums.at(chunk.sum(range, panel, sum) + lane) };
        // SAFETY: as above.
        let reference = unsafe { *chunk.references.at(panel * LANES + lane) };
        let sum = |sum: Sums| total(chunk, panel, lane, sum);
        let (mut largest, mut best) = (f32::NEG_INFINITY, 0);
        for range in 0..chunk.plan.ranges {
            let found = read(range, Sums::Largest);
            if found > largest {
                let begin = chunk.plan.range(range).start * chunk.plan.block;
                (largest, best) = (found, (begin + read(range, Sums::Best) as usize) as u32);
            }
        }
        let exponentials = sum(Sums::Exponentials);
        Self {
            logsumexp: f64::from(reference) + exponentials.ln(),
            largest,
            best,
            exponentials,
            logits: sum(Sums::Logits),
            targets: sum(Sums::Targets),
            products: sum(Sums::Products),
        }
    }

    /// Whether all logits are numbers below infinity and one is above its negative.
    pub(super) fn is_sound(&self) -> bool {
        self.largest.is_finite() && !self.logits.is_nan()
    }
}

/// What is done with each panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Losses, predictions and the factors of the gradients.
    Factors,
    /// `dh`, and what `dW` needs.
    Rows,
}

impl Finish<'_> {
    pub(super) fn run(&self, context: &Context, parts: &[Part]) {
        context.pool.run(self.chunk.panels, &|panel| {
            for part in parts {
                match part {
                    Part::Factors => self.factors(panel),
                    Part::Rows => self.rows(panel, context.simd),
                }
            }
        });
    }

    /// Losses, predictions and the factors of the gradients of a panel.
    fn factors(&self, panel: usize) {
        let chunk = self.chunk;
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
                let smoothing = &self.targets.smoothing;
                let (whole, picked) = match self.targets.id(token) {
                    Some(_) => (1.0, f64::from(*chunk.picked.at(token))),
                    None => (sums.targets, sums.products),
                };
                let mass = smoothing.mass(whole, chunk.linear.classes);
                let mut product = picked * smoothing.kept;
                if smoothing.spread > 0.0 {
                    product += smoothing.spread * sums.logits;
                }
                let sound = sums.is_sound();
                let loss = |mass: f64, product: f64| {
                    if sound { (mass * sums.logsumexp - product) as f32 } else { f32::NAN }
                };
                *self.row_loss.at(self.rows[token]) = loss(mass, product);
                if let Some(unsmoothed) = self.row_unsmoothed {
                    *unsmoothed.at(self.rows[token]) = loss(whole, picked);
                }
                *self.row_prediction.at(self.rows[token]) = sums.best;
                let weight = if sound { self.weights[token] } else { f32::NAN };
                let exponential = (f64::from(weight) * mass / sums.exponentials) as f32;
                *factor(Factors::Exponential) = exponential;
                *factor(Factors::Target) = weight;
                *factor(Factors::Gradient) = if self.targets.explicit() { 1.0 } else { exponential };
            }
        }
    }

    /// `dh` of a panel, and what `dW` needs: the rows of `h` times their factors, the targets subtracted from the exponentials.
    fn rows(&self, panel: usize, simd: Simd) {
        let (chunk, Some(gradient)) = (self.chunk, self.gradient) else { return };
        let mut target_rows = [None; LANES];
        if !self.targets.explicit() {
            for (lane, row) in target_rows.iter_mut().enumerate() {
                let token = panel * LANES + lane;
                let Some(id) = (token < chunk.tokens).then(|| self.targets.id(token)).flatten() else { continue };
                let features = chunk.linear.features;
                *row = Some((self.weights[token], &chunk.linear.kernel[id * features..][..features]));
                // In units of the factor, the target is the sum of the exponentials.
                let sum = total(chunk, panel, lane, Sums::Exponentials);
                // SAFETY: the values of this panel belong to this piece.
                unsafe { *chunk.values.at(chunk.value(panel, id) + lane) -= sum as f32 };
            }
        }
        simd.run(Rows { finish: self, gradient, panel, target_rows });
    }
}

/// The rows of a panel.
struct Rows<'a> {
    finish: &'a Finish<'a>,
    gradient: &'a Gradient<'a>,
    panel: usize,
    /// What is subtracted from the gradient of a token that has a class: its weight times the weights of the class.
    target_rows: [Option<(f32, &'a [f32])>; LANES],
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { finish: Finish { chunk, h, rows, targets, .. }, gradient, panel, target_rows } = self;
        let features = chunk.linear.features;
        let tokens = panel * LANES..chunk.tokens.min((panel + 1) * LANES);
        // SAFETY: the panel, the rows and their lanes belong to this piece; the caller vouches for the path.
        unsafe {
            // Rows come from beyond the second cache in no order: those of the next panel are asked for.
            let ahead: [_; LANES] = std::array::from_fn(|lane| {
                let token = (panel + 1) * LANES + lane;
                let Some(&row) = rows.get(token) else { return [std::ptr::null(); 2] };
                let class =
                    targets.id(token).map_or(std::ptr::null(), |id| chunk.linear.kernel[id * features..].as_ptr());
                [h[row * features..].as_ptr(), class]
            });
            let factors = chunk.factors.part(chunk.factor(panel, Factors::Gradient), LANES);
            let factor = L::load(factors.as_ptr());
            for at in (0..features).step_by(LANES) {
                let count = LANES.min(features - at);
                let mut vectors = [L::splat(0.0); LANES];
                for (feature, vector) in vectors.iter_mut().enumerate().take(count) {
                    let part = |range| chunk.dh.at(((range * chunk.panels + panel) * features + at + feature) * LANES);
                    let mut sum = L::load(part(0));
                    for range in 1..chunk.plan.ranges {
                        sum = sum.add(L::load(part(range)));
                    }
                    *vector = if targets.explicit() { sum } else { sum.mul(factor) };
                }
                let vectors = L::transpose(vectors);
                for (lane, token) in tokens.clone().enumerate() {
                    for row in ahead[lane] {
                        if !row.is_null() {
                            prefetch(row.wrapping_add(at));
                        }
                    }
                    let mut dh = vectors[lane];
                    if let Some((weight, row)) = target_rows[lane] {
                        dh = dh.sub(L::splat(weight).mul(load_at(row, at)));
                    }
                    let row = rows[token] * features;
                    let to = gradient.dh.part(row, features);
                    if gradient.dh_keeps {
                        dh = load_at::<L>(to, at).add(dh);
                    }
                    store_at(to, at, dh);
                    let scaled = L::splat(factors[lane]).mul(load_at(&h[row..row + features], at));
                    store_at(chunk.scaled.part(token * scaled_stride(features), features), at, scaled);
                }
            }
        }
    }
}
