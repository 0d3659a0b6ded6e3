//! The normal distribution's quantiles.

use crate::error::{Error, Result};

/// The value below which a standard normal variable falls with probability `p`, to about 16 digits;
/// `±infinity` at 1 and 0.
///
/// Wichura's algorithm AS 241 (Applied Statistics 37, 1988), `PPND16`.
///
/// # Errors
/// If `p` lies outside `[0, 1]`.
pub fn normal_quantile(p: f64) -> Result<f64> {
    if !(0.0..=1.0).contains(&p) {
        return Err(Error::Parameter { name: "p", expected: "a value from 0 to 1", found: p });
    }
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        return Ok(q * ratio(0.180_625 - q * q, &CENTRE));
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    if tail == 0.0 {
        return Ok(q.signum() * f64::INFINITY);
    }
    let r = (-tail.ln()).sqrt();
    let x = if r <= 5.0 { ratio(r - 1.6, &MIDDLE) } else { ratio(r - 5.0, &TAIL) };
    Ok(q.signum() * x)
}

/// Numerator and denominator of a rational approximation, constant terms first.
type Coefficients = [[f64; 8]; 2];

const CENTRE: Coefficients = [
    [
        3.387_132_872_796_366_5,
        133.141_667_891_784_38,
        1_971.590_950_306_551_3,
        13_731.693_765_509_46,
        45_921.953_931_549_87,
        67_265.770_927_008_7,
        33_430.575_583_588_13,
        2_509.080_928_730_122_7,
    ],
    [
        1.0,
        42.313_330_701_600_91,
        687.187_007_492_057_9,
        5_394.196_021_424_751,
        21_213.794_301_586_597,
        39_307.895_800_092_71,
        28_729.085_735_721_943,
        5_226.495_278_852_854,
    ],
];

const MIDDLE: Coefficients = [
    [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        0.241_780_725_177_450_6,
        0.022_723_844_989_269_184,
        7.745_450_142_783_414e-4,
    ],
    [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        0.689_767_334_985_1,
        0.148_103_976_427_480_08,
        0.015_198_666_563_616_457,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ],
];

const TAIL: Coefficients = [
    [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        0.296_560_571_828_504_87,
        0.026_532_189_526_576_124,
        0.001_242_660_947_388_078_4,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ],
    [
        1.0,
        0.599_832_206_555_888,
        0.136_929_880_922_735_8,
        0.014_875_361_290_850_615,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_7e-15,
    ],
];

fn ratio(x: f64, [numerator, denominator]: &Coefficients) -> f64 {
    let polynomial = |terms: &[f64; 8]| terms.iter().rev().fold(0.0, |sum, term| sum * x + term);
    polynomial(numerator) / polynomial(denominator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(p: f64, expected: f64) {
        let found = normal_quantile(p).unwrap();
        assert!((found - expected).abs() <= 1e-14 * expected.abs(), "{found} is not {expected}");
    }

    #[test]
    fn equals_known_quantiles_in_centre_middle_and_tail() {
        // From Python's statistics.NormalDist().inv_cdf.
        check(0.5, 0.0);
        check(0.6, 0.253_347_103_135_799_8);
        check(0.975, 1.959_963_984_540_054);
        check(0.001, -3.090_232_306_167_813);
        check(1e-15, -7.941_345_326_170_998);
    }

    #[test]
    fn the_ends_are_infinite_and_the_outside_an_error() {
        assert_eq!(normal_quantile(0.0), Ok(f64::NEG_INFINITY));
        assert_eq!(normal_quantile(1.0), Ok(f64::INFINITY));
        assert!(normal_quantile(1.1).is_err());
        assert!(normal_quantile(f64::NAN).is_err());
    }
}
