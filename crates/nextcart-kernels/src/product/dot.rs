//! Inner products in the processor's widest vectors, found out when the program runs.

use std::array::from_fn;

use pulp::{Arch, Simd, WithSimd};

/// Rows of the weight that are read side by side.
const TOGETHER: usize = 4;

/// Inner products of some rows of a weight with each row of `x`.
///
/// # Shapes
/// - `x`: `[rows, d_input]`
/// - `weight`: `[part, d_input]`
/// - `products`: `[part, rows]`
pub(super) fn products(
    arch: Arch,
    x: &[f32],
    weight: &[f32],
    d_input: usize,
    products: &mut [f32],
) {
    arch.dispatch(Products { x, weight, d_input, products });
}

struct Products<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    d_input: usize,
    products: &'a mut [f32],
}

impl WithSimd for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, weight, d_input, products } = self;
        let rows = x.len() / d_input;
        let parts = weight.chunks(TOGETHER * d_input).zip(products.chunks_mut(TOGETHER * rows));
        for (weight, products) in parts {
            match weight.len() / d_input {
                TOGETHER => of_part::<S, TOGETHER>(simd, x, weight, d_input, products),
                _ => weight.chunks(d_input).zip(products.chunks_mut(rows)).for_each(
                    |(weight, products)| of_part::<S, 1>(simd, x, weight, d_input, products),
                ),
            }
        }
    }
}

/// Products with `W` rows of the weight.
#[inline(always)]
fn of_part<S: Simd, const W: usize>(
    simd: S,
    x: &[f32],
    weight: &[f32],
    d_input: usize,
    products: &mut [f32], // [W, rows]
) {
    let rows = x.len() / d_input;
    let weight: [&[f32]; W] = from_fn(|w| &weight[w * d_input..(w + 1) * d_input]);
    let row = |r: usize| &x[r * d_input..(r + 1) * d_input];
    let mut r = 0;
    while r + 4 <= rows {
        let found = block(simd, from_fn(|i| row(r + i)), weight);
        put::<4, W>(found, products, rows, r);
        r += 4;
    }
    while r < rows {
        put::<1, W>(block(simd, [row(r)], weight), products, rows, r);
        r += 1;
    }
}

#[inline(always)]
fn put<const X: usize, const W: usize>(
    found: [[f32; W]; X],
    products: &mut [f32],
    rows: usize,
    first: usize,
) {
    for (x, found) in found.iter().enumerate() {
        for (w, &value) in found.iter().enumerate() {
            products[w * rows + first + x] = value;
        }
    }
}

/// `X · W` inner products at once, each in a register of its own.
#[inline(always)]
fn block<S: Simd, const X: usize, const W: usize>(
    simd: S,
    x: [&[f32]; X],
    weight: [&[f32]; W],
) -> [[f32; W]; X] {
    let x = x.map(S::as_simd_f32s);
    let weight = weight.map(S::as_simd_f32s);
    let length = weight[0].0.len();
    let x_heads = x.map(|(head, _)| &head[..length]);
    let heads = weight.map(|(head, _)| &head[..length]);

    let mut sums = [[simd.splat_f32s(0.0); W]; X];
    for place in 0..length {
        let weight: [S::f32s; W] = from_fn(|w| heads[w][place]);
        for (sums, x) in sums.iter_mut().zip(&x_heads) {
            for (sum, weight) in sums.iter_mut().zip(weight) {
                *sum = simd.mul_add_e_f32s(x[place], weight, *sum);
            }
        }
    }
    from_fn(|i| {
        from_fn(|w| {
            let rest = x[i].1.iter().zip(weight[w].1).map(|(a, b)| a * b);
            simd.reduce_sum_f32s(sums[i][w]) + rest.sum::<f32>()
        })
    })
}
