//! What a step of decoding has besides its inputs: its number, masks of its inputs, and keys and values of the steps
//! before.
use std::sync::{Mutex, MutexGuard, PoisonError};

use sconce_kernels::buffer::Buffer;

use crate::{
    error::{Code, Error, Result},
    tensor::{Mask, Tensor},
};

/// Steps of each row that a cache has room for at first.
const FIRST_STEPS: usize = 32;

/// The state of a decoder between its steps.
#[derive(Debug, Default)]
pub struct Decoding {
    /// Steps of the decoder's input before those that run.
    pub position: usize,
    /// Masks of the inputs of the step, one each.
    pub masks: Vec<Option<Mask>>,
    caches: Mutex<Vec<Cache>>,
}

impl Decoding {
    /// Before the first step, with as many caches, which as a rule get `steps` steps of `rows` rows at most.
    #[must_use]
    pub fn new(caches: usize, rows: usize, steps: usize) -> Self {
        let caches = (0..caches).map(|_| Cache { expected: [rows, steps], ..Cache::default() }).collect();
        Self { position: 0, masks: Vec::new(), caches: Mutex::new(caches) }
    }

    pub(super) fn caches(&self) -> MutexGuard<'_, Vec<Cache>> {
        self.caches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes sentence `rows[n]` in the place of sentence `n`, in all caches.
    pub fn select(&mut self, rows: &[usize]) {
        let caches = self.caches.get_mut().unwrap_or_else(PoisonError::into_inner);
        caches.iter_mut().for_each(|cache| cache.select(rows));
    }
}

/// Keys and values of the steps so far. Each step of each row has a slot, which rows that come from one beam share: where rows
/// change their places, only the numbers of slots move.
#[derive(Debug, Default)]
pub(super) struct Cache {
    /// Steps so far.
    pub steps: usize,
    /// Rows and steps for which there is room in the end; more may come.
    expected: [usize; 2],
    /// Slots in the order of steps, of each row.
    slots: Vec<Vec<u32>>,
    /// Slots that were given out so far.
    used: usize,
    /// Those of them that no row has any more.
    free: Vec<u32>,
    /// Widths of keys and values.
    widths: [usize; 2],
    /// Keys and values, `[slots, width]`. No buffers of the pool, which are written to as far as there is room.
    data: [Vec<f32>; 2],
    /// Which steps count, of each row; none while all do.
    mask: Option<Vec<Vec<u8>>>,
}

impl Cache {
    /// How many more slots are taken than there are free ones: room for them, and before the first step for some more.
    fn reserve(&mut self, slots: usize) -> Result<()> {
        if self.used.checked_add(slots).is_none_or(|used| u32::try_from(used).is_err()) {
            return Err(Error::new(
                Code::Limit,
                "decoding: too many steps and sequences to keep their keys and values",
            ));
        }
        let [rows, steps] = self.expected;
        let first = if self.steps == 0 { rows.saturating_mul(steps.min(FIRST_STEPS)) } else { 0 };
        for (data, width) in self.data.iter_mut().zip(self.widths) {
            data.reserve(slots.max(first).saturating_mul(width));
        }
        Ok(())
    }

    /// Adds steps `[batch, steps, width]` of keys and values, and which of them count.
    pub fn append(&mut self, key: &Tensor, value: &Tensor, mask: Option<&[u8]>) -> Result<()> {
        let (&[batch, steps, key_width], &[_, _, value_width]) = (key.shape.as_slice(), value.shape.as_slice()) else {
            return Err(Error::new(Code::Internal, "keys and values are sequences"));
        };
        if self.steps == 0 {
            self.slots = vec![Vec::new(); batch];
            self.widths = [key_width, value_width];
        }
        if batch != self.slots.len() || self.widths != [key_width, value_width] {
            return Err(Error::new(Code::Internal, "keys and values have other sizes than those of the steps before"));
        }
        self.reserve((batch * steps).saturating_sub(self.free.len()))?;
        let mut new =
            key.floats()?.chunks_exact(key_width.max(1)).zip(value.floats()?.chunks_exact(value_width.max(1)));
        for row in &mut self.slots {
            for (key, value) in new.by_ref().take(steps) {
                let slot = self.free.pop().unwrap_or(self.used as u32);
                row.push(slot);
                self.used = self.used.max(slot as usize + 1);
                for (data, values) in self.data.iter_mut().zip([key, value]) {
                    let at = slot as usize * values.len();
                    match data.get_mut(at..at + values.len()) {
                        Some(old) => old.copy_from_slice(values),
                        None => data.extend_from_slice(values),
                    }
                }
            }
        }
        if let Some(new) = mask {
            let all = self.mask.get_or_insert_with(|| vec![vec![1; self.steps]; batch]);
            for (row, new) in all.iter_mut().zip(new.chunks_exact(steps.max(1))) {
                row.extend_from_slice(new);
            }
        } else if let Some(all) = &mut self.mask {
            all.iter_mut().for_each(|row| row.resize(self.steps + steps, 1));
        }
        self.steps += steps;
        Ok(())
    }

    /// Keys (0) or values (1), `[slots, width]`.
    pub fn data(&self, which: usize) -> &[f32] {
        &self.data[which]
    }

    /// The slot of each step, `[batch, steps]`.
    pub fn slots(&self) -> Vec<u32> {
        self.slots.concat()
    }

    /// Keys (0) or values (1) as a tensor `[batch, steps, width]`.
    pub fn tensor(&self, which: usize) -> Tensor {
        let (data, width) = (self.data(which), self.widths[which]);
        let mut dense = Buffer::new(self.slots.len() * self.steps * width);
        for (&slot, to) in self.slots.iter().flatten().zip(dense.chunks_exact_mut(width.max(1))) {
            to.copy_from_slice(&data[slot as usize * width..][..width]);
        }
        Tensor::float(vec![self.slots.len(), self.steps, width], dense)
    }

    /// Which keys count, `[batch, steps]`.
    pub fn mask(&self) -> Option<Vec<u8>> {
        Some(self.mask.as_ref()?.concat())
    }

    fn select(&mut self, rows: &[usize]) {
        self.slots = rows.iter().map(|&from| self.slots[from].clone()).collect();
        // What no row has any more is written over, the first first.
        let mut is_free = vec![true; self.used];
        self.slots.iter().flatten().for_each(|&slot| is_free[slot as usize] = false);
        self.free = (0..self.used as u32).rev().filter(|&slot| is_free[slot as usize]).collect();
        if let Some(old) = &mut self.mask {
            *old = rows.iter().map(|&from| old[from].clone()).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use sconce_kernels::buffer::Buffer;

    use super::Decoding;
    use crate::tensor::Tensor;

    fn tensor(batch: usize, steps: usize, width: usize, first: usize) -> Tensor {
        let mut data = Buffer::new(batch * steps * width);
        data.iter_mut().enumerate().for_each(|(at, value)| *value = (first + at) as f32);
        Tensor::float(vec![batch, steps, width], data)
    }

    /// 40 steps, one after the other but for the first three, against what they are side by side.
    #[test]
    fn caches_grow_and_select_sentences() {
        let mut decoding = Decoding::new(1, 2, 20);
        let parts: Vec<usize> = std::iter::once(3).chain(std::iter::repeat_n(1, 37)).collect();
        let mut expected = vec![Vec::new(); 2];
        let mut kept = vec![Vec::new(); 2];
        for (number, &steps) in parts.iter().enumerate() {
            let (key, value) = (tensor(2, steps, 2, number * 100), tensor(2, steps, 3, number * 100));
            // Masks begin late: what came before counts.
            let mask: Option<Vec<u8>> = (number > 5).then(|| vec![u8::from(number % 3 > 0), 1]);
            decoding.caches()[0].append(&key, &value, mask.as_deref()).unwrap();
            for row in 0..2 {
                expected[row].extend_from_slice(&value.floats().unwrap()[row * steps * 3..][..steps * 3]);
                let own = mask.as_ref().map_or(1, |mask| mask[row]);
                kept[row].extend(std::iter::repeat_n(own, steps));
            }
        }
        let check = |decoding: &Decoding, rows: &[usize]| {
            let caches = decoding.caches();
            assert_eq!(caches[0].steps, 40);
            assert_eq!(caches[0].tensor(0).shape, [rows.len(), 40, 2]);
            let wanted: Vec<f32> = rows.iter().flat_map(|&row| expected[row].clone()).collect();
            assert_eq!(caches[0].tensor(1).floats().unwrap(), wanted);
            assert_eq!(caches[0].mask().unwrap(), rows.iter().flat_map(|&row| kept[row].clone()).collect::<Vec<u8>>());
        };
        check(&decoding, &[0, 1]);
        decoding.select(&[1, 1, 0]);
        check(&decoding, &[1, 1, 0]);
        decoding.select(&[2, 0, 1]);
        check(&decoding, &[0, 1, 1]);
        decoding.select(&[0, 0, 2]);
        check(&decoding, &[0, 0, 1]);
        assert!(decoding.caches()[0].append(&tensor(2, 1, 2, 0), &tensor(2, 1, 3, 0), None).is_err());
        // Rows that nobody has any more leave room; what is left stays.
        decoding.select(&[2]);
        for number in 0..200 {
            decoding.caches()[0].append(&tensor(1, 1, 2, number), &tensor(1, 1, 3, number), None).unwrap();
        }
        let caches = decoding.caches();
        // The slots of the row that went hold 40 of the 200 steps.
        assert_eq!(caches[0].used, 240);
        assert_eq!(caches[0].tensor(1).floats().unwrap()[..40 * 3], expected[1]);
    }
}
