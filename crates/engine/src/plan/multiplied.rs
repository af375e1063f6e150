//! Weights that are only multiplied by linear layers, or looked up row by row: they may be kept in fewer bits.
use super::{Node, Operation, Plan};

/// Fewest features and units of a matrix that is worth it.
const LEAST: usize = 32;

impl Plan {
    /// For each weight its units and features, if nothing else is done with it.
    #[must_use]
    pub fn multiplied(&self) -> Vec<Option<[usize; 2]>> {
        let mut found = vec![None; self.weights.len()];
        let mut other = vec![false; self.weights.len()];
        for node in &self.nodes {
            if matches!(node.operation, Operation::Linear | Operation::Embedding { .. }) {
                let Some(weight) = self.weight(node, 0) else { continue };
                let specification = &self.weights[weight].specification;
                found[weight] = match (crate::weights::matrix(specification), specification.shape.as_slice()) {
                    (Some((rows, columns)), _) => Some([columns, rows]),
                    (None, &[rows, columns]) => Some([rows, columns]),
                    _ => None,
                };
                continue;
            }
            for weight in (0..read(node)).map_while(|index| self.weight(node, index)) {
                other[weight] = true;
            }
        }
        for (found, other) in found.iter_mut().zip(other) {
            *found = found.filter(|sizes| !other && sizes.iter().all(|&size| size >= LEAST));
        }
        found
    }
}

/// How many weights a node reads at most.
fn read(node: &Node) -> usize {
    match node.operation {
        Operation::Recurrent(_) | Operation::AttentionRnn(_) | Operation::Scan(_) => usize::MAX,
        Operation::Normalize(_) => 2,
        Operation::AddPositions(_) | Operation::Bias(_) | Operation::Tensor(_) => 1,
        _ => 0,
    }
}
