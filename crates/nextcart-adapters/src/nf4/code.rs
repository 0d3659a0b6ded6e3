//! The tables behind the codes.

/// Values that share one absmax.
pub const BLOCK: usize = 64;

/// Absmax values that share one scale.
pub const NESTED_BLOCK: usize = 256;

/// The 16 values of NF4: quantiles of the normal distribution, scaled to `[-1, 1]`, with a zero.
pub const CODE: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// The two values of each byte.
pub(crate) static PAIRS: [[f32; 2]; 256] = {
    let mut pairs = [[0.0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [CODE[byte >> 4], CODE[byte & 15]];
        byte += 1;
    }
    pairs
};

/// Code of the value 0, which fills up a last half byte.
pub(crate) const ZERO: u8 = 7;

/// Stands in for an absmax of 0, so that nothing is divided by 0.
pub(crate) const TINY: f32 = 1e-38;

/// Borders between neighbouring values of [`CODE`].
pub(crate) const MIDPOINTS: [f32; 15] = {
    let mut midpoints = [0.0; 15];
    let mut i = 0;
    while i < 15 {
        midpoints[i] = (CODE[i] + CODE[i + 1]) / 2.0;
        i += 1;
    }
    midpoints
};

/// The 256 values of the dynamic 8-bit map, in rising order.
///
/// After Dettmers, *8-bit approximations for parallelism in deep learning*
/// (<https://arxiv.org/abs/1511.04561>): for each power of ten from 1e-6 to 1, as many evenly spaced
/// values as its exponent leaves bits for; 0 and 1 besides. The unsigned map has no negatives and
/// twice as many values of each power.
pub fn dynamic_map(signed: bool) -> [f32; 256] {
    const POWERS: [f32; 7] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0];

    let mut values = vec![0.0, 1.0];
    for (i, power) in POWERS.into_iter().enumerate() {
        let parts = if signed { 1 << i } else { 2 << i };
        let borders = linspace(0.1, 1.0, parts);
        for pair in borders.windows(2) {
            let value = power * ((pair[0] + pair[1]) / 2.0);
            values.push(value);
            if signed {
                values.push(-value);
            }
        }
    }
    values.sort_by(f32::total_cmp);
    values.try_into().expect("2 + 2 (2^7 - 1) values")
}

/// Borders of `parts` equal parts, each rounded once, as PyTorch's `linspace` makes them.
///
/// A plain product and sum would round twice and differ in the last bit of dozens of entries.
fn linspace(start: f32, end: f32, parts: usize) -> Vec<f32> {
    let step = (end - start) / parts as f32;
    let half = parts.div_ceil(2);
    (0..=parts)
        .map(|i| {
            if i < half {
                step.mul_add(i as f32, start)
            } else {
                (-step).mul_add((parts - i) as f32, end)
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_rise_strictly_and_reach_one() {
        for signed in [true, false] {
            let map = dynamic_map(signed);
            assert!(map.windows(2).all(|pair| pair[0] < pair[1]));
            assert_eq!(map[255], 1.0);
            assert!(map.contains(&0.0));
            assert_eq!(map[0] < 0.0, signed);
        }
    }
}
