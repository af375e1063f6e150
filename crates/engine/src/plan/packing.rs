//! Which values need only the rows of positions that count.
//!
//! A position that is masked costs nothing if nobody looks at its row: the values around attention are then kept without
//! such rows, from where a sequence comes in to its loss. Where somebody looks, as at the output of a model, all rows
//! are computed.
use sconce_kernels::attention::Empty;

use super::{AttentionPlan, LossPlan, Node, Operation, Plan, Schedule, ValueId, schedule::Roots};
use crate::{layers::Merge, shape::ElementType};

impl Operation {
    /// Whether each row of its output, `[batch, steps, features]`, depends on the same row of its inputs alone, and for its
    /// backward pass, so that inputs and output can lack the same rows.
    fn is_by_row(&self, plan: &Plan, node: &Node) -> bool {
        let rank = plan.values[node.outputs[0]].shape.len();
        match self {
            Self::Linear | Self::Activate(_) | Self::Dropout(_) | Self::Softmax => true,
            Self::AddPositions(_) | Self::Rotate(_) | Self::Residual(_) | Self::ActivateDropped(..) => true,
            Self::Gate => true,
            Self::Merge(Merge::Add | Merge::Subtract | Merge::Average) => true,
            Self::Normalize(normalization) => matches!(normalization.axes[..], [axis] if axis + 1 == rank),
            // Queries and output.
            Self::Attention(attention) => attention.takes_rows(),
            _ => false,
        }
    }
}

impl AttentionPlan {
    /// Whether its operands can lack rows.
    fn takes_rows(&self) -> bool {
        !self.scores && !self.zero_masked && self.cache.is_none()
    }
}

/// What is known of the values of a plan.
struct Packing<'a> {
    plan: &'a Plan,
    order: &'a [usize],
    /// For each value: the value whose mask it has.
    masks: Vec<ValueId>,
    /// For each value: whether it can do without the rows of masked positions.
    possible: Vec<bool>,
    /// Masks of values that queries of other sequences average where no key counts.
    averaged: Vec<bool>,
}

impl Schedule {
    /// For each value the value whose mask says which rows it needs; `None` where it needs all. Of no effect on results.
    pub(super) fn packing(plan: &Plan, roots: Roots<'_>, order: &[usize], whole: &[ValueId]) -> Vec<Option<ValueId>> {
        let Roots::Losses(losses) = roots else { return vec![None; plan.values.len()] };
        let mut packing = Packing::new(plan, order);
        packing.exclude_read(losses, whole);
        packing.settle();
        packing.finish()
    }

    /// Whether a node works on the rows of its values that there are: then all inputs and the output of one that is no
    /// attention lack the same ones, and the queries and the output of one that is.
    #[must_use]
    pub fn is_packed(&self, plan: &Plan, node: &Node) -> bool {
        node.outputs.first().is_some_and(|&output| self.packed[output].is_some())
            && node.operation.is_by_row(plan, node)
    }
}

impl<'a> Packing<'a> {
    fn new(plan: &'a Plan, order: &'a [usize]) -> Self {
        let mut masks: Vec<ValueId> = (0..plan.values.len()).collect();
        for node in &plan.nodes {
            let Some((&first, others)) = node.inputs.split_first() else { continue };
            let same = node.operation.passes_mask()
                || matches!(node.operation, Operation::Merge(_)) && others.iter().all(|&x| masks[x] == masks[first]);
            if same && plan.values[node.outputs[0]].masked {
                masks[node.outputs[0]] = masks[first];
            }
        }
        let possible = plan
            .values
            .iter()
            .map(|value| value.masked && value.shape.len() == 3 && value.dtype == ElementType::Float32)
            .collect();
        let mut averaged = vec![false; plan.values.len()];
        for &index in order {
            let node = &plan.nodes[index];
            if matches!(node.operation, Operation::Attention(plan) if plan.empty == Empty::Uniform) {
                let [query, value] = [node.inputs[0], node.inputs[2]].map(|input| masks[input]);
                averaged[value] |= query != value;
            }
        }
        Self { plan, order, masks, possible, averaged }
    }

    /// What losses, metrics and penalties read whole.
    fn exclude_read(&mut self, losses: &[LossPlan], whole: &[ValueId]) {
        whole.iter().for_each(|&value| self.possible[value] = false);
        for loss in losses {
            loss.roots().for_each(|value| self.possible[value] = false);
            if let Some(node) = loss.fused() {
                let source = self.plan.nodes[node].inputs[0];
                self.possible[source] &= self.masks[source] == self.masks[self.plan.outputs[loss.output]];
            }
        }
    }

    /// Excludes values until those that are left fit together.
    fn settle(&mut self) {
        loop {
            let before = self.possible.clone();
            for &index in self.order {
                self.exclude(&self.plan.nodes[index]);
            }
            if before == self.possible {
                return;
            }
        }
    }

    /// All of these values lack the same rows, or none does.
    fn join(&mut self, values: &[ValueId]) {
        let joined = values.iter().all(|&value| self.possible[value] && self.masks[value] == self.masks[values[0]]);
        if !joined {
            values.iter().for_each(|&value| self.possible[value] = false);
        }
    }

    fn exclude(&mut self, node: &Node) {
        let by_row = node.outputs.len() == 1 && node.operation.is_by_row(self.plan, node);
        match node.operation {
            Operation::Attention(attention) if by_row => {
                self.join(&[node.inputs[0], node.outputs[0]]);
                self.exclude_memory(node, &attention);
            }
            _ if by_row => self.join(&[node.inputs.as_slice(), &node.outputs].concat()),
            _ => {
                node.inputs.iter().for_each(|&input| self.possible[input] = false);
                // Its rows are taken away once it is computed: its own backward pass cannot read them.
                for value in node.operation.kept(&node.inputs, &node.outputs) {
                    self.possible[value] = false;
                }
            }
        }
    }

    /// Keys and values: a row counts for nobody if its key is masked, unless a query that sees no key averages all values.
    fn exclude_memory(&mut self, node: &Node, attention: &AttentionPlan) {
        let [query, key, value] = [node.inputs[0], node.inputs[1], node.inputs[2]];
        let mask = |value: ValueId| self.masks[value];
        // A value may be the keys too.
        let key_fits = attention.key_mask || mask(key) == mask(value);
        let value_fits = match attention.empty {
            Empty::Zero => true,
            // A query of the same sequence sees at least itself. One of another sequence sees none if none counts, and of
            // such sequences all rows are kept; what else takes keys away could leave it none of some.
            Empty::Uniform => {
                let own = mask(query) == mask(value);
                self.possible[query]
                    && !attention.mask
                    && !attention.bias
                    && mask(key) == mask(value)
                    && (own || !attention.causal && attention.window.is_none() && !self.averaged[mask(query)])
            }
        };
        self.possible[key] &= key_fits && (key != value || value_fits);
        self.possible[value] &= value_fits;
        for &input in &node.inputs[3..] {
            self.possible[input] = false;
        }
    }

    /// Leaves out what no operation is saved for.
    fn finish(self) -> Vec<Option<ValueId>> {
        let mut worthwhile = vec![false; self.plan.values.len()];
        for node in self.order.iter().map(|&index| &self.plan.nodes[index]) {
            if node.operation.is_by_row(self.plan, node) && self.possible[node.outputs[0]] {
                node.inputs.iter().chain(&node.outputs).for_each(|&value| worthwhile[value] = true);
            }
        }
        let packed = |value: ValueId| (self.possible[value] && worthwhile[value]).then_some(self.masks[value]);
        (0..self.plan.values.len()).map(packed).collect()
    }
}
