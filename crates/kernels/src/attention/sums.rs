//! Sums of the gradients of keys and values over queries.
use std::ops::Range;

use super::{
    Empty,
    backward::Job,
    call::{Call, Space, row_stride},
    pack::write_row,
    steps::Steps,
};
use crate::simd::{Kernel, LANES, Lanes};

/// Sums of the gradients of keys and values.
pub(super) struct Sums<'a> {
    /// Packed rows of the keys that count.
    pub keys: &'a mut [f32],
    pub values: &'a mut [f32],
    /// `[V]`: gradients of queries for which no key counts.
    pub empty: &'a mut [f32],
}

impl<'a> Sums<'a> {
    pub(super) fn lengths(call: Call<'_>, keys: usize) -> [usize; 3] {
        let (key, value) = call.widths();
        [keys * row_stride(key), keys * row_stride(value), value.next_multiple_of(LANES)]
    }

    /// Floats for all keys of a sequence.
    pub(super) fn length(call: Call<'_>) -> usize {
        Self::lengths(call, call.sizes.keys).iter().sum()
    }

    /// Takes the sums of `keys` keys.
    pub(super) fn take(space: &mut Space<'a>, call: Call<'_>, keys: usize) -> Self {
        let [keys, values, empty] = Self::lengths(call, keys).map(|length| space.take(length));
        Self { keys, values, empty }
    }

    /// Leaves out the first `count` keys.
    pub(super) fn skip(&mut self, call: Call<'_>, count: usize) {
        let [keys, values, _] = Self::lengths(call, count);
        self.keys = &mut std::mem::take(&mut self.keys)[keys..];
        self.values = &mut std::mem::take(&mut self.values)[values..];
    }
}

/// Writes the gradients of the keys and values `steps`; `keys` are all that count, and the
/// sums are those of these from number `offset` on.
///
/// # Safety
/// The instruction set of `L` is available, and no one else touches these rows.
#[inline(always)]
pub(super) unsafe fn write_sums<L: Lanes>(
    job: &Job<'_>,
    sequence: usize,
    group: usize,
    steps: Range<usize>,
    keys: &Steps,
    sums: &Sums<'_>,
    offset: usize,
) {
    let call = job.call;
    let (key_width, value_width) = call.widths();
    let share = match call.options.empty {
        Empty::Uniform => 1.0 / call.sizes.keys as f32,
        Empty::Zero => 0.0,
    };
    let mut next = keys.before(steps.start);
    for step in steps {
        let found = (next < keys.len() && keys.at(next) == step).then_some(next);
        next += usize::from(found.is_some());
        // SAFETY: the caller's contract; the sums are packed rows.
        unsafe {
            if let Some(target) = job.key.filter(|target| target.has(sequence, step)) {
                let to = target.row(sequence, step, group * key_width, key_width);
                match found {
                    Some(number) => {
                        let from = &sums.keys[(number - offset) * row_stride(key_width)..];
                        write_row::<L>(to, from, 1.0, target.accumulate);
                    }
                    None => target.write_nothing(to),
                }
            }
            if let Some(target) = job.value.filter(|target| target.has(sequence, step)) {
                let to = target.row(sequence, step, group * value_width, value_width);
                match found {
                    Some(number) => {
                        let from = &sums.values[(number - offset) * row_stride(value_width)..];
                        write_row::<L>(to, from, 1.0, target.accumulate);
                    }
                    None => target.write_nothing(to),
                }
                if share > 0.0 {
                    write_row::<L>(to, sums.empty, share, true);
                }
            }
        }
    }
}

/// Adds up the sums of all ranges of queries for some keys, and writes them.
pub(super) struct Finish<'a> {
    pub job: Job<'a>,
    pub sequence: usize,
    /// A head of keys.
    pub group: usize,
    pub steps: Range<usize>,
}

impl Kernel for Finish<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { job, sequence, group, steps } = self;
        let call = job.call;
        let Some(partial) = job.partial else { return };
        let keys = call.keys(sequence);
        let (first, end) = (keys.before(steps.start), keys.before(steps.end));
        let [keys_length, values_length, empty_length] = Sums::lengths(call, call.sizes.keys);
        let (key_width, value_width) = call.widths();
        let (key_stride, value_stride) = (row_stride(key_width), row_stride(value_width));
        let length = Sums::length(call);
        let place = |range: usize| ((sequence * call.options.key_value_heads + group) * job.ranges + range) * length;
        let mut empty = vec![0.0; empty_length];
        // SAFETY: no one else touches the rows of these keys; the other sums are only read.
        unsafe {
            let of = |range: usize| {
                let keys = partial.part(place(range) + first * key_stride, (end - first) * key_stride);
                let values = place(range) + keys_length + first * value_stride;
                (keys, partial.part(values, (end - first) * value_stride))
            };
            let (keys_sum, values_sum) = of(0);
            for range in 0..job.ranges {
                let at = partial.at(place(range) + keys_length + values_length);
                for (index, sum) in empty.iter_mut().enumerate() {
                    *sum += *at.add(index);
                }
                if range > 0 {
                    let (keys, values) = of(range);
                    keys_sum.iter_mut().zip(keys).for_each(|(sum, value)| *sum += *value);
                    values_sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += *value);
                }
            }
            let sums = Sums { keys: keys_sum, values: values_sum, empty: &mut empty };
            write_sums::<L>(&job, sequence, group, steps, &keys, &sums, first);
        }
    }
}
