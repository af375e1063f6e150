//! Dot-product attention by plain products.
use std::sync::Arc;

use ::candle_core::{D, Tensor as Array};
use sconce_kernels::{
    attention::{self, AttentionDropout, AttentionSizes, Empty},
    random::RandomKey,
};

use super::{Run, Value, forward::softmax};
use crate::{
    backend::attention_masks::{Spread, flags, joined},
    error::{Code, Error, Result},
    plan::{AttentionPlan, Node, ValueId},
    tensor::{Mask, Tensor},
};

/// Batch, heads, queries and keys.
type Sizes = [usize; 4];

/// What a forward pass computes.
struct Parts {
    /// `[batch, heads, T, key_width]`.
    query: Array,
    /// `[batch, heads, S, key_width]`.
    key: Array,
    /// `[batch, heads, S, value_width]`.
    value: Array,
    /// 1 where a key counts, `[batch, heads, T, S]`.
    seen: Array,
    /// Scores before dropout.
    scores: Array,
    /// How capped scores follow their products.
    slopes: Option<Array>,
    /// Factors of dropout.
    factors: Option<Array>,
    sizes: Sizes,
}

/// `[batch, steps, heads * width]` as `[batch, heads, steps, width]`.
fn split(x: &Array, heads: usize) -> Result<Array> {
    let (batch, steps, width) = x.dims3()?;
    Ok(x.reshape((batch, steps, heads, width / heads))?.transpose(1, 2)?.contiguous()?)
}

/// The way back.
fn join(x: &Array) -> Result<Array> {
    let (batch, heads, steps, width) = x.dims4()?;
    Ok(x.transpose(1, 2)?.contiguous()?.reshape((batch, steps, heads * width))?)
}

/// Each head `times` times.
fn repeat(x: &Array, times: usize) -> Result<Array> {
    let (batch, heads, steps, width) = x.dims4()?;
    let wide = x.unsqueeze(2)?.broadcast_as((batch, heads, times, steps, width))?.contiguous()?;
    Ok(wide.reshape((batch, heads * times, steps, width))?)
}

/// Sums of `times` heads each.
fn gather(x: &Array, times: usize) -> Result<Array> {
    let (batch, heads, steps, width) = x.dims4()?;
    Ok(x.reshape((batch, heads / times, times, steps, width))?.sum(2)?)
}

impl Run<'_> {
    fn attention_sizes(&self, node: &Node, plan: &AttentionPlan) -> Result<Sizes> {
        let (query, value) = (self.floats(node.inputs[0])?, self.floats(node.inputs[2])?);
        if plan.cache.is_some() {
            return Ok([query.dim(0)?, plan.heads, query.dim(1)?, self.forward.position() + value.dim(1)?]);
        }
        let [rows, queries, batch] = [query.dim(0)?, query.dim(1)?, value.dim(0)?];
        Ok([batch, plan.heads, self.forward.queries_of_sequence(rows, queries, batch), value.dim(1)?])
    }

    /// The queries, those of rows that share their keys as one sequence.
    fn queries(&self, node: &Node, [batch, _, queries, _]: Sizes) -> Result<Array> {
        let query = self.floats(node.inputs[0])?;
        Ok(query.reshape((batch, queries, query.dim(2)?))?)
    }

    /// Keys, values and which of them count; in a step of decoding those of all steps so far.
    fn keys_and_values(&self, node: &Node, plan: &AttentionPlan) -> Result<(Array, Array, Option<Mask>)> {
        let key_mask = self.mask(node.inputs[1]).filter(|_| plan.key_mask);
        let mask = joined(key_mask, self.mask(node.inputs[2]));
        let (key, value) = (self.floats(node.inputs[1])?.clone(), self.floats(node.inputs[2])?.clone());
        let Some(number) = plan.cache else { return Ok((key, value, mask)) };
        let lacking = || Error::new(Code::Internal, "a step of decoding lacks its keys and values");
        let mut caches = self.forward.decoding.ok_or_else(lacking)?.caches();
        let cache = caches.get_mut(number).ok_or_else(lacking)?;
        let (key, value) = (self.host(node.inputs[1])?, self.host(node.inputs[2])?);
        cache.append(&key, &value, mask.as_ref().map(|mask| mask.as_slice()))?;
        let [key, value] = [cache.tensor(0), cache.tensor(1)];
        let (key, value) = (self.upload(key.floats()?, &key.shape)?, self.upload(value.floats()?, &value.shape)?);
        Ok((key, value, cache.mask().map(Arc::new)))
    }

    /// Any value as a tensor of the host.
    fn host(&self, value: ValueId) -> Result<Tensor> {
        match &self.values[value] {
            Some(Value::Ids(ids)) => Ok(ids.clone()),
            _ => {
                let floats = self.floats(value)?;
                Ok(Tensor::float(floats.dims().to_vec(), Self::download(floats)?))
            }
        }
    }

    /// 1 where a key counts for a query.
    fn seen(&self, node: &Node, plan: &AttentionPlan, key_mask: Option<Mask>, sizes: Sizes) -> Result<Array> {
        let [batch, heads, queries, keys] = sizes;
        let before = self.forward.position();
        let query_mask = self.mask(node.inputs[0]).filter(|_| !plan.zero_masked);
        let mask = match plan.mask_input() {
            Some(place) => {
                let mask = self.host(node.inputs[place])?;
                Some((flags(&mask), Spread::new(&mask.shape, sizes)?))
            }
            None => None,
        };
        let mut seen = Vec::with_capacity(batch * heads * queries * keys);
        for row in 0..batch {
            for head in 0..heads {
                for query in 0..queries {
                    for key in 0..keys {
                        let counts = query_mask.as_ref().is_none_or(|mask| mask[row * queries + query] != 0)
                            && key_mask.as_ref().is_none_or(|mask| mask[row * keys + key] != 0)
                            && (!plan.causal || key <= query + before)
                            && plan.window.is_none_or(|window| key.abs_diff(query + before) < window)
                            && mask.as_ref().is_none_or(|(flags, spread)| {
                                flags[row * spread.batch + head * spread.head + query * keys + key] != 0
                            });
                        seen.push(f32::from(u8::from(counts)));
                    }
                }
            }
        }
        self.upload(&seen, &sizes)
    }

    fn attention_parts(&self, index: usize, node: &Node, plan: &AttentionPlan) -> Result<Parts> {
        let sizes = self.attention_sizes(node, plan)?;
        let times = plan.heads / plan.key_value_heads;
        let query = split(&self.queries(node, sizes)?, plan.heads)?;
        let (key, value, key_mask) = self.keys_and_values(node, plan)?;
        let key = repeat(&split(&key, plan.key_value_heads)?, times)?;
        let value = repeat(&split(&value, plan.key_value_heads)?, times)?;
        let seen = self.seen(node, plan, key_mask, sizes)?;
        let mut logits = query.matmul(&key.t()?.contiguous()?)?.affine(f64::from(plan.scale), 0.0)?;
        let mut slopes = None;
        if let Some(cap) = plan.cap.map(f64::from) {
            let shares = logits.affine(1.0 / cap, 0.0)?.tanh()?;
            slopes = Some(shares.sqr()?.affine(-1.0, 1.0)?);
            logits = shares.affine(cap, 0.0)?;
        }
        if let Some(place) = plan.bias_input() {
            logits = logits.broadcast_add(self.floats(node.inputs[place])?)?;
        }
        let logits = seen.gt(0.0)?.where_cond(&logits, &logits.zeros_like()?.affine(1.0, -1e30)?)?;
        let mut scores = softmax(&logits)?;
        if plan.empty == Empty::Zero {
            scores = scores.broadcast_mul(&seen.max_keepdim(D::Minus1)?)?;
        }
        let factors = match self.random.filter(|_| plan.dropout > 0.0) {
            Some(random) => Some(self.attention_factors(plan, random.own_key(plan.seed, index), &seen)?),
            None => None,
        };
        Ok(Parts { query, key, value, seen, scores, slopes, factors, sizes })
    }

    /// Factors of dropout; queries that see no key have none.
    fn attention_factors(&self, plan: &AttentionPlan, key: RandomKey, seen: &Array) -> Result<Array> {
        let (batch, heads, queries, keys) = seen.dims4()?;
        let mut factors = vec![0.0; seen.elem_count()];
        let sizes = AttentionSizes { batch, queries, keys };
        attention::dropout_factors(sizes, heads, AttentionDropout { rate: plan.dropout, key }, &mut factors);
        let factors = self.upload(&factors, seen.dims())?;
        let any = seen.max_keepdim(D::Minus1)?.gt(0.0)?.broadcast_as(seen.shape())?;
        Ok(any.where_cond(&factors, &factors.ones_like()?)?)
    }

    /// Zeros at masked queries, where the plan says so.
    fn zero_masked(&self, node: &Node, plan: &AttentionPlan, y: Array) -> Result<Array> {
        let Some(mask) = self.mask(node.inputs[0]).filter(|_| plan.zero_masked) else { return Ok(y) };
        let flags: Vec<f32> = mask.iter().map(|&counts| f32::from(u8::from(counts != 0))).collect();
        let (batch, steps, _) = y.dims3()?;
        Ok(y.broadcast_mul(&self.upload(&flags, &[batch, steps, 1])?)?)
    }

    pub(super) fn attention_forward(&mut self, index: usize, node: &Node, plan: AttentionPlan) -> Result<()> {
        let sizes = self.attention_sizes(node, &plan)?;
        let [batch, heads, queries, _] = sizes;
        let (output, scores) = if sizes.contains(&0) {
            (self.zeros(&[batch, queries, heads * plan.value_width])?, self.zeros(&sizes)?)
        } else {
            let parts = self.attention_parts(index, node, &plan)?;
            let kept = match &parts.factors {
                Some(factors) => (&parts.scores * factors)?,
                None => parts.scores.clone(),
            };
            let output = self.zero_masked(node, &plan, join(&kept.matmul(&parts.value)?)?)?;
            let query = self.floats(node.inputs[0])?;
            (output.reshape((query.dim(0)?, query.dim(1)?, output.dim(2)?))?, parts.scores)
        };
        self.values[node.outputs[0]] = Some(Value::Floats(output));
        self.masks[node.outputs[0]] = self.mask(node.inputs[0]);
        if let Some(&value) = node.outputs.get(1) {
            self.values[value] = Some(Value::Floats(scores));
        }
        Ok(())
    }

    pub(super) fn attention_backward(&mut self, index: usize, node: &Node, plan: AttentionPlan) -> Result<()> {
        let sizes = self.attention_sizes(node, &plan)?;
        let dy = self.gradients[node.outputs[0]].take();
        let dscores = node.outputs.get(1).and_then(|&value| self.gradients[value].take());
        if dy.is_none() && dscores.is_none() || sizes.contains(&0) {
            return Ok(());
        }
        let parts = self.attention_parts(index, node, &plan)?;
        let times = plan.heads / plan.key_value_heads;
        let mut dweights = match dscores {
            Some(dscores) => dscores,
            None => self.zeros(&parts.sizes)?,
        };
        if let Some(dy) = dy {
            let dy = split(&self.zero_masked(node, &plan, dy)?, plan.heads)?;
            let mut kept = parts.scores.clone();
            let mut dkept = dy.matmul(&parts.value.t()?.contiguous()?)?;
            if let Some(factors) = &parts.factors {
                kept = (kept * factors)?;
                dkept = (dkept * factors)?;
            }
            dweights = (dweights + dkept)?;
            let dvalue = kept.t()?.contiguous()?.matmul(&dy)?;
            self.add_gradient(node.inputs[2], join(&gather(&dvalue, times)?)?)?;
        }
        let sums = (&dweights * &parts.scores)?.sum_keepdim(D::Minus1)?;
        let dlogits = ((&parts.scores * dweights.broadcast_sub(&sums)?)? * &parts.seen)?;
        if let Some(place) = plan.bias_input() {
            let input = node.inputs[place];
            let mut dbias = dlogits.clone();
            let shape = self.floats(input)?.dims().to_vec();
            for (axis, _) in shape.iter().zip(parts.sizes).enumerate().filter(|(_, (own, size))| *own != size) {
                dbias = dbias.sum_keepdim(axis)?;
            }
            self.add_gradient(input, dbias)?;
        }
        let mut dproducts = dlogits.affine(f64::from(plan.scale), 0.0)?;
        if let Some(slopes) = &parts.slopes {
            dproducts = (dproducts * slopes)?;
        }
        self.add_gradient(node.inputs[0], join(&dproducts.matmul(&parts.key)?)?)?;
        let dkey = dproducts.t()?.contiguous()?.matmul(&parts.query)?;
        self.add_gradient(node.inputs[1], join(&gather(&dkey, times)?)?)
    }
}
