//! Cutting a text into pieces with scores: the best way, or one drawn at random.
//!
//! # Source
//! Kudo, "Subword Regularization: Improving Neural Network Translation Models with Multiple Subword Candidates" (2018).
use super::random::Random;

/// A piece that may stand at a place of the text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Node {
    /// Where it begins and ends, in bytes.
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) id: u32,
    pub(super) score: f64,
}

/// All pieces that may stand in a text, in the order of their beginnings. Each character begins one, so that there is always a way.
#[derive(Default)]
pub(super) struct Lattice {
    pub(super) nodes: Vec<Node>,
    /// What each place of the text is reached with.
    reached: Vec<f64>,
    left: Vec<f64>,
    /// The last piece of the best way to each place.
    last: Vec<u32>,
    /// For each place the nodes that end there: the last one, and for each node the one before it.
    ending: Vec<u32>,
    before: Vec<u32>,
}

const NONE: u32 = u32::MAX;

/// The logarithm of the sum of two numbers given by their logarithms.
fn log_add(a: f64, b: f64) -> f64 {
    let (small, large) = if a < b { (a, b) } else { (b, a) };
    if small == f64::NEG_INFINITY { large } else { large + (small - large).exp().ln_1p() }
}

impl Lattice {
    pub(super) fn clear(&mut self) {
        self.nodes.clear();
    }

    /// Gives back the room of a long text.
    pub(super) fn shrink(&mut self, most: usize) {
        self.nodes.shrink_to(most);
        self.reached.shrink_to(most);
        self.left.shrink_to(most);
        self.last.shrink_to(most);
        self.ending.shrink_to(most);
        self.before.shrink_to(most);
    }

    /// The nodes of the way with the largest sum of scores, of equal ones that found first, and the sum; sums are rounded
    /// by `round`. `None` if there is no way without the nodes for which `skip` gives true.
    pub(super) fn best(
        &mut self,
        length: usize,
        round: impl Fn(f64) -> f64,
        skip: impl Fn(&Node) -> bool,
        way: &mut Vec<Node>,
    ) -> Option<f64> {
        let Self { nodes, reached, last, .. } = self;
        way.clear();
        reached.clear();
        reached.resize(length + 1, 0.0);
        last.clear();
        last.resize(length + 1, NONE);
        for (index, node) in nodes.iter().enumerate() {
            let (start, end) = (node.start as usize, node.end as usize);
            if (start > 0 && last[start] == NONE) || skip(node) {
                continue;
            }
            let sum = node.score + reached[start];
            if last[end] == NONE || sum > reached[end] {
                reached[end] = round(sum);
                last[end] = index as u32;
            }
        }
        let mut place = length;
        while place > 0 {
            let node = *nodes.get(last[place] as usize)?;
            way.push(node);
            place = node.start as usize;
        }
        way.reverse();
        Some(reached[length])
    }

    /// The logarithms of the sums over all ways from the beginning to each place, scores multiplied by `alpha`.
    fn forward(&mut self, length: usize, alpha: f64) {
        let Self { nodes, reached, .. } = self;
        reached.clear();
        reached.resize(length + 1, f64::NEG_INFINITY);
        reached[0] = 0.0;
        for node in nodes.iter() {
            let sum = reached[node.start as usize] + alpha * node.score;
            let end = &mut reached[node.end as usize];
            *end = log_add(*end, sum);
        }
    }

    /// Calls `expected` for each node with the probability that it is part of a way, ways being as probable as the
    /// exponential of their sums; returns the logarithm of the sum over all ways.
    pub(super) fn expect(&mut self, length: usize, mut expected: impl FnMut(&Node, f64)) -> f64 {
        self.forward(length, 1.0);
        let Self { nodes, reached, left, .. } = self;
        left.clear();
        left.resize(length + 1, f64::NEG_INFINITY);
        left[length] = 0.0;
        for node in nodes.iter().rev() {
            let sum = left[node.end as usize] + node.score;
            let start = &mut left[node.start as usize];
            *start = log_add(*start, sum);
        }
        let all = reached[length];
        for node in nodes.iter() {
            let own = reached[node.start as usize] + node.score + left[node.end as usize] - all;
            expected(node, own.exp());
        }
        all
    }

    /// The nodes of a way drawn with a probability proportional to the exponential of `alpha` times its sum.
    pub(super) fn sample(&mut self, length: usize, alpha: f64, random: &mut Random, way: &mut Vec<Node>) {
        way.clear();
        self.forward(length, alpha);
        let Self { nodes, reached, ending, before, .. } = self;
        ending.clear();
        ending.resize(length + 1, NONE);
        before.clear();
        for (index, node) in nodes.iter().enumerate() {
            before.push(ending[node.end as usize]);
            ending[node.end as usize] = index as u32;
        }
        let mut place = length;
        while place > 0 {
            let mut rest = random.next();
            let mut index = ending[place];
            let mut chosen = None;
            // The last one is taken if rounding leaves something over.
            while let Some(node) = nodes.get(index as usize) {
                chosen = Some(*node);
                rest -= (reached[node.start as usize] + alpha * node.score - reached[place]).exp();
                if rest < 0.0 {
                    break;
                }
                index = before[index as usize];
            }
            let Some(node) = chosen else { break };
            way.push(node);
            place = node.start as usize;
        }
        way.reverse();
    }
}
