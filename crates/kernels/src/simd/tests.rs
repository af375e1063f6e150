use super::{
    Kernel, LANES, Lanes, Simd,
    pairs::{PairKernel, Pairs},
};
use crate::testing::{Random, pair_paths, rounded};

/// Applies every operation of `Lanes` to `a`, `b`, `c` and lists the results.
struct Everything<'a>(&'a [f32; LANES], &'a [f32; LANES], &'a [f32; LANES]);

impl Kernel for Everything<'_> {
    type Output = Vec<[f32; LANES]>;

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> Self::Output {
        // SAFETY: arrays of 16 floats; partial accesses stay below 16.
        unsafe {
            let (a, b, c) = (L::load(self.0.as_ptr()), L::load(self.1.as_ptr()), L::load(self.2.as_ptr()));
            let mut results: Vec<L> = vec![
                L::splat(2.5),
                a.add(b),
                a.sub(b),
                a.mul(b),
                a.div(b),
                a.fma(b, c),
                a.max(b),
                a.min(b),
                a.abs().sqrt(),
                a.abs(),
                a.round(),
                a.round().max(L::splat(-126.0)).min(L::splat(127.0)).exp2_integral(),
                L::splat(1.3).scale(a.round().max(L::splat(-126.0)).min(L::splat(126.0))),
                a.select(a.less(b), b),
                a.select(L::mask_from_bits(0b1010_0000_0110_0001), b),
            ];
            results.extend((0..=LANES).map(|count| L::load_first(self.0.as_ptr(), count)));
            let square: [L; LANES] = std::array::from_fn(|row| a.add(L::splat(row as f32)));
            results.extend(L::transpose(square));
            let (exponent, mantissa) = a.abs().add(L::splat(1e-3)).split();
            results.extend([exponent, mantissa]);
            let mut out: Vec<[f32; LANES]> = results
                .iter()
                .map(|lanes| {
                    let mut array = [0.0; LANES];
                    lanes.store(array.as_mut_ptr());
                    array
                })
                .collect();
            for count in 0..=LANES {
                let mut array = [7.0; LANES];
                a.store_first(array.as_mut_ptr(), count);
                out.push(array);
            }
            out
        }
    }
}

#[test]
fn every_path_agrees_with_the_scalar_one() {
    let mut seed = 1u32;
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as f32 / (1 << 23) as f32 * 20.0 - 10.0
    };
    for _ in 0..200 {
        let [a, b, c] = [(); 3].map(|()| std::array::from_fn::<f32, LANES, _>(|_| next()));
        let expected = Simd::Scalar.run(Everything(&a, &b, &c));
        for simd in Simd::available() {
            let found = simd.run(Everything(&a, &b, &c));
            for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
                for (x, y) in found.iter().zip(expected) {
                    assert!((x - y).abs() <= 2e-7 * y.abs(), "{simd:?} operation {index}: {x} {y}");
                }
            }
        }
    }
}

/// What `nonzeros` lists of some lanes, and where `spread` puts 1, 2, ... .
struct Nonzeros<'a>(&'a [f32; LANES]);

impl Kernel for Nonzeros<'_> {
    type Output = (Vec<f32>, Vec<u32>, [f32; LANES]);

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> Self::Output {
        let places: [u32; LANES] = std::array::from_fn(|lane| 100 + lane as u32);
        let numbers: [f32; LANES] = std::array::from_fn(|index| index as f32 + 1.0);
        let (mut values, mut chosen, mut spread) = (vec![7.0; LANES], vec![7; LANES], [0.0; LANES]);
        // SAFETY: 16 of each.
        let count = unsafe {
            let lanes = L::load(self.0.as_ptr());
            let (numbered, count) = lanes.spread(numbers.as_ptr());
            numbered.store(spread.as_mut_ptr());
            assert_eq!(lanes.nonzeros(places.as_ptr(), values.as_mut_ptr(), chosen.as_mut_ptr()), count);
            count
        };
        values.truncate(count);
        chosen.truncate(count);
        (values, chosen, spread)
    }
}

#[test]
fn what_is_not_zero_is_listed_in_order() {
    for bits in 0..1u32 << LANES {
        let value = |lane: usize| match lane {
            3 => f32::NAN,
            5 => f32::NEG_INFINITY,
            8 => 1e-45,
            lane => lane as f32 - 20.0,
        };
        let zero = |lane: usize| if lane.is_multiple_of(2) { 0.0 } else { -0.0 };
        let is_set = |lane: &usize| bits >> lane & 1 == 1;
        let lanes = std::array::from_fn(|lane| if is_set(&lane) { value(lane) } else { zero(lane) });
        for simd in Simd::available() {
            let (values, chosen, spread) = simd.run(Nonzeros(&lanes));
            let set = || (0..LANES).filter(is_set);
            assert!(values.iter().map(|x| x.to_bits()).eq(set().map(|lane| value(lane).to_bits())), "{simd:?}");
            assert!(chosen.into_iter().eq(set().map(|lane| 100 + lane as u32)), "{simd:?}");
            let mut expected = [0.0; LANES];
            set().zip(1u8..).for_each(|(lane, number)| expected[lane] = f32::from(number));
            assert_eq!(spread, expected, "{simd:?}");
        }
    }
}

struct Swap<'a>(&'a [f32; LANES]);

impl Kernel for Swap<'_> {
    type Output = [f32; LANES];

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> Self::Output {
        let mut to = [0.0; LANES];
        // SAFETY: 16 floats each.
        unsafe { L::load(self.0.as_ptr()).swap_neighbours().store(to.as_mut_ptr()) };
        to
    }
}

#[test]
fn neighbours_change_places() {
    let lanes = std::array::from_fn(|lane| lane as f32);
    for simd in Simd::available() {
        assert_eq!(simd.run(Swap(&lanes)), std::array::from_fn(|lane| (lane ^ 1) as f32), "{simd:?}");
    }
}

/// Rows of 32 floats, rounded and joined to pairs.
struct Joined<'a>([&'a [f32; 32]; 2], &'a mut [f32; 32]);

impl PairKernel for Joined<'_> {
    #[inline(always)]
    unsafe fn run<L: Pairs>(self) {
        // SAFETY: 32 floats each.
        unsafe {
            let [first, second] = self.0.map(|row| L::halves(L::load(row.as_ptr()), L::load(row.as_ptr().add(LANES))));
            let (low, high) = first.interleave(second);
            low.store(self.1.as_mut_ptr());
            high.store(self.1.as_mut_ptr().add(LANES));
        }
    }
}

#[test]
fn rows_that_were_rounded_are_joined_column_by_column() {
    let mut random = Random::new(5);
    let rows = [(); 2].map(|()| std::array::from_fn(|_| random.float()));
    let half = |row: usize, column: usize| rounded(rows[row][column]).to_bits() >> 16;
    for simd in pair_paths() {
        let mut joined = [0.0; 32];
        simd.run_pairs(Joined(rows.each_ref(), &mut joined));
        for (column, pair) in joined.iter().enumerate() {
            assert_eq!(pair.to_bits(), half(0, column) | half(1, column) << 16, "{simd:?} {column}");
        }
    }
}

/// The sums of four vectors.
struct Sums<'a>(&'a [[f32; LANES]; 4]);

impl Kernel for Sums<'_> {
    type Output = [f32; 4];

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> Self::Output {
        // SAFETY: 16 floats each.
        unsafe { L::sums(self.0.each_ref().map(|lanes| L::load(lanes.as_ptr()))) }
    }
}

#[test]
fn sums_over_lanes_have_the_same_bits_on_every_path() {
    let mut random = Random::new(4);
    for _ in 0..100 {
        let four = [(); 4].map(|()| std::array::from_fn(|_| random.float()));
        let expected = Simd::Scalar.run(Sums(&four));
        for (lanes, sum) in four.iter().zip(expected) {
            let exact: f64 = lanes.iter().map(|&x| f64::from(x)).sum();
            assert!((f64::from(sum) - exact).abs() < 1e-5);
        }
        assert!(Simd::available().into_iter().all(|simd| simd.run(Sums(&four)) == expected));
    }
}
