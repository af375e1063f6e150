//! Dot-product attention.
use std::sync::Arc;

use sconce_kernels::{
    attention::{
        self, AttentionDropout, AttentionGradients, AttentionInputs, AttentionOptions, AttentionSizes, Packed,
        PackedDestination, ScoreBias, ScoreMask,
    },
    buffer::Buffer,
    rows::for_rows,
};

use super::{Run, Saved, backward::Slot, packing::Rows};
use crate::{
    backend::{
        attention_masks::{Spread, flags, joined},
        decoding::Cache,
    },
    error::{Code, Error, Result},
    plan::{AttentionPlan, Node, ValueId},
    tensor::{Mask, Tensor},
};

/// What forward keeps: logarithms of the denominators of its softmaxes.
pub(super) struct Kept {
    log_sums: Buffer,
}

/// Masks of a call, as the kernels take them.
struct Masks {
    /// Of the queries.
    query: Option<Mask>,
    /// Of keys and values.
    key: Option<Mask>,
    /// Of pairs.
    pairs: Option<(Vec<u8>, Spread)>,
}

/// `[batch, steps, width]`, or those of its rows that are there, as the kernels take it.
fn packed<'a>(tensor: &'a Tensor, steps: usize, rows: Option<&'a Arc<Rows>>) -> Result<Packed<'a>> {
    if let Some(rows) = rows {
        return Ok(Packed::of_rows(tensor.floats()?, &rows.places, tensor.width()));
    }
    Ok(Packed::new(tensor.floats()?, steps, tensor.width()))
}

impl Run<'_> {
    fn attention_sizes(&self, node: &Node) -> Result<AttentionSizes> {
        let sizes = |value: ValueId| match (self.rows(value), self.value(value)?.shape.as_slice()) {
            (Some(rows), _) => Ok((rows.batch, rows.steps)),
            (None, &[batch, steps, _]) => Ok((batch, steps)),
            _ => Err(Error::new(Code::Internal, "attention is over sequences")),
        };
        let ((rows, queries), (batch, keys)) = (sizes(node.inputs[0])?, sizes(node.inputs[2])?);
        Ok(AttentionSizes { batch, queries: self.forward.queries_of_sequence(rows, queries, batch), keys })
    }

    fn attention_options(&self, index: usize, plan: &AttentionPlan) -> AttentionOptions {
        let rate = plan.dropout;
        let random = self.random.filter(|_| rate > 0.0);
        AttentionOptions {
            heads: plan.heads,
            key_value_heads: plan.key_value_heads,
            key_width: plan.key_width,
            value_width: plan.value_width,
            scale: plan.scale,
            causal: plan.causal,
            causal_offset: self.forward.position(),
            window: plan.window,
            cap: plan.cap,
            dropout: random.map(|random| AttentionDropout { rate, key: random.own_key(plan.seed, index) }),
            empty: plan.empty,
        }
    }

    fn attention_masks(&self, node: &Node, plan: &AttentionPlan, sizes: AttentionSizes) -> Result<Masks> {
        let AttentionSizes { batch, queries, keys } = sizes;
        let pairs = match plan.mask_input() {
            Some(place) => {
                let mask = self.value(node.inputs[place])?;
                Some((flags(mask), Spread::new(&mask.shape, [batch, plan.heads, queries, keys])?))
            }
            None => None,
        };
        let key = self.mask(node.inputs[1]).filter(|_| plan.key_mask);
        Ok(Masks { query: self.mask(node.inputs[0]), key: joined(key, self.mask(node.inputs[2])), pairs })
    }

    /// Adds keys and values to those of the steps before; gives the mask of all.
    fn attention_append(&self, node: &Node, plan: &AttentionPlan, cache: &mut Cache) -> Result<Option<Mask>> {
        let key_mask = self.mask(node.inputs[1]).filter(|_| plan.key_mask);
        let mask = joined(key_mask, self.mask(node.inputs[2]));
        cache.append(
            self.value(node.inputs[1])?,
            self.value(node.inputs[2])?,
            mask.as_ref().map(|mask| mask.as_slice()),
        )?;
        Ok(cache.mask().map(Arc::new))
    }

    /// One or more steps of decoding: attention to all steps so far.
    fn attention_step(&mut self, index: usize, node: &Node, plan: &AttentionPlan, number: usize) -> Result<()> {
        let lacking = || Error::new(Code::Internal, "a step of decoding lacks its keys and values");
        let mut caches = self.forward.decoding.ok_or_else(lacking)?.caches();
        let cache = caches.get_mut(number).ok_or_else(lacking)?;
        let masks =
            Masks { query: self.mask(node.inputs[0]), key: self.attention_append(node, plan, cache)?, pairs: None };
        let query = self.value(node.inputs[0])?;
        let [batch, queries] = [query.shape[0], query.shape[1]];
        let sizes = AttentionSizes { batch, queries, keys: cache.steps };
        let slots = cache.slots();
        let of_cache = |which: usize, stride: usize| Packed::of_rows(cache.data(which), &slots, stride);
        let inputs = AttentionInputs {
            query: packed(query, queries, None)?,
            key: of_cache(0, plan.key_value_heads * plan.key_width),
            value: of_cache(1, plan.key_value_heads * plan.value_width),
            query_mask: masks.query.as_ref().map(|mask| mask.as_slice()),
            key_mask: masks.key.as_ref().map(|mask| mask.as_slice()),
            mask: None,
            bias: self.attention_bias(node, plan, sizes)?,
        };
        let width = plan.heads * plan.value_width;
        let mut output = Buffer::new(batch * queries * width);
        attention::forward(self.context, sizes, &self.attention_options(index, plan), &inputs, &mut output, None);
        if plan.zero_masked {
            self.zero_masked(&masks, width, &mut output);
        }
        self.masks[node.outputs[0]] = masks.query;
        self.values[node.outputs[0]] = Some(Tensor::float(vec![batch, queries, width], output));
        Ok(())
    }

    fn attention_bias(
        &self,
        node: &Node,
        plan: &AttentionPlan,
        sizes: AttentionSizes,
    ) -> Result<Option<ScoreBias<'_>>> {
        let AttentionSizes { batch, queries, keys } = sizes;
        let Some(place) = plan.bias_input() else { return Ok(None) };
        let bias = self.value(node.inputs[place])?;
        let Spread { batch, head } = Spread::new(&bias.shape, [batch, plan.heads, queries, keys])?;
        Ok(Some(ScoreBias { data: bias.floats()?, batch_stride: batch, head_stride: head }))
    }

    fn attention_inputs<'b>(
        &'b self,
        node: &Node,
        plan: &AttentionPlan,
        sizes: AttentionSizes,
        masks: &'b Masks,
    ) -> Result<AttentionInputs<'b>> {
        let packed =
            |place: usize, steps| packed(self.value(node.inputs[place])?, steps, self.rows(node.inputs[place]));
        Ok(AttentionInputs {
            query: packed(0, sizes.queries)?,
            key: packed(1, sizes.keys)?,
            value: packed(2, sizes.keys)?,
            query_mask: masks.query.as_ref().map(|mask| mask.as_slice()),
            key_mask: masks.key.as_ref().map(|mask| mask.as_slice()),
            mask: masks.pairs.as_ref().map(|(data, spread)| ScoreMask {
                data,
                batch_stride: spread.batch,
                head_stride: spread.head,
            }),
            bias: self.attention_bias(node, plan, sizes)?,
        })
    }

    /// Zeros at masked queries.
    fn zero_masked(&self, masks: &Masks, width: usize, rows: &mut [f32]) {
        let Some(mask) = &masks.query else { return };
        for_rows(self.context, rows, width, width, |first, rows| {
            for (row, values) in rows.chunks_exact_mut(width).enumerate() {
                if mask[first + row] == 0 {
                    values.fill(0.0);
                }
            }
        });
    }

    pub(super) fn attention_forward(&mut self, index: usize, node: &Node, plan: AttentionPlan) -> Result<()> {
        if let Some(number) = plan.cache {
            return self.attention_step(index, node, &plan, number);
        }
        let sizes = self.attention_sizes(node)?;
        let AttentionSizes { batch, queries, keys } = sizes;
        let options = self.attention_options(index, &plan);
        let masks = self.attention_masks(node, &plan, sizes)?;
        let inputs = self.attention_inputs(node, &plan, sizes, &masks)?;
        let width = plan.heads * plan.value_width;
        let shape = match self.rows(node.inputs[0]) {
            Some(rows) => vec![rows.positions.len(), width],
            None => [&self.value(node.inputs[0])?.shape[..2], &[width]].concat(),
        };
        let mut output = Buffer::new(shape.iter().product());
        let mut log_sums = self.schedule.backward[index].then(|| Buffer::new(batch * plan.heads * queries));
        attention::forward(self.context, sizes, &options, &inputs, &mut output, log_sums.as_deref_mut());
        if plan.zero_masked {
            self.zero_masked(&masks, width, &mut output);
        }
        let scores = node.outputs.get(1).map(|_| {
            let mut scores = Buffer::new(batch * plan.heads * queries * keys);
            let query_mask = inputs.query_mask.filter(|_| !plan.zero_masked);
            let inputs = AttentionInputs { query_mask, ..inputs };
            attention::weights(self.context, sizes, &options, &inputs, &mut scores);
            Tensor::float(vec![batch, plan.heads, queries, keys], scores)
        });
        self.saved[index] = log_sums.map(|log_sums| Saved::Attention(Kept { log_sums }));
        if let Some(&value) = node.outputs.get(1) {
            self.values[value] = scores;
        }
        self.masks[node.outputs[0]] = masks.query;
        self.values[node.outputs[0]] = Some(Tensor::float(shape, output));
        Ok(())
    }

    pub(super) fn attention_backward(&mut self, index: usize, node: &Node, plan: AttentionPlan) -> Result<()> {
        let dscores = node.outputs.get(1).and_then(|&value| self.gradients[value].take());
        let dy = self.gradients[node.outputs[0]].take();
        let sizes = self.attention_sizes(node)?;
        let masks = self.attention_masks(node, &plan, sizes)?;
        if let Some(mut dy) = dy {
            let Some(Saved::Attention(Kept { log_sums })) = self.saved[index].take() else {
                return Err(Error::new(Code::Internal, "an attention lacks what its forward pass kept"));
            };
            if plan.zero_masked {
                self.zero_masked(&masks, plan.heads * plan.value_width, &mut dy);
            }
            let options = self.attention_options(index, &plan);
            let mut slots = self.attention_slots(node)?;
            let inputs = self.attention_inputs(node, &plan, sizes, &masks)?;
            let output = self.value(node.outputs[0])?.floats()?;
            let AttentionSizes { queries, keys, .. } = sizes;
            let [query, key, value, rest @ ..] = slots.as_mut_slice() else {
                return Err(Error::new(Code::Internal, "an attention has three inputs at least"));
            };
            let (key_heads, key_width) = (plan.key_value_heads, plan.key_width);
            let gradients = AttentionGradients {
                query: destination(query, queries, plan.heads * key_width),
                key: destination(key, keys, key_heads * key_width),
                value: destination(value, keys, key_heads * plan.value_width),
                bias: rest.last_mut().filter(|_| plan.bias).and_then(Option::as_mut).map(Slot::destination),
            };
            attention::backward(self.context, sizes, &options, &inputs, output, &log_sums, &dy, gradients);
            self.put_slots(node, slots);
        }
        match dscores {
            Some(dscores) => self.attention_scores_backward(node, &plan, sizes, &masks, &dscores),
            None => Ok(()),
        }
    }

    /// Slots of the gradients of all inputs.
    fn attention_slots(&mut self, node: &Node) -> Result<Vec<Option<Slot>>> {
        let mut slots = Vec::with_capacity(node.inputs.len());
        for &input in &node.inputs {
            let length = self.value(input)?.len();
            slots.push(self.slot(input, length));
        }
        Ok(slots)
    }

    /// One value may be several inputs: each but the first adds to what the one before gave.
    fn put_slots(&mut self, node: &Node, slots: Vec<Option<Slot>>) {
        for (&input, slot) in node.inputs.iter().zip(slots) {
            match slot {
                Some(slot) if self.gradients[input].is_some() => self.add_gradient(input, &slot.buffer),
                slot => self.put(input, slot),
            }
        }
    }

    /// Gradients of products, from those of the scores that a cap made of them.
    fn capped_slopes(
        &self,
        node: &Node,
        plan: &AttentionPlan,
        sizes: AttentionSizes,
        cap: f32,
        slopes: &[f32],
    ) -> Result<Buffer> {
        let AttentionSizes { queries, keys, .. } = sizes;
        let (heads, width, shared) = (plan.heads, plan.key_width, plan.key_value_heads);
        let (query, key) = (self.value(node.inputs[0])?.floats()?, self.value(node.inputs[1])?.floats()?);
        let mut capped = Buffer::new(slopes.len());
        for_rows(self.context, &mut capped, keys, keys * width, |first, rows| {
            for (row, to) in rows.chunks_exact_mut(keys).enumerate() {
                let (outer, i) = ((first + row) / queries, (first + row) % queries);
                let (batch, head) = (outer / heads, outer % heads);
                let query = &query[((batch * queries + i) * heads + head) * width..][..width];
                for (j, to) in to.iter_mut().enumerate() {
                    let at = (batch * keys + j) * shared + head / (heads / shared);
                    let product: f32 = query.iter().zip(&key[at * width..][..width]).map(|(q, k)| q * k).sum();
                    let share = (plan.scale * product / cap).tanh();
                    *to = slopes[(first + row) * keys + j] * (1.0 - share * share);
                }
            }
        });
        Ok(capped)
    }

    /// What the gradient of the scores adds: of the softmax and of the products.
    fn attention_scores_backward(
        &mut self,
        node: &Node,
        plan: &AttentionPlan,
        sizes: AttentionSizes,
        masks: &Masks,
        dscores: &[f32],
    ) -> Result<()> {
        let AttentionSizes { queries, keys, .. } = sizes;
        let (heads, width, shared) = (plan.heads, plan.key_width, plan.key_value_heads);
        let mut slots = self.attention_slots(node)?;
        let scores = self.value(node.outputs[1])?.floats()?;
        // The gradient of what the softmax was of.
        let mut slopes = Buffer::new(dscores.len());
        for_rows(self.context, &mut slopes, keys, keys, |first, slopes| {
            for (row, slopes) in slopes.chunks_exact_mut(keys).enumerate() {
                let at = (first + row) * keys;
                let (scores, dscores) = (&scores[at..][..keys], &dscores[at..][..keys]);
                let sum: f32 = scores.iter().zip(dscores).map(|(score, slope)| score * slope).sum();
                for (key, to) in slopes.iter_mut().enumerate() {
                    let counts = masks.counts(plan, sizes, first + row, key);
                    *to = if counts { scores[key] * (dscores[key] - sum) } else { 0.0 };
                }
            }
        });
        let (query, key) = (self.value(node.inputs[0])?.floats()?, self.value(node.inputs[1])?.floats()?);
        // A bias is added to what the cap made of a product.
        let capped = plan.cap.map(|cap| self.capped_slopes(node, plan, sizes, cap, &slopes)).transpose()?;
        let of_products = capped.as_ref().unwrap_or(&slopes);
        let slope = |batch: usize, head: usize, i: usize, j: usize| {
            of_products[((batch * heads + head) * queries + i) * keys + j]
        };
        let add = |to: &mut [f32], factor: f32, from: &[f32]| {
            to.iter_mut().zip(from).for_each(|(to, from)| *to += factor * from);
        };
        if let Some(Slot { buffer, accumulate }) = slots[0].as_mut() {
            let row_width = heads * width;
            for_rows(self.context, buffer, row_width, row_width * keys, |first, rows| {
                for (row, to) in rows.chunks_exact_mut(row_width).enumerate() {
                    if !*accumulate {
                        to.fill(0.0);
                    }
                    let (batch, i) = ((first + row) / queries, (first + row) % queries);
                    for (head, to) in to.chunks_exact_mut(width).enumerate() {
                        let of_head = head / (heads / shared) * width;
                        for j in 0..keys {
                            let from = &key[(batch * keys + j) * shared * width + of_head..][..width];
                            add(to, plan.scale * slope(batch, head, i, j), from);
                        }
                    }
                }
            });
        }
        if let Some(Slot { buffer, accumulate }) = slots[1].as_mut() {
            let row_width = shared * width;
            for_rows(self.context, buffer, row_width, heads * width * queries, |first, rows| {
                for (row, to) in rows.chunks_exact_mut(row_width).enumerate() {
                    if !*accumulate {
                        to.fill(0.0);
                    }
                    let (batch, j) = ((first + row) / keys, (first + row) % keys);
                    for head in 0..heads {
                        let to = &mut to[head / (heads / shared) * width..][..width];
                        for i in 0..queries {
                            let from = &query[((batch * queries + i) * heads + head) * width..][..width];
                            add(to, plan.scale * slope(batch, head, i, j), from);
                        }
                    }
                }
            });
        }
        if let Some(place) = plan.bias_input() {
            let shape = &self.value(node.inputs[place])?.shape;
            let spread = Spread::new(shape, [sizes.batch, heads, queries, keys])?;
            if let Some(Slot { buffer, accumulate }) = slots[place].as_mut() {
                if !*accumulate {
                    buffer.fill(0.0);
                }
                for (row, slopes) in slopes.chunks_exact(keys.max(1)).enumerate() {
                    let (outer, i) = (row / queries, row % queries);
                    let at = outer / heads * spread.batch + outer % heads * spread.head + i * keys;
                    add(&mut buffer[at..][..keys], 1.0, slopes);
                }
            }
        }
        // Values and masks have no part in the scores.
        for (place, slot) in slots.iter_mut().enumerate() {
            let part = place < 2 || Some(place) == plan.bias_input();
            if !part && let Some(Slot { buffer, accumulate: false }) = slot {
                buffer.fill(0.0);
            }
        }
        self.put_slots(node, slots);
        Ok(())
    }
}

impl Masks {
    /// Whether key `key` counts for row `row` of all scores `[batch, heads, T]`.
    fn counts(&self, plan: &AttentionPlan, sizes: AttentionSizes, row: usize, key: usize) -> bool {
        let AttentionSizes { queries, keys, .. } = sizes;
        let (outer, query) = (row / queries, row % queries);
        let (batch, head) = (outer / plan.heads, outer % plan.heads);
        let query_counts =
            plan.zero_masked || self.query.as_ref().is_none_or(|mask| mask[batch * queries + query] != 0);
        query_counts
            && self.key.as_ref().is_none_or(|mask| mask[batch * keys + key] != 0)
            && (!plan.causal || key <= query)
            && plan.window.is_none_or(|window| query.abs_diff(key) < window)
            && self.pairs.as_ref().is_none_or(|(flags, spread)| {
                flags[batch * spread.batch + head * spread.head + query * keys + key] != 0
            })
    }
}

fn destination(slot: &mut Option<Slot>, steps: usize, width: usize) -> Option<PackedDestination<'_>> {
    slot.as_mut().map(|slot| PackedDestination::new(&mut slot.buffer, steps, width, slot.accumulate))
}
