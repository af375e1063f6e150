//! Elements of lists times rows of the other operand, rounded to bfloat16, two at a time.
use super::{CACHED, STEPS, Turn, lists::Lists, singles::Listed};
use crate::{
    simd::{
        Kernel, LANES,
        pairs::{PairKernel, Pairs},
    },
    tile::Start,
};

/// Columns whose factors fill a register.
const GROUP: usize = 2 * LANES;

/// Floats that a step of so many columns takes.
pub(super) fn floats(columns: usize) -> usize {
    columns.div_ceil(GROUP) * LANES
}

/// Rounds steps of the other operand: `[steps][floats(columns)]`, in the order of [`Pairs::halves`].
pub(super) struct Arrange<'a> {
    pub from: &'a [f32],
    /// Distance of rows in memory.
    pub stride: usize,
    /// A row in memory is a column.
    pub along: bool,
    pub columns: usize,
    /// At most as many as between two visits of a row.
    pub steps: usize,
    pub to: &'a mut [f32],
}

impl PairKernel for Arrange<'_> {
    #[inline(always)]
    unsafe fn run<L: Pairs>(self) {
        let Self { from, stride, along, columns, steps, to } = self;
        let floats = floats(columns);
        let mut turned = [[0.0; GROUP]; STEPS];
        for column in (0..columns).step_by(GROUP) {
            let width = GROUP.min(columns - column);
            let (mut row, mut distance) = (from.as_ptr().wrapping_add(column), stride);
            // SAFETY: these columns of these steps; the caller vouches for them and the path.
            unsafe {
                if along {
                    let from = from.as_ptr().wrapping_add(column * stride);
                    let to = turned.as_mut_ptr().cast();
                    Turn { from, row: stride, rows: width, columns: steps, to, to_row: GROUP }.run::<L>();
                    (row, distance) = (to.cast_const(), GROUP);
                }
                for to in to.chunks_exact_mut(floats) {
                    let lanes = if width == GROUP {
                        L::halves(L::load(row), L::load(row.wrapping_add(LANES)))
                    } else {
                        let high = L::load_first(row.wrapping_add(LANES), width.saturating_sub(LANES));
                        L::halves(L::load_first(row, width.min(LANES)), high)
                    };
                    lanes.store(to.as_mut_ptr().wrapping_add(column / 2));
                    row = row.wrapping_add(distance);
                }
            }
        }
    }
}

/// As [`Listed`], of an operand that [`Arrange`] rounded.
///
/// # Safety
/// As there.
pub(super) struct Rounded(pub Listed);

/// What a row of the result gets.
#[derive(Clone, Copy)]
struct List<'a> {
    /// Pairs, of which the second is to be added first.
    values: &'a [f32],
    /// Where the rows of both begin, that of the second first.
    places: &'a [[u32; 2]],
    /// First row of the other operand.
    right: *const f32,
    out: *mut f32,
    start: Start,
}

impl PairKernel for Rounded {
    #[inline(always)]
    unsafe fn run<L: Pairs>(self) {
        let Self(Listed { left, right, out, out_row, rows, columns, inner, start }) = self;
        let floats = floats(columns);
        let length = (CACHED / floats / LANES * LANES).clamp(LANES, STEPS);
        // The second of two neighbours comes first, as instructions add them.
        let places: [u32; STEPS] = std::array::from_fn(|step| ((step ^ 1) * floats) as u32);
        let mut lists = Lists::new();
        let mut values = [0.0; LANES * (STEPS + 2) / 2];
        for k in (0..inner).step_by(length) {
            let steps = k..inner.min(k + length);
            let right = right.wrapping_add(k * floats);
            let start = if k == 0 { start } else { Start::Keep };
            for row in (0..rows).step_by(LANES) {
                let rows = row..rows.min(row + LANES);
                // SAFETY: rows below `rows`, steps below `inner`; the caller vouches for them and the path. Lists have room for
                // 32 more.
                unsafe {
                    lists.fill::<L, true>(left, &places, rows.clone(), steps.clone());
                    let all = lists.ends[rows.len() - 1];
                    for at in (0..all).step_by(GROUP) {
                        let from = lists.values.as_ptr().wrapping_add(at);
                        let [low, high] = [from, from.wrapping_add(LANES)].map(|from| L::load(from).swap_neighbours());
                        L::pair_neighbours(low, high).store(values.as_mut_ptr().wrapping_add(at / 2));
                    }
                    let (places, _) = lists.places.as_chunks::<2>();
                    let mut first = 0;
                    for (row, &end) in rows.zip(&lists.ends) {
                        let values = values.get_unchecked(first / 2..end / 2);
                        let places = places.get_unchecked(first / 2..end / 2);
                        let out = out.wrapping_add(row * out_row);
                        List { values, places, right, out, start }.add::<L>(columns);
                        first = end;
                    }
                }
            }
        }
    }
}

impl List<'_> {
    /// Adds what the list makes to a row of the result.
    #[inline(always)]
    unsafe fn add<L: Pairs>(self, columns: usize) {
        let whole = columns / GROUP;
        let mut group = 0;
        // SAFETY: groups below `columns`; the caller vouches for the operands and the path.
        unsafe {
            while group < whole {
                group += match whole - group {
                    8.. if L::PANELS >= 16 => self.sums::<L, 8>(group),
                    4.. if L::PANELS >= 8 => self.sums::<L, 4>(group),
                    2.. if L::PANELS >= 4 => self.sums::<L, 2>(group),
                    _ => self.sums::<L, 1>(group),
                };
            }
            if columns > whole * GROUP {
                self.tail::<L>(whole, columns % GROUP);
            }
        }
    }

    /// What the sums of a group begin with, if not with 0.
    #[inline(always)]
    fn first(self, group: usize) -> Option<*const f32> {
        match self.start {
            Start::Keep => Some(self.out.wrapping_add(group * GROUP).cast_const()),
            Start::Columns(bias) => Some(bias.wrapping_add(group * GROUP)),
            Start::Zero | Start::Rows(_) => None,
        }
    }

    /// `G` whole groups; gives their number.
    #[inline(always)]
    unsafe fn sums<L: Pairs, const G: usize>(self, group: usize) -> usize {
        let out = self.out.wrapping_add(group * GROUP);
        let right = self.right.wrapping_add(group * LANES);
        // SAFETY: the caller's contract.
        unsafe {
            let mut sums = [[L::splat(0.0); 2]; G];
            if let Some(from) = self.first(group) {
                for (g, [low, high]) in sums.iter_mut().enumerate() {
                    *low = L::load(from.wrapping_add(g * GROUP));
                    *high = L::load(from.wrapping_add(g * GROUP + LANES));
                }
            }
            for (&value, &[second, first]) in self.values.iter().zip(self.places) {
                let value = L::splat(value);
                let [first, second] = [first, second].map(|place| right.wrapping_add(place as usize));
                for (g, [low, high]) in sums.iter_mut().enumerate() {
                    let first = L::load(first.wrapping_add(g * LANES));
                    let (low_pairs, high_pairs) = first.interleave(L::load(second.wrapping_add(g * LANES)));
                    *low = value.dot(low_pairs, *low);
                    *high = value.dot(high_pairs, *high);
                }
            }
            for (g, [low, high]) in sums.iter().enumerate() {
                low.store(out.wrapping_add(g * GROUP));
                high.store(out.wrapping_add(g * GROUP + LANES));
            }
        }
        G
    }

    /// The first `count` columns of a group.
    #[inline(always)]
    unsafe fn tail<L: Pairs>(self, group: usize, count: usize) {
        let out = self.out.wrapping_add(group * GROUP);
        let right = self.right.wrapping_add(group * LANES);
        let (lower, upper) = (count.min(LANES), count.saturating_sub(LANES));
        // SAFETY: the caller's contract.
        unsafe {
            let [mut low, mut high] = [L::splat(0.0); 2];
            if let Some(from) = self.first(group) {
                low = L::load_first(from, lower);
                high = L::load_first(from.wrapping_add(LANES), upper);
            }
            for (&value, &[second, first]) in self.values.iter().zip(self.places) {
                let value = L::splat(value);
                let [first, second] = [first, second].map(|place| L::load(right.wrapping_add(place as usize)));
                let (low_pairs, high_pairs) = first.interleave(second);
                low = value.dot(low_pairs, low);
                high = value.dot(high_pairs, high);
            }
            low.store_first(out, lower);
            high.store_first(out.wrapping_add(LANES), upper);
        }
    }
}
