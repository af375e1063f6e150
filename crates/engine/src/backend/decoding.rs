//! What a step of decoding has besides its inputs: its number, masks of its inputs, and keys and values of the steps
//! before.
use std::sync::{Mutex, MutexGuard, PoisonError};

use sconce_kernels::buffer::Buffer;

use crate::{
    error::{Code, Error, Result},
    tensor::{Mask, Tensor},
};

/// Steps of each row that a cache has room for at first.
const FIRST_STEPS: usize = 16;

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
    /// Before the first step, with as many caches.
    #[must_use]
    pub fn new(caches: usize) -> Self {
        let caches = (0..caches).map(|_| Cache::default()).collect();
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
    /// Slots in the order of steps, of each row.
    slots: Vec<Vec<u32>>,
    /// Slots that were given out.
    used: usize,
    /// Slots that there is room for.
    capacity: usize,
    /// Widths of keys and values.
    widths: [usize; 2],
    /// Keys and values, `[capacity, width]`.
    data: Vec<Buffer>,
    /// Which steps count, of each row; none while all do.
    mask: Option<Vec<Vec<u8>>>,
}

impl Cache {
    /// Makes room for `wanted` more slots; those that no row has any more are forgotten.
    fn grow(&mut self, wanted: usize) -> Result<()> {
        if self.used + wanted <= self.capacity {
            return Ok(());
        }
        let mut places: Vec<Option<u32>> = vec![None; self.used];
        let mut kept = Vec::new();
        for slot in self.slots.iter_mut().flatten() {
            let old = *slot as usize;
            *slot = *places[old].get_or_insert_with(|| {
                kept.push(old);
                kept.len() as u32 - 1
            });
        }
        let capacity = (kept.len() + wanted).saturating_mul(2).max(self.slots.len() * FIRST_STEPS);
        if u32::try_from(capacity).is_err() {
            return Err(Error::new(
                Code::Limit,
                "decoding: too many steps and sequences to keep their keys and values",
            ));
        }
        for (data, width) in self.data.iter_mut().zip(self.widths) {
            let mut wider = Buffer::new(capacity * width);
            for (new, &old) in kept.iter().enumerate() {
                wider[new * width..][..width].copy_from_slice(&data[old * width..][..width]);
            }
            *data = wider;
        }
        (self.used, self.capacity) = (kept.len(), capacity);
        Ok(())
    }

    /// Adds steps `[batch, steps, width]` of keys and values, and which of them count.
    pub fn append(&mut self, key: &Tensor, value: &Tensor, mask: Option<&[u8]>) -> Result<()> {
        let (&[batch, steps, key_width], &[_, _, value_width]) = (key.shape.as_slice(), value.shape.as_slice()) else {
            return Err(Error::new(Code::Internal, "keys and values are sequences"));
        };
        if self.steps == 0 {
            *self = Self { slots: vec![Vec::new(); batch], widths: [key_width, value_width], ..Self::default() };
            self.data = vec![Buffer::new(0), Buffer::new(0)];
        }
        if batch != self.slots.len() || self.widths != [key_width, value_width] {
            return Err(Error::new(Code::Internal, "keys and values have other sizes than those of the steps before"));
        }
        self.grow(batch * steps)?;
        for ((data, width), new) in self.data.iter_mut().zip(self.widths).zip([key.floats()?, value.floats()?]) {
            data[self.used * width..][..new.len()].copy_from_slice(new);
        }
        for slots in &mut self.slots {
            slots.extend(self.used as u32..(self.used + steps) as u32);
            self.used += steps;
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
        self.data.get(which).map_or(&[], |data| data)
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
        let mut decoding = Decoding::new(1);
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
        assert!(caches[0].capacity < 2 * 2 * 240, "{}", caches[0].capacity);
        assert_eq!(caches[0].tensor(1).floats().unwrap()[..40 * 3], expected[1]);
    }
}
