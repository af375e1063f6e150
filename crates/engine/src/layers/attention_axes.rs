//! Axes along which an attention compares queries with keys, if inputs have more than that of time.
use super::{AttentionCall, Role, Signature, Step, float, unify};
use crate::{
    ops::{Extent, TensorOperation, inverse},
    shape::{Dimension, Equality, Shape, describe},
};

/// Axes between batch and features: those that are attended over, and those at each place of which attention is by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AttentionAxes {
    /// In the order of the scores.
    over: Vec<usize>,
    /// Ascending.
    apart: Vec<usize>,
}

/// Sizes of the scores before they are folded: batch, axes apart, heads, axes of the queries, axes of the keys.
pub(super) struct Scores {
    pub shape: Shape,
    pub equal: Vec<Equality>,
}

impl AttentionAxes {
    /// Of inputs of so many axes; `given` may count from the end, `None` is all between batch and features.
    pub(super) fn new(given: Option<&[i64]>, rank: usize) -> Result<Self, String> {
        let last = rank.checked_sub(2).filter(|&last| last > 0);
        let last = last.ok_or_else(|| format!("expected inputs of at least three axes, got {rank}"))?;
        let Some(given) = given else { return Ok(Self { over: (1..=last).collect(), apart: Vec::new() }) };
        let mut over = Vec::with_capacity(given.len());
        for &axis in given {
            let counted = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
            let found = usize::try_from(counted).ok().filter(|axis| (1..=last).contains(axis));
            let found = found.ok_or_else(|| {
                format!(
                    "attentionAxes: expected axes from 1 to {last}, or from -{} to -2, for inputs of {rank} axes, got \
                     {axis}",
                    last + 1
                )
            })?;
            if over.contains(&found) {
                return Err(format!("attentionAxes: axis {found} comes twice"));
            }
            over.push(found);
        }
        Ok(Self { apart: (1..=last).filter(|axis| !over.contains(axis)).collect(), over })
    }

    /// Whether inputs are sequences of vectors as they are.
    pub(crate) fn are_time(&self) -> bool {
        self.over.len() == 1 && self.apart.is_empty()
    }

    fn rank(&self) -> usize {
        self.over.len() + self.apart.len() + 2
    }

    /// Axes in the order in which they are folded, features last if there are any.
    fn order(&self, features: bool) -> Vec<usize> {
        let last = features.then_some(self.rank() - 1);
        [0].into_iter().chain(self.apart.iter().copied()).chain(self.over.iter().copied()).chain(last).collect()
    }

    /// From `[B, ..., D]` to sequences `[B times the axes apart, T, D]`, with the mask of the input if it has one. Takes
    /// the input.
    pub(crate) fn fold(&self, masked: bool) -> Vec<Step> {
        let mut steps = Vec::new();
        let folded = self.fold_as(0, true, &mut steps);
        if masked {
            let mask = push(&mut steps, TensorOperation::Mask {}, vec![0]);
            let mask = self.fold_as(mask, false, &mut steps);
            push(&mut steps, TensorOperation::SetMask {}, vec![folded, mask]);
        }
        steps
    }

    fn fold_as(&self, from: usize, features: bool, steps: &mut Vec<Step>) -> usize {
        let axes = self.order(features);
        let mut value = from;
        if !axes.is_sorted() {
            value = push(steps, TensorOperation::Transpose { axes }, vec![value]);
        }
        let last = self.rank() - 1;
        if !self.apart.is_empty() {
            let kept = (1 + self.apart.len()..last + usize::from(features)).map(|axis| Extent::Like([0, axis]));
            let shape = std::iter::once(Extent::Size(-1)).chain(kept).collect();
            value = push(steps, TensorOperation::Reshape { shape }, vec![value]);
        }
        if self.over.len() > 1 {
            let mut shape = vec![Extent::Like([0, 0]), Extent::Size(-1)];
            shape.extend(features.then_some(Extent::Like([0, 1 + self.over.len()])));
            value = push(steps, TensorOperation::Reshape { shape }, vec![value]);
        }
        value
    }

    /// From sequences to the axes of the query, with its mask if it has one. Takes the sequences and the query.
    pub(crate) fn unfold(&self, masked: bool) -> Vec<Step> {
        let mut steps = Vec::new();
        let order = self.order(true);
        let mut shape: Vec<Extent> = order[..self.rank() - 1].iter().map(|&axis| Extent::Like([1, axis])).collect();
        shape.push(Extent::Like([0, 2]));
        let mut value = push_of(&mut steps, 2, TensorOperation::Reshape { shape }, vec![0, 1]);
        if !order.is_sorted() {
            let axes = inverse(&order);
            value = push_of(&mut steps, 2, TensorOperation::Transpose { axes }, vec![value]);
        }
        if masked {
            let mask = push_of(&mut steps, 2, TensorOperation::Mask {}, vec![1]);
            push_of(&mut steps, 2, TensorOperation::SetMask {}, vec![value, mask]);
        }
        steps
    }

    /// From scores `[B times the axes apart, heads, T, S]` to all axes. Takes the scores, the query and the value.
    pub(crate) fn unfold_scores(&self) -> Vec<Step> {
        let of = |input: usize| move |&axis: &usize| Extent::Like([input, axis]);
        let mut shape = vec![Extent::Like([1, 0])];
        shape.extend(self.apart.iter().map(of(1)));
        shape.push(Extent::Like([0, 1]));
        shape.extend(self.over.iter().map(of(1)));
        shape.extend(self.over.iter().map(of(2)));
        vec![(TensorOperation::Reshape { shape }, vec![0, 1, 2])]
    }

    /// From a mask or bias of the scores to `[B times the axes apart, heads, T, S]`, where batch and axes apart together, and
    /// the heads, may be 1 for all. Takes it, the query and the value.
    pub(crate) fn fold_scores(&self, own: &Signature) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut value = 0;
        let (over, apart) = (self.over.len(), self.apart.len());
        let before = own.shape.len() - 2 * over;
        let one = Dimension::Size(1);
        // Batch, axes apart, heads; what is missing behind the first is 1.
        let extent = |place: usize| if place < before { Extent::Like([0, place]) } else { Extent::Size(1) };
        if before < apart + 2 {
            let all = (0..apart + 2).map(extent);
            let shape = all.chain((before..before + 2 * over).map(|axis| Extent::Like([0, axis]))).collect();
            value = push_of(&mut steps, 3, TensorOperation::Reshape { shape }, vec![value]);
        }
        let is_one = |place: usize| place >= before || own.shape[place] == one;
        let some = (0..=apart).any(is_one);
        if some && !(0..=apart).all(is_one) {
            let lead = std::iter::once(0).chain(self.apart.iter().copied()).map(|axis| Extent::Like([1, axis]));
            let own = (1 + apart..2 + apart + 2 * over).map(|axis| Extent::Like([0, axis]));
            let shape = lead.chain(own).collect();
            value = push_of(&mut steps, 3, TensorOperation::BroadcastTo { shape }, vec![value, 1]);
        }
        let kept = |first: usize, count: usize| (first..first + count).map(|axis| Extent::Like([0, axis]));
        if apart > 0 {
            let shape = std::iter::once(Extent::Size(-1)).chain(kept(1 + apart, 1 + 2 * over)).collect();
            value = push_of(&mut steps, 3, TensorOperation::Reshape { shape }, vec![value]);
        }
        if over > 1 {
            let queries = kept(0, 2).chain([Extent::Size(-1)]).chain(kept(2 + over, over)).collect();
            value = push_of(&mut steps, 3, TensorOperation::Reshape { shape: queries }, vec![value]);
            let keys = kept(0, 3).chain([Extent::Size(-1)]).collect();
            push_of(&mut steps, 3, TensorOperation::Reshape { shape: keys }, vec![value]);
        }
        steps
    }

    /// Checks the inputs of a call: sizes of the scores for so many heads.
    pub(super) fn scores(&self, call: &AttentionCall, inputs: &[Signature], heads: usize) -> Result<Scores, String> {
        let rank = self.rank();
        let mut equal = Vec::new();
        for (role, input) in call.inputs.iter().zip(inputs) {
            if matches!(role, Role::AttentionMask | Role::AttentionBias) {
                continue;
            }
            let name = role.name();
            float(input, name)?;
            if input.shape.len() != rank {
                return Err(format!(
                    "expected {name} to have the {rank} axes of the query, got {}",
                    describe(&input.shape)
                ));
            }
        }
        let (query, value) = (&inputs[0], &inputs[1]);
        let mut fits = |one: &Signature, other: &Signature, axes: &[usize]| {
            axes.iter().all(|&axis| unify(&one.shape[axis], &other.shape[axis], &mut equal))
        };
        let around = [&[0], self.apart.as_slice()].concat();
        if !fits(query, value, &around) {
            return Err(format!(
                "expected query and value to have one size along the axes {around:?}, which are not attended over, got {} \
                 and {}",
                describe(&query.shape),
                describe(&value.shape)
            ));
        }
        if let Some(key) = call.place(Role::Key).map(|place| &inputs[place])
            && !fits(value, key, &(0..rank - 1).collect::<Vec<_>>())
        {
            return Err(format!(
                "expected key and value to have one shape but for their features, got {} and {}",
                describe(&key.shape),
                describe(&value.shape)
            ));
        }
        let of = |x: &Signature, axes: &[usize]| axes.iter().map(|&axis| x.shape[axis].clone()).collect::<Shape>();
        let shape =
            [of(query, &around), vec![Dimension::Size(heads)], of(query, &self.over), of(value, &self.over)].concat();
        for (role, name) in [(Role::AttentionMask, "attentionMask"), (Role::AttentionBias, "attentionBias")] {
            let Some(own) = call.place(role).map(|place| &inputs[place]) else { continue };
            let pairs = 2 * self.over.len();
            let before = own.shape.len().checked_sub(pairs).filter(|&before| (1..=around.len() + 1).contains(&before));
            let whole = role == Role::AttentionMask || before == Some(around.len() + 1);
            let fits = before.filter(|_| whole).is_some_and(|before| {
                let lead = own.shape[..before].iter().zip(&shape);
                let rest = own.shape[before..].iter().zip(&shape[around.len() + 1..]);
                lead.into_iter().all(|(own, of)| *own == Dimension::Size(1) || unify(of, own, &mut equal))
                    && rest.into_iter().all(|(own, of)| unify(of, own, &mut equal))
            });
            if role == Role::AttentionBias {
                float(own, name)?;
            }
            if !fits {
                let may = if role == Role::AttentionMask {
                    "; those between the batch and the queries may be missing"
                } else {
                    ""
                };
                return Err(format!(
                    "expected {name} to have shape {} (1 before the queries is for all{may}), got {}",
                    describe(&shape),
                    describe(&own.shape)
                ));
            }
        }
        Ok(Scores { shape, equal })
    }

    /// How many axes are attended over.
    pub(super) fn count(&self) -> usize {
        self.over.len()
    }
}

/// One more step, of what takes one input; gives the number of its value.
fn push(steps: &mut Vec<Step>, operation: TensorOperation, takes: Vec<usize>) -> usize {
    push_of(steps, 1, operation, takes)
}

/// One more step, of what takes so many inputs; gives the number of its value.
fn push_of(steps: &mut Vec<Step>, inputs: usize, operation: TensorOperation, takes: Vec<usize>) -> usize {
    steps.push((operation, takes));
    inputs + steps.len() - 1
}

/// What steps give of inputs like these, the last one.
pub(super) fn run(steps: &[Step], inputs: &[&Signature], equal: &mut Vec<Equality>) -> Result<Signature, String> {
    let mut values: Vec<Signature> = inputs.iter().map(|&input| input.clone()).collect();
    for (operation, takes) in steps {
        let taken: Vec<Signature> = takes.iter().map(|&value| values[value].clone()).collect();
        let inference = operation.infer(&taken)?;
        equal.extend(inference.equal);
        values.extend(inference.outputs);
    }
    // Without steps it is the input itself.
    let last = if steps.is_empty() { 0 } else { values.len() - 1 };
    Ok(values.swap_remove(last))
}

#[cfg(test)]
mod tests {
    use super::AttentionAxes;

    fn axes(given: &[i64], rank: usize) -> Result<(Vec<usize>, Vec<usize>), String> {
        AttentionAxes::new(Some(given), rank).map(|axes| (axes.over, axes.apart))
    }

    #[test]
    fn axes_are_counted_from_both_ends_in_their_order() {
        assert_eq!(axes(&[1], 3), Ok((vec![1], vec![])));
        assert_eq!(axes(&[-2, 1], 5), Ok((vec![3, 1], vec![2])));
        let all = AttentionAxes::new(None, 4).map(|axes| (axes.over, axes.apart));
        assert_eq!(all, Ok((vec![1, 2], vec![])));
        assert!(AttentionAxes::new(None, 3).is_ok_and(|axes| axes.are_time()));
        assert!(AttentionAxes::new(Some(&[2]), 4).is_ok_and(|axes| !axes.are_time()));
    }

    #[test]
    fn batch_features_and_axes_that_come_twice_are_refused() {
        for wrong in [0, 3, -1, -4, i64::MIN, i64::MAX] {
            let said = axes(&[wrong], 4).unwrap_err();
            assert!(said.contains("from 1 to 2, or from -3 to -2, for inputs of 4 axes"), "{said}");
        }
        assert!(axes(&[2, -2], 4).unwrap_err().contains("axis 2 comes twice"));
        assert!(AttentionAxes::new(None, 2).unwrap_err().contains("at least three axes"));
    }
}
