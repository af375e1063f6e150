use super::{
    Layout, Pack, Packed, Part, STRIP, Source, left_length, pairs, product::parts, right_length, row_stride,
    with_scratch,
};
use crate::{
    Context, Destination, Precision,
    dense::{self, DenseShape},
    matmul::{MatmulOptions, MatmulShape, matmul, reference},
    shared::Shared,
    simd::{LANES, Simd},
    testing::{Random, assert_close, bits, pair_paths as paths, rounded, rounding},
};

fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(rounded(value))).collect()
}

/// Packs all strips of an operand.
fn pack<const W: usize>(simd: Simd, source: Source<'_>) -> Vec<u32> {
    let mut to = vec![f32::NAN; source.strips::<W>() * W * pairs(source.inner)];
    simd.run_pairs(Pack::<W> {
        source,
        part: source.whole::<W>(),
        to: Packed::whole(Shared::new(&mut to), source.inner),
    });
    let mut by_parts = vec![f32::NAN; to.len()];
    for part in source.parts::<W>() {
        let to = Packed::whole(Shared::new(&mut by_parts), source.inner);
        simd.run_pairs(Pack::<W> { source, part, to });
    }
    assert_eq!(bits(&to), bits(&by_parts));
    bits(&to)
}

fn check_packed<const W: usize>(random: &mut Random, count: usize, inner: usize) {
    for number in 0..3 {
        let (blocks, layout) = match number {
            0 => (count, Layout::Along { stride: inner + 3 }),
            1 => (inner, Layout::Across { stride: count + 3 }),
            _ => (inner.div_ceil(LANES), Layout::Panels { stride: (count + 2) * LANES }),
        };
        let (Layout::Along { stride } | Layout::Across { stride } | Layout::Panels { stride }) = layout;
        let data = random.floats(blocks * stride);
        let source = Source { data: &data, count, inner, layout };
        let at = |i: usize, k: usize| {
            if i >= count || k >= inner {
                return 0;
            }
            let place = match layout {
                Layout::Along { stride } => i * stride + k,
                Layout::Across { stride } => k * stride + i,
                Layout::Panels { stride } => k / LANES * stride + i * LANES + k % LANES,
            };
            rounded(data[place]).to_bits() >> 16
        };
        let mut expected = vec![0; source.strips::<W>() * W * pairs(inner)];
        for (index, word) in expected.iter_mut().enumerate() {
            let (i, k) = (index / (W * pairs(inner)) * W + index % W, index / W % pairs(inner));
            *word = at(i, 2 * k) | at(i, 2 * k + 1) << 16;
        }
        for simd in paths() {
            assert!(pack::<W>(simd, source) == expected, "{simd:?} {W} {count} {inner} {layout:?}");
        }
    }
}

#[test]
fn operands_are_packed_in_rounded_pairs() {
    let mut random = Random::new(31);
    for count in [1, 11, 12, 13, 16, 17, 40] {
        for inner in [1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 100, 131] {
            check_packed::<STRIP>(&mut random, count, inner);
            check_packed::<LANES>(&mut random, count, inner);
        }
    }
    check_packed::<STRIP>(&mut random, 300, 700);
    check_packed::<LANES>(&mut random, 300, 700);
    assert_eq!(left_length(13, 3), 48);
    assert_eq!(right_length(17, 3), 64);
}

/// Packs a part of the left operand, and gives row by row the pairs that a product reads.
fn pack_left(simd: Simd, source: Source<'_>, part: &Part) -> Vec<Vec<u32>> {
    let mut to = vec![f32::NAN; part.strips.len() * STRIP * row_stride(2 * part.pairs.len())];
    let left = source.pack_left(part, &mut to, simd);
    let rows = part.strips.start * STRIP..source.count.min(part.strips.end * STRIP);
    // SAFETY: rows and pairs of the part.
    let at = |row, pair| unsafe { *left.address(row, pair) }.to_bits();
    (0..rows.len()).map(|row| (0..part.pairs.len()).map(|pair| at(row, pair)).collect()).collect()
}

#[test]
fn parts_of_a_left_operand_are_packed_the_same_in_rows_and_strips() {
    let mut random = Random::new(35);
    for (count, inner) in [(1, 1), (12, 32), (13, 95), (40, 64), (50, 131)] {
        let rows = random.floats(count * inner);
        let place = |layout, i: usize, k: usize| match layout {
            Layout::Along { stride } => i * stride + k,
            Layout::Across { stride } => k * stride + i,
            Layout::Panels { stride } => k / LANES * stride + i * LANES + k % LANES,
        };
        let factor = |i: usize, k: usize| if k < inner { rounded(rows[i * inner + k]).to_bits() >> 16 } else { 0 };
        for layout in [
            Layout::Along { stride: inner + 5 },
            Layout::Across { stride: count + 2 },
            Layout::Panels { stride: (count + 3) * LANES },
        ] {
            let mut data = vec![f32::NAN; 1 + place(layout, count - 1, inner - 1)];
            if let Layout::Panels { stride } = layout {
                data.resize(inner.div_ceil(LANES) * stride, f32::NAN);
            }
            for (i, row) in rows.chunks_exact(inner).enumerate() {
                row.iter().enumerate().for_each(|(k, &value)| data[place(layout, i, k)] = value);
            }
            let source = Source { data: &data, count, inner, layout };
            let (strips, all) = (count.div_ceil(STRIP), pairs(inner));
            for part in [
                source.whole::<STRIP>(),
                Part { strips: strips - 1..strips, pairs: 0..all },
                Part { strips: 0..1, pairs: all / 32 * 16..all },
            ] {
                let first = part.strips.start * STRIP;
                let expected: Vec<Vec<u32>> = (first..count.min(part.strips.end * STRIP))
                    .map(|i| part.pairs.clone().map(|k| factor(i, 2 * k) | factor(i, 2 * k + 1) << 16).collect())
                    .collect();
                for simd in paths() {
                    assert!(pack_left(simd, source, &part) == expected, "{simd:?} {count} {inner} {layout:?} {part:?}");
                }
            }
        }
    }
}

#[test]
fn a_product_is_cut_into_parts_that_leave_nothing_out() {
    for (rows, pairs) in [(1, 0), (1, 1), (240, 1280), (361, 1281), (1000, 2000), (5000, 30), (12 * 31, 100)] {
        let mut done = vec![0; rows_in_strips(rows) * pairs.max(1)];
        let mut count = 0;
        for part in parts(rows, pairs) {
            assert!(part.pairs.start.is_multiple_of(LANES) && !part.strips.is_empty(), "{part:?}");
            for strip in part.strips {
                part.pairs.clone().for_each(|pair| done[strip * pairs + pair] += 1);
            }
            count += 1;
        }
        assert!(count > 0 && done.iter().take(rows_in_strips(rows) * pairs).all(|&times| times == 1), "{rows} {pairs}");
    }
}

fn rows_in_strips(rows: usize) -> usize {
    rows.div_ceil(STRIP)
}

#[test]
fn a_thread_gets_the_same_space_again() {
    let first = with_scratch(1000, |space| space.as_ptr());
    assert_eq!(with_scratch(500, |space| (space.len(), space.as_ptr())), (500, first));
    let inside = with_scratch(10, |space| with_scratch(10, |other| (space.as_ptr(), other.as_ptr())));
    assert_ne!(inside.0, inside.1);
    assert_eq!(with_scratch(100_000, |space| space.len()), 100_000);
}

#[test]
fn ties_extremes_and_what_is_no_number_are_rounded_as_the_instructions_do() {
    let tie = |bits: u32| f32::from_bits(bits);
    let values = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        tie(0x3f80_8000),
        tie(0x3f81_8000),
        tie(0x3f80_8001),
        tie(0x3f80_7fff),
        f32::MAX,
        f32::MIN,
        f32::MIN_POSITIVE,
        f32::MIN_POSITIVE / 2.0,
        -f32::MIN_POSITIVE / 2.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        3.3e38,
    ];
    let expected: Vec<u32> = [
        0, 0x8000, 0x3f80, 0xbf80, 0x3f80, 0x3f82, 0x3f81, 0x3f80, 0x7f80, 0xff80, 0x80, 0, 0x8000, 0x7f80, 0xff80,
        0x7f78,
    ]
    .to_vec();
    for simd in paths() {
        let source =
            Source { data: &values, count: 1, inner: values.len(), layout: Layout::Along { stride: values.len() } };
        let packed = pack::<LANES>(simd, source);
        let found: Vec<u32> = packed.chunks(LANES).flat_map(|words| [words[0] & 0xffff, words[0] >> 16]).collect();
        assert_eq!(found, expected, "{simd:?}");
        let source = Source { data: &[f32::NAN, 1.0], count: 1, inner: 2, layout: Layout::Along { stride: 2 } };
        assert!(f32::from_bits(pack::<LANES>(simd, source)[0] << 16).is_nan(), "{simd:?}");
    }
}

fn check(random: &mut Random, shape: MatmulShape) {
    let MatmulShape { rows, columns, inner } = shape;
    let (a, b, before) = (random.floats(rows * inner), random.floats(inner * columns), random.floats(rows * columns));
    for transpose_a in [false, true] {
        for transpose_b in [false, true] {
            let options = MatmulOptions { transpose_a, transpose_b };
            let product = reference::matmul(&widen(&a), &widen(&b), shape, options);
            for accumulate in [false, true] {
                let start = |y: f32| if accumulate { f64::from(y) } else { 0.0 };
                let expected: Vec<f64> = product.iter().zip(&before).map(|(x, &y)| x + start(y)).collect();
                let mut all: Vec<(Simd, Vec<u32>)> = Vec::new();
                for context in rounding() {
                    let mut c = before.clone();
                    matmul(&context, Destination { data: &mut c, accumulate }, &a, &b, shape, options);
                    assert_close(&c, &expected, &format!("{context:?} {shape:?} {options:?}"));
                    all.push((context.simd, bits(&c)));
                }
                let same = |pair: &[(Simd, Vec<u32>)]| pair[0].0 != pair[1].0 || pair[0].1 == pair[1].1;
                assert!(all.windows(2).all(same), "bits differ between threads: {shape:?} {options:?}");
            }
        }
    }
}

#[test]
fn products_equal_those_of_rounded_factors() {
    let mut random = Random::new(32);
    let sizes = [32, 33, 47, 48, 49, 61, 64, 95, 100];
    for _ in 0..25 {
        let [rows, columns, inner] = [(); 3].map(|()| sizes[random.below(sizes.len())]);
        check(&mut random, MatmulShape { rows, columns, inner });
    }
    let large = [(290, 300, 37), (32, 600, 515), (370, 33, 1030), (40, 1100, 60), (33, 40, 2700), (700, 33, 1300)];
    for (rows, columns, inner) in large {
        check(&mut random, MatmulShape { rows, columns, inner });
    }
}

#[test]
fn narrow_products_are_not_rounded() {
    let mut random = Random::new(33);
    for (rows, columns, inner) in [(31, 64, 64), (64, 31, 64), (64, 64, 31)] {
        let (a, b) = (random.floats(rows * inner), random.floats(inner * columns));
        let shape = MatmulShape { rows, columns, inner };
        for context in rounding() {
            let product = |context: &Context| {
                let mut c = vec![0.0; rows * columns];
                let to = Destination { data: &mut c, accumulate: false };
                matmul(context, to, &a, &b, shape, MatmulOptions::default());
                bits(&c)
            };
            assert_eq!(product(&context), product(&context.with_precision(Precision::Float32)));
        }
    }
}

#[test]
fn layers_equal_those_of_rounded_factors_whatever_the_number_of_rows() {
    let mut random = Random::new(34);
    for (rows, input, units) in [(1, 33, 40), (5, 64, 50), (70, 90, 130)] {
        let shape = DenseShape { rows, input, units };
        let (x, kernel, bias) = (random.floats(rows * input), random.floats(units * input), random.floats(units));
        let dy = random.floats(rows * units);
        let product = |a: &[f32], b: &[f32], [rows, columns, inner]: [usize; 3], transpose_a, transpose_b| {
            let options = MatmulOptions { transpose_a, transpose_b };
            reference::matmul(&widen(a), &widen(b), MatmulShape { rows, columns, inner }, options)
        };
        let y = product(&x, &kernel, [rows, units, input], false, true);
        let y: Vec<f64> = y.iter().enumerate().map(|(i, y)| y + f64::from(bias[i % units])).collect();
        let dx = product(&dy, &kernel, [rows, input, units], false, false);
        let dkernel = product(&dy, &x, [units, input, rows], true, false);
        for context in rounding() {
            let what = format!("{context:?} {shape:?}");
            let mut found = vec![f32::NAN; y.len()];
            dense::forward(&context, shape, &x, &kernel, Some(&bias), &mut found);
            assert_close(&found, &y, &what);
            let mut first = vec![f32::NAN; units];
            dense::forward(&context, DenseShape { rows: 1, ..shape }, &x[..input], &kernel, Some(&bias), &mut first);
            assert_eq!(bits(&first), bits(&found[..units]), "{what}");
            let [mut to_x, mut to_kernel] = [vec![f32::NAN; dx.len()], vec![f32::NAN; dkernel.len()]];
            let [to_dx, to_dkernel] = [&mut to_x, &mut to_kernel].map(|data| Destination { data, accumulate: false });
            dense::backward(&context, shape, &x, None, &kernel, &dy, Some(to_dx), Some(to_dkernel), None);
            assert_close(&to_x, &dx, &what);
            assert_close(&to_kernel, &dkernel, &what);
        }
    }
}
