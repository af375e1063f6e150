//! What a step of decoding has besides its inputs: its number, masks of its inputs, and keys and values of the steps
//! before.
use std::sync::{Mutex, MutexGuard, PoisonError};

use sconce_kernels::buffer::Buffer;

use crate::{
    error::{Code, Error, Result},
    tensor::{Mask, Tensor},
};

/// Steps that a cache has room for at first.
const FIRST_CAPACITY: usize = 16;

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

/// Keys and values of the steps so far, `[batch, steps, width]` each; there is room for more steps, which is doubled when
/// it is used up.
#[derive(Debug, Default)]
pub(super) struct Cache {
    batch: usize,
    /// Steps so far.
    pub steps: usize,
    capacity: usize,
    /// Widths of keys and values.
    widths: [usize; 2],
    /// Keys and values, `[batch, capacity, width]`.
    data: [Option<Buffer>; 2],
    /// `[batch, capacity]`; none while all keys count.
    mask: Option<Vec<u8>>,
}

/// Rows of `from` at the beginning of longer rows.
fn spread<T: Copy>(from: &[T], to: &mut [T], batch: usize, used: usize, [old, new]: [usize; 2]) {
    for row in 0..batch {
        to[row * new..][..used].copy_from_slice(&from[row * old..][..used]);
    }
}

impl Cache {
    fn grow(&mut self, wanted: usize) {
        if wanted <= self.capacity {
            return;
        }
        let capacity = wanted.max(self.capacity * 2).max(FIRST_CAPACITY);
        for (data, width) in self.data.iter_mut().zip(self.widths) {
            let mut wider = Buffer::new(self.batch * capacity * width);
            if let Some(old) = data.take() {
                spread(&old, &mut wider, self.batch, self.steps * width, [self.capacity * width, capacity * width]);
            }
            *data = Some(wider);
        }
        if let Some(mask) = &mut self.mask {
            let mut wider = vec![1; self.batch * capacity];
            spread(mask, &mut wider, self.batch, self.steps, [self.capacity, capacity]);
            *mask = wider;
        }
        self.capacity = capacity;
    }

    /// Adds steps `[batch, steps, width]` of keys and values, and which of them count.
    pub fn append(&mut self, key: &Tensor, value: &Tensor, mask: Option<&[u8]>) -> Result<()> {
        let (&[batch, steps, key_width], &[_, _, value_width]) = (key.shape.as_slice(), value.shape.as_slice()) else {
            return Err(Error::new(Code::Internal, "keys and values are sequences"));
        };
        if self.steps == 0 {
            *self = Self { batch, widths: [key_width, value_width], ..Self::default() };
        }
        if batch != self.batch || self.widths != [key_width, value_width] {
            return Err(Error::new(Code::Internal, "keys and values have other sizes than those of the steps before"));
        }
        self.grow(self.steps + steps);
        for ((data, width), new) in self.data.iter_mut().zip(self.widths).zip([key.floats()?, value.floats()?]) {
            let Some(data) = data else { continue };
            for row in 0..batch {
                let at = (row * self.capacity + self.steps) * width;
                data[at..][..steps * width].copy_from_slice(&new[row * steps * width..][..steps * width]);
            }
        }
        if let Some(new) = mask {
            let all = self.mask.get_or_insert_with(|| vec![1; batch * self.capacity]);
            for row in 0..batch {
                all[row * self.capacity + self.steps..][..steps].copy_from_slice(&new[row * steps..][..steps]);
            }
        }
        self.steps += steps;
        Ok(())
    }

    /// Keys (0) or values (1), with what is between the steps of two sentences.
    pub fn rows(&self, which: usize) -> (&[f32], usize) {
        (self.data[which].as_deref().unwrap_or(&[]), self.capacity * self.widths[which])
    }

    /// Keys (0) or values (1) as a tensor `[batch, steps, width]`.
    pub fn tensor(&self, which: usize) -> Tensor {
        let (data, stride) = self.rows(which);
        let used = self.steps * self.widths[which];
        let mut dense = Buffer::new(self.batch * used);
        spread(data, &mut dense, self.batch, used, [stride, used]);
        Tensor::float(vec![self.batch, self.steps, self.widths[which]], dense)
    }

    /// Which keys count, `[batch, steps]`.
    pub fn mask(&self) -> Option<Vec<u8>> {
        let mask = self.mask.as_ref()?;
        let mut dense = vec![0; self.batch * self.steps];
        spread(mask, &mut dense, self.batch, self.steps, [self.capacity, self.steps]);
        Some(dense)
    }

    fn select(&mut self, rows: &[usize]) {
        let (used, capacity, batch) = (self.steps, self.capacity, self.batch);
        // Most sequences stay where they are.
        let moved: Vec<(usize, usize)> =
            rows.iter().copied().enumerate().filter(|&(to, from)| to != from || rows.len() != batch).collect();
        for (data, width) in self.data.iter_mut().zip(self.widths) {
            let Some(old) = data else { continue };
            let (size, stride) = (used * width, capacity * width);
            if rows.len() == batch {
                let mut kept = Buffer::new(moved.len() * size);
                for (place, &(_, from)) in moved.iter().enumerate() {
                    kept[place * size..][..size].copy_from_slice(&old[from * stride..][..size]);
                }
                for (place, &(to, _)) in moved.iter().enumerate() {
                    old[to * stride..][..size].copy_from_slice(&kept[place * size..][..size]);
                }
                continue;
            }
            let mut new = Buffer::new(rows.len() * stride);
            for &(to, from) in &moved {
                new[to * stride..][..size].copy_from_slice(&old[from * stride..][..size]);
            }
            *data = Some(new);
        }
        if let Some(old) = &mut self.mask {
            *old = rows.iter().flat_map(|&from| old[from * capacity..][..capacity].iter().copied()).collect();
        }
        self.batch = rows.len();
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
    }
}
