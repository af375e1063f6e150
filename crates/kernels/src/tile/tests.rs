use super::{Ahead, Left, Out, Product, Right, Start};
use crate::simd::{LANES, Simd};
use crate::testing::{Random, assert_close};

#[derive(Clone, Copy, Debug)]
enum Side {
    Rows,
    Columns,
    Panels,
}

/// Row-major `values` [rows, inner] as the layout of `side` wants it, with its description.
fn lay_out(side: Side, values: &[f32], rows: usize, inner: usize) -> (Vec<f32>, usize) {
    match side {
        Side::Rows => (values.to_vec(), inner),
        Side::Columns => {
            let stride = rows + 3;
            let mut data = vec![f32::NAN; inner * stride];
            for k in 0..inner {
                for i in 0..rows {
                    data[k * stride + i] = values[i * inner + k];
                }
            }
            (data, stride)
        }
        Side::Panels => {
            let mut data = vec![f32::NAN; inner.div_ceil(LANES) * rows * LANES];
            for k in 0..inner {
                for i in 0..rows {
                    data[(k / LANES * rows + i) * LANES + k % LANES] = values[i * inner + k];
                }
            }
            (data, rows * LANES)
        }
    }
}

struct Case {
    side: Side,
    rows: usize,
    columns: usize,
    inner: usize,
    /// 0 to 3: the variants of `Start`.
    start: usize,
}

/// The product of the case as `out` [rows, columns], from row-major operands, by panels or by rows.
fn product(case: &Case, simd: Simd, by_panels: bool, a: &[f32], b: &[f32], c: &[f32]) -> Vec<f32> {
    let &Case { side, rows, columns, inner, start } = case;
    let (left, stride) = lay_out(side, a, rows, inner);
    let left = match side {
        Side::Rows => Left::rows(left.as_ptr(), stride),
        Side::Columns => Left::columns(left.as_ptr(), stride),
        Side::Panels => Left::panels(left.as_ptr(), stride),
    };
    let start = match start {
        0 => Start::Zero,
        1 => Start::Keep,
        2 => Start::Rows(c.as_ptr()),
        _ => Start::Columns(c.as_ptr()),
    };
    let mut out = c[..rows * columns].to_vec();
    if !by_panels {
        let right = Right::rows(b.as_ptr(), columns);
        let to = Out::rows(out.as_mut_ptr(), columns);
        // SAFETY: operands and result have these shapes.
        unsafe { Product { left, right, out: to, rows, columns, inner, start, ahead: Ahead::NOTHING }.run(simd) };
        return out;
    }
    let panels = columns.div_ceil(LANES);
    let pack = |values: &[f32], rows: usize| {
        let mut packed = vec![0.0; panels * rows * LANES];
        for i in 0..rows {
            for j in 0..columns {
                packed[(j / LANES * rows + i) * LANES + j % LANES] = values[i * columns + j];
            }
        }
        packed
    };
    let right = pack(b, inner);
    let mut packed = pack(&out, rows);
    let product = Product {
        left,
        right: Right::panels(right.as_ptr(), inner * LANES),
        out: Out::panels(packed.as_mut_ptr(), rows * LANES),
        rows,
        columns,
        inner,
        start,
        ahead: Ahead::NOTHING,
    };
    // SAFETY: operands and result have these shapes.
    unsafe { product.run(simd) };
    for i in 0..rows {
        for j in 0..columns {
            out[i * columns + j] = packed[(j / LANES * rows + i) * LANES + j % LANES];
        }
    }
    out
}

#[test]
fn products_equal_the_reference_on_every_path() {
    let mut random = Random::new(3);
    let sizes = [0, 1, 2, 3, 5, 15, 16, 17, 31, 33, 48, 70];
    for round in 0..300 {
        let mut size = |sizes: &[usize]| sizes[random.below(sizes.len())];
        let rows = size(&[0, 1, 2, 4, 6, 11, 12, 13, 23, 24, 25, 47, 250]);
        let columns = size(&sizes);
        let inner = size(&[0, 1, 2, 7, 16, 17, 40, 255, 256, 257, 600, 1281, 2600]);
        let (a, b) = (random.floats(rows * inner), random.floats(inner * columns));
        let c = random.floats(rows * columns + rows + columns);
        for side in [Side::Rows, Side::Columns, Side::Panels] {
            let case = Case { side, rows, columns, inner, start: round % 4 };
            let expected: Vec<f64> = (0..rows * columns)
                .map(|index| {
                    let (i, j) = (index / columns, index % columns);
                    let first = [0.0, c[index], c[i], c[j]][case.start];
                    let sum = |k| f64::from(a[i * inner + k]) * f64::from(b[k * columns + j]);
                    (0..inner).map(sum).sum::<f64>() + f64::from(first)
                })
                .collect();
            let bits: Vec<Vec<u32>> = Simd::available()
                .into_iter()
                .flat_map(|simd| [(simd, false), (simd, true)])
                .map(|(simd, by_panels)| {
                    let found = product(&case, simd, by_panels, &a, &b, &c);
                    assert_close(&found, &expected, &format!("{simd:?} {side:?} {rows} {columns} {inner}"));
                    found.iter().map(|x| x.to_bits()).collect()
                })
                .collect();
            assert!(bits.windows(2).all(|pair| pair[0] == pair[1]), "bits differ between paths or layouts");
        }
    }
}
