//! A sum of tensors.
use super::{Inference, Signature, float, unify};
use crate::shape::{ElementType, describe};

pub(super) fn infer(inputs: &[Signature]) -> Result<Inference, String> {
    let [first, rest @ ..] = inputs else { return Err("expected at least 2 inputs, got 0".to_owned()) };
    if rest.is_empty() {
        return Err("expected at least 2 inputs, got 1".to_owned());
    }
    let mut equal = Vec::new();
    for x in inputs {
        float(x, "its inputs")?;
    }
    for x in rest {
        let same = x.shape.len() == first.shape.len()
            && x.shape.iter().zip(&first.shape).all(|(left, right)| unify(right, left, &mut equal));
        if !same {
            return Err(format!(
                "expected inputs of one shape, got {} and {}",
                describe(&first.shape),
                describe(&x.shape)
            ));
        }
    }
    let masked = inputs.iter().all(|x| x.masked);
    let mut inference = Inference::single(first.shape.clone(), ElementType::Float32, masked);
    inference.equal = equal;
    Ok(inference)
}
