//! Which nodes run forward a second time in a training step, so that their values need not be kept between the passes.
//!
//! Forward keeps nothing of a block of nodes that is read within it alone. Right before its backward pass those of its
//! nodes run forward again that make what the pass reads, from what came into the block. They have the same inputs and
//! draw the same random numbers, so that every bit is what it was.
//!
//! # Source
//! Chen et al. (2016), "Training Deep Nets with Sublinear Memory Cost".
use super::{Node, Plan, ValueId};

/// What runs forward a second time; the first three have one entry for each of the `order` of a schedule.
#[derive(Clone, Debug)]
pub struct Recomputation {
    /// Positions of the order that run forward again before this one runs backward.
    pub before: Vec<Vec<usize>>,
    /// Whether it runs forward again: what it keeps besides values is then of no use the first time.
    pub again: Vec<bool>,
    /// Values that nothing needs after it ran forward again.
    pub release: Vec<Vec<ValueId>>,
    /// For each value: the block that alone reads it, an index of [`Plan::recomputed`]; `None` if there is no such, or it has
    /// no backward pass.
    pub blocks: Vec<Option<usize>>,
}

/// A block under way: positions of the order.
struct Block<'a> {
    plan: &'a Plan,
    order: &'a [usize],
    backward: &'a [bool],
    number: usize,
    first: usize,
    /// Behind its last position.
    end: usize,
}

impl<'a> Block<'a> {
    fn node(&self, position: usize) -> &'a Node {
        &self.plan.nodes[self.order[position]]
    }

    /// Positions that run backward.
    fn backward(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        (self.first..self.end).filter(move |&position| self.backward[self.order[position]])
    }
}

impl Recomputation {
    pub(super) fn new(plan: &Plan, order: &[usize], read_last: &[bool], backward: &[bool]) -> Self {
        let mut recomputation = Self {
            before: vec![Vec::new(); order.len()],
            again: vec![false; order.len()],
            release: vec![Vec::new(); order.len()],
            blocks: vec![None; plan.values.len()],
        };
        // Behind the last position that reads a value forward.
        let mut read = vec![0; plan.values.len()];
        for (position, &index) in order.iter().enumerate() {
            plan.nodes[index].inputs.iter().for_each(|&input| read[input] = position + 1);
        }
        for (value, _) in read_last.iter().enumerate().filter(|(_, last)| **last) {
            read[value] = order.len() + 1;
        }
        for (number, nodes) in plan.recomputed.iter().enumerate() {
            let [first, end] = [nodes.start, nodes.end].map(|node| order.partition_point(|&index| index < node));
            recomputation.add(&Block { plan, order, backward, number, first, end }, &read);
        }
        recomputation
    }

    fn add(&mut self, block: &Block<'_>, read: &[usize]) {
        let Some(last) = block.backward().next_back() else { return };
        let own = Some(block.number);
        for &output in (block.first..block.end).flat_map(|position| &block.node(position).outputs) {
            self.blocks[output] = own.filter(|_| read[output] <= block.end);
        }
        let mut kept = vec![false; self.blocks.len()];
        for node in block.backward().map(|position| block.node(position)) {
            node.operation.kept(&node.inputs, &node.outputs).into_iter().for_each(|value| kept[value] = true);
        }
        let mut wanted: Vec<bool> =
            kept.iter().zip(&self.blocks).map(|(&kept, &own_of)| kept && own_of == own).collect();
        let mut made = vec![false; self.blocks.len()];
        for position in (block.first..block.end).rev() {
            let node = block.node(position);
            if node.outputs.iter().any(|&output| wanted[output]) {
                self.again[position] = true;
                self.before[last].insert(0, position);
                node.inputs.iter().for_each(|&input| wanted[input] |= self.blocks[input] == own);
                node.outputs.iter().for_each(|&output| made[output] = true);
            }
        }
        // What backward reads is released there, all else that is made again after its last use.
        for &position in self.before[last].iter().rev() {
            let node = block.node(position);
            for &value in node.inputs.iter().chain(&node.outputs) {
                if made[value] && !kept[value] {
                    made[value] = false;
                    self.release[position].push(value);
                }
            }
        }
    }
}
