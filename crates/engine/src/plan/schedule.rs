//! Which nodes run, which values have gradients, and when values can be released.
use sconce_kernels::activation::Activation;

use super::{Activity, LossPlan, Operation, Plan, Recomputation, ValueId};
use crate::{
    error::Result,
    layers::Merge,
    shape::{Bindings, ElementType, count},
};

/// What a schedule is for.
#[derive(Clone, Copy, Debug)]
pub enum Roots<'a> {
    /// These values.
    Values(&'a [ValueId]),
    /// Losses and metrics.
    Losses(&'a [LossPlan]),
}

/// An order of work: forward through `order`, losses, backward through `order` in reverse.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Nodes that are needed, in order.
    pub order: Vec<usize>,
    /// For each value: whether its gradient is needed. All false for inference.
    pub gradient: Vec<bool>,
    /// For each value that one node alone takes: the ReLU that gives it, with or without dropout. Its gradient counts for
    /// nothing where it is 0.
    pub rectified: Vec<Option<usize>>,
    /// For each weight: whether its gradient is wanted.
    pub trainable: Vec<bool>,
    /// For each entry of `order`: values that nothing needs after it ran forward.
    pub release: Vec<Vec<ValueId>>,
    /// For each entry of `order`: values that nothing needs after it ran backward.
    pub release_backward: Vec<Vec<ValueId>>,
    /// For each node: whether it runs backward.
    pub backward: Vec<bool>,
    /// Penalties on values that are parts of the loss.
    pub activities: Vec<Activity>,
    /// For each value: the value whose mask says which rows it needs; `None` if it needs all. A backend may compute the
    /// others too.
    pub packed: Vec<Option<ValueId>>,
    /// What runs forward again before its backward pass.
    pub recomputation: Recomputation,
}

impl Operation {
    /// Values of a node that its backward pass reads.
    pub(super) fn kept(&self, inputs: &[ValueId], outputs: &[ValueId]) -> Vec<ValueId> {
        match self {
            Self::Embedding { .. } | Self::Recurrent(_) | Self::Linear => inputs.to_vec(),
            Self::Activate(activation) | Self::ActivateDropped(activation, _) if activation.gradient_takes_input() => {
                inputs.to_vec()
            }
            Self::Activate(_) | Self::ActivateDropped(..) | Self::Softmax => outputs.to_vec(),
            Self::Merge(Merge::Multiply | Merge::Maximum | Merge::Minimum) => inputs.to_vec(),
            Self::Normalize(_) | Self::Gate => inputs.to_vec(),
            Self::Pool(pooling) if pooling.maximum => [inputs, outputs].concat(),
            Self::Pool(_) | Self::SoftmaxOver(_) | Self::LogSoftmax => outputs.to_vec(),
            Self::Mask(_) | Self::SpatialDropout(_) | Self::FoldTime | Self::UnfoldTime => Vec::new(),
            Self::Scan(_) | Self::AttentionRnn(_) => inputs.to_vec(),
            Self::Tensor(operation) => operation.kept(inputs, outputs),
            Self::Input
            | Self::Dropout(_)
            | Self::Residual(_)
            | Self::Concatenate(_)
            | Self::Merge(_)
            | Self::RepeatVector(_) => Vec::new(),
            Self::FlipTime | Self::AddPositions(_) | Self::Rotate(_) | Self::Bias(_) => Vec::new(),
            // The output too: what a query lost to others follows from it.
            Self::Attention(_) => [inputs, outputs].concat(),
            Self::AdditiveScores => inputs.to_vec(),
        }
    }
}

/// See [`Schedule::rectified`]. As a node by rows, a ReLU has the same rows in its input as in its output.
fn rectified(plan: &Plan, order: &[usize], read_last: &[bool]) -> Vec<Option<usize>> {
    let mut taken = vec![0; plan.values.len()];
    order.iter().flat_map(|&index| &plan.nodes[index].inputs).for_each(|&value| taken[value] += 1);
    let mut rectified = vec![None; plan.values.len()];
    for &index in order {
        let node = &plan.nodes[index];
        let relu = matches!(
            node.operation,
            Operation::Activate(Activation::Relu) | Operation::ActivateDropped(Activation::Relu, _)
        );
        let output = node.outputs[0];
        rectified[output] = Some(index).filter(|_| relu && taken[output] == 1 && !read_last[output]);
    }
    rectified
}

impl Schedule {
    /// The schedule of `roots`; with `trainable` (one flag a weight) one for training.
    #[must_use]
    pub fn new(plan: &Plan, roots: Roots<'_>, trainable: Option<&[bool]>) -> Self {
        Self::differentiating(plan, roots, trainable, false)
    }

    /// The schedule of `roots` for training that also differentiates by the inputs of the model that are floats.
    #[must_use]
    pub fn with_inputs(plan: &Plan, roots: Roots<'_>, trainable: &[bool]) -> Self {
        Self::differentiating(plan, roots, Some(trainable), true)
    }

    fn differentiating(plan: &Plan, roots: Roots<'_>, trainable: Option<&[bool]>, inputs: bool) -> Self {
        let mut needed = vec![false; plan.values.len()];
        let mut activities = Vec::new();
        // Values that the losses read, after all nodes ran forward.
        let mut read_last = vec![false; plan.values.len()];
        match roots {
            Roots::Values(values) => values.iter().for_each(|&value| read_last[value] = true),
            Roots::Losses(losses) => {
                activities.clone_from(&plan.activities);
                plan.activities.iter().for_each(|activity| read_last[activity.value] = true);
                for loss in losses {
                    loss.roots().for_each(|value| read_last[value] = true);
                    if let Some(node) = loss.fused() {
                        read_last[plan.nodes[node].inputs[0]] = true;
                    }
                }
            }
        }
        needed.clone_from(&read_last);
        let mut wanted = vec![false; plan.nodes.len()];
        for (index, node) in plan.nodes.iter().enumerate().rev() {
            if node.outputs.iter().any(|&output| needed[output]) {
                wanted[index] = true;
                node.inputs.iter().for_each(|&input| needed[input] = true);
            }
        }
        // Inputs of the batch stay bound even if nothing reads them.
        let order: Vec<usize> = (0..plan.nodes.len()).filter(|&index| wanted[index]).collect();
        let flags = trainable.map_or_else(|| vec![false; plan.weights.len()], <[bool]>::to_vec);
        let mut gradient = vec![false; plan.values.len()];
        for &input in plan.inputs.iter().filter(|_| inputs) {
            gradient[input] = plan.values[input].dtype == ElementType::Float32;
        }
        let mut backward = vec![false; plan.nodes.len()];
        for &index in &order {
            let node = &plan.nodes[index];
            let layer = &plan.layers[node.layer];
            let weights = &flags[layer.first_weight..][..layer.weight_count];
            // Only the first node of an expanded layer has its weights.
            let own = node.operation.has_weights() && weights.contains(&true);
            // Of what a bias by distance takes, only the lengths count.
            let through = !matches!(node.operation, Operation::Bias(_));
            if own || through && node.inputs.iter().any(|&input| gradient[input]) {
                backward[index] = true;
                node.outputs.iter().for_each(|&output| gradient[output] = true);
            }
        }
        let rectified = rectified(plan, &order, &read_last);
        let recomputation = Recomputation::new(plan, &order, &read_last, &backward);
        let (release, release_backward) = releases(plan, &order, &read_last, &backward, &recomputation);
        let penalised: Vec<ValueId> = activities.iter().map(|activity| activity.value).collect();
        let packed = Self::packing(plan, roots, &order, &penalised);
        Self {
            order,
            gradient,
            rectified,
            trainable: flags,
            release,
            release_backward,
            backward,
            activities,
            packed,
            recomputation,
        }
    }

    /// Whether there is anything to differentiate.
    #[must_use]
    pub fn differentiates(&self) -> bool {
        self.trainable.contains(&true)
    }

    /// About as many bytes as a batch takes at most: all inputs, values and their gradients, but of the blocks whose values
    /// are made again only the largest.
    ///
    /// # Errors
    /// `Shape` or `Limit` if a size does not follow from those of the inputs.
    pub fn bytes(&self, plan: &Plan, bindings: &Bindings) -> Result<usize> {
        let (mut bytes, mut of_blocks) = (0usize, vec![0usize; plan.recomputed.len()]);
        // Logits that are fused with their loss are in no schedule.
        let made = self.order.iter().flat_map(|&node| &plan.nodes[node].outputs);
        for &value in plan.inputs.iter().chain(made) {
            let sizes = bindings.sizes(&plan.values[value].shape)?;
            let sum = match self.recomputation.blocks[value] {
                Some(block) => &mut of_blocks[block],
                None => &mut bytes,
            };
            *sum = sum.saturating_add(count(&sizes)?.saturating_mul(8));
        }
        Ok(bytes.saturating_add(of_blocks.into_iter().max().unwrap_or(0)))
    }
}

type Releases = Vec<Vec<ValueId>>;

fn releases(
    plan: &Plan,
    order: &[usize],
    read_last: &[bool],
    backward: &[bool],
    recomputation: &Recomputation,
) -> (Releases, Releases) {
    /// When a value is read last: position `at` forward, or position `at` backward.
    #[derive(Clone, Copy)]
    enum Last {
        Never,
        Forward(usize),
        Losses,
        Backward(usize),
    }
    let mut last = vec![Last::Never; plan.values.len()];
    for (position, &index) in order.iter().enumerate() {
        let node = &plan.nodes[index];
        for &value in node.inputs.iter().chain(&node.outputs) {
            last[value] = Last::Forward(position);
        }
    }
    for (value, _) in read_last.iter().enumerate().filter(|(_, read)| **read) {
        last[value] = Last::Losses;
    }
    let forward = last.clone();
    // Backward runs from the end, so the earliest position reads last.
    for (position, &index) in order.iter().enumerate().rev() {
        // What runs again reads what came into its block.
        let again = recomputation.before[position].iter().flat_map(|&again| &plan.nodes[order[again]].inputs);
        for &value in again.filter(|&&value| recomputation.blocks[value].is_none()) {
            last[value] = Last::Backward(position);
        }
        let node = &plan.nodes[index];
        if backward[index] {
            for value in node.operation.kept(&node.inputs, &node.outputs) {
                last[value] = Last::Backward(position);
            }
        }
    }
    let mut release = vec![Vec::new(); order.len()];
    let mut release_backward = vec![Vec::new(); order.len()];
    for (value, (last, forward)) in last.into_iter().zip(forward).enumerate() {
        match last {
            Last::Forward(position) => release[position].push(value),
            Last::Backward(position) => {
                release_backward[position].push(value);
                // What is made again is not kept in between.
                if let (Some(_), Last::Forward(position)) = (recomputation.blocks[value], forward) {
                    release[position].push(value);
                }
            }
            Last::Never | Last::Losses => {}
        }
    }
    (release, release_backward)
}
