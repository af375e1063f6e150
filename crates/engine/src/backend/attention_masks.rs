//! Which keys count for which queries of an attention.
use std::sync::Arc;

use crate::{
    error::{Code, Error, Result},
    tensor::{Data, Mask, Tensor},
};

/// Keys that count where both masks say so, as far as there are any.
pub(super) fn joined(first: Option<Mask>, second: Option<Mask>) -> Option<Mask> {
    match (first, second) {
        (Some(first), Some(second)) if !Arc::ptr_eq(&first, &second) => {
            let both = first.iter().zip(second.iter()).map(|(&a, &b)| u8::from(a != 0 && b != 0));
            Some(Arc::new(both.collect()))
        }
        (first, second) => first.or(second),
    }
}

/// A mask or bias of scores `[batch, heads, T, S]`, of which the batch or the heads may have one for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spread {
    /// How far one batch is from the next: 0 if there is one for all.
    pub batch: usize,
    /// How far one head is from the next: 0 if there is one for all.
    pub head: usize,
}

impl Spread {
    /// Of a tensor of shape `[batch or 1, T, S]` or `[batch or 1, heads or 1, T, S]`.
    pub fn new(shape: &[usize], [batch, heads, queries, keys]: [usize; 4]) -> Result<Self> {
        let each = queries * keys;
        let (own_batch, own_heads) = match *shape {
            [own, t, s] if [t, s] == [queries, keys] => (own, 1),
            [own, of_heads, t, s] if [t, s] == [queries, keys] => (own, of_heads),
            _ => (0, 0),
        };
        if ![1, batch].contains(&own_batch) || ![1, heads].contains(&own_heads) {
            return Err(Error::new(
                Code::Shape,
                format!(
                    "an attention with scores {:?} cannot take a mask or bias {shape:?}",
                    [batch, heads, queries, keys]
                ),
            ));
        }
        Ok(Self {
            batch: if own_batch == 1 { 0 } else { own_heads * each },
            head: if own_heads == 1 { 0 } else { each },
        })
    }
}

/// 1 where a mask of scores is not 0, else 0.
pub(super) fn flags(mask: &Tensor) -> Vec<u8> {
    match &mask.data {
        Data::Float(values) => values.iter().map(|&value| u8::from(value != 0.0)).collect(),
        Data::Ids(ids) => ids.iter().map(|&id| u8::from(id != 0)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Spread, flags, joined};
    use crate::tensor::Tensor;

    #[test]
    fn a_key_counts_where_both_masks_say_so() {
        let (first, second) = (Arc::new(vec![1, 0, 2, 0]), Arc::new(vec![1, 1, 0, 0]));
        assert_eq!(*joined(Some(Arc::clone(&first)), Some(second)).unwrap(), [1, 0, 0, 0]);
        assert_eq!(joined(None, Some(Arc::clone(&first))), Some(Arc::clone(&first)));
        assert_eq!(joined(Some(Arc::clone(&first)), Some(Arc::clone(&first))), Some(first));
        assert_eq!(joined(None, None), None);
    }

    #[test]
    fn masks_are_for_all_batches_or_heads_or_for_each() {
        let spread = |shape: &[usize]| Spread::new(shape, [2, 4, 3, 5]).map(|spread| [spread.batch, spread.head]);
        assert_eq!(spread(&[2, 3, 5]).unwrap(), [15, 0]);
        assert_eq!(spread(&[1, 3, 5]).unwrap(), [0, 0]);
        assert_eq!(spread(&[2, 4, 3, 5]).unwrap(), [60, 15]);
        assert_eq!(spread(&[2, 1, 3, 5]).unwrap(), [15, 0]);
        assert_eq!(spread(&[1, 4, 3, 5]).unwrap(), [0, 15]);
        assert!(spread(&[3, 3, 5]).unwrap_err().message.contains("[3, 3, 5]"));
        assert!(spread(&[2, 2, 3, 5]).is_err() && spread(&[2, 5, 3]).is_err());
        assert_eq!(flags(&Tensor::ids(vec![3], vec![-1, 0, 7])), [1, 0, 1]);
    }
}
