//! The best approximation of a matrix by one of low rank.

use burn::linalg::svd;
use burn::tensor::{DType, Tensor, TensorData};

use crate::init::gaussian;
use crate::projection::to_f32;

/// Factors `B [m, rank]` and `A [rank, n]` whose product is close to the best approximation of this rank of
/// `matrix [m, n]`, which is in f32 as they are, each with the root of the singular values.
///
/// By random projection and power iteration: Halko, Martinsson, Tropp (<https://arxiv.org/abs/0909.4061>),
/// algorithm 4.4. What exceeds the shorter side of the matrix in rank is zero.
pub(crate) fn low_rank(matrix: Tensor<2>, rank: usize, seed: u64) -> (Tensor<2>, Tensor<2>) {
    const MORE: usize = 8; // directions, so that those that count are among them
    const ITERATIONS: usize = 4;
    const SWEEPS: usize = 64;

    let ([m, n], device) = (matrix.dims(), matrix.device());
    let kept = rank.min(m).min(n);
    let tried = (kept + MORE).min(m).min(n);
    let turned = matrix.clone().transpose();
    let mut left = basis(matrix.clone().matmul(gaussian([n, tried], 1.0, seed, &device)));
    for _ in 0..ITERATIONS {
        left = basis(matrix.clone().matmul(basis(turned.clone().matmul(left))));
    }
    // matrix ≈ left (matrixᵀ left)ᵀ = left (rightᵀ matrixᵀ left)ᵀ rightᵀ, of which only the middle, no larger than
    // the rank, needs a decomposition of its own.
    let columns = turned.matmul(left.clone());
    let right = basis(columns.clone());
    let middle = columns.transpose().matmul(right.clone());
    let (u, values, vt) = svd::<2, 1>(middle, SWEEPS);

    let roots = values.narrow(0, 0, kept).sqrt();
    let b = left.matmul(u.narrow(1, 0, kept)) * roots.clone().unsqueeze_dim(0);
    let a = vt.narrow(0, 0, kept).matmul(right.transpose()) * roots.unsqueeze_dim(1);
    if rank == kept {
        return (b, a);
    }
    let zeros = |shape: [usize; 2]| Tensor::zeros(shape, (&device, DType::F32));
    let rest = rank - kept;
    (Tensor::cat(vec![b, zeros([m, rest])], 1), Tensor::cat(vec![a, zeros([rest, n])], 0))
}

/// An orthonormal basis of what the few columns of a matrix span, `[m, columns]`; a column that adds nothing is zero.
///
/// Gram and Schmidt, each column twice, in f64 on the host: burn's QR would build an `m × m` matrix.
fn basis(matrix: Tensor<2>) -> Tensor<2> {
    const NOTHING: f64 = 1e-7; // of a column's length

    let ([m, count], device) = (matrix.dims(), matrix.device());
    let values = to_f32(matrix.transpose().into_data()); // column by column
    let mut columns: Vec<Vec<f64>> =
        values.chunks(m).map(|column| column.iter().map(|x| f64::from(*x)).collect()).collect();
    for place in 0..count {
        let (done, rest) = columns.split_at_mut(place);
        let column = &mut rest[0];
        let before = dot(column, column).sqrt();
        for other in done.iter().chain(done.iter()) {
            let share = dot(column, other);
            column.iter_mut().zip(other).for_each(|(x, other)| *x -= share * other);
        }
        let length = dot(column, column).sqrt();
        let factor = if length > before * NOTHING { 1.0 / length } else { 0.0 };
        column.iter_mut().for_each(|x| *x *= factor);
    }
    let values: Vec<f32> = columns.into_iter().flatten().map(|x| x as f32).collect();
    Tensor::<2>::from_data(TensorData::new(values, [count, m]), (&device, DType::F32)).transpose()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn a_matrix_of_low_rank_is_found_again() {
        let device = Device::flex();
        for ([m, n], rank) in [([40, 24], 3), ([24, 40], 3), ([30, 30], 8)] {
            let product =
                gaussian([m, rank], 1.0, 1, &device).matmul(gaussian([rank, n], 1.0, 2, &device));
            let (b, a) = low_rank(product.clone(), rank, 3);
            assert_eq!((b.dims(), a.dims()), ([m, rank], [rank, n]));
            let off = (b.matmul(a) - product).abs().max().into_scalar::<f32>();
            assert!(off < 1e-4, "[{m}, {n}]: {off}");
        }
    }

    #[test]
    fn the_error_is_that_of_the_best_approximation() {
        // Singular values 1, 1/2, 1/3 and so on between two bases: the best error of rank r is the norm of the rest.
        let device = Device::flex();
        let basis = |seed| super::basis(gaussian([60, 20], 1.0, seed, &device));
        let values: Vec<f32> = (1..=20).map(|i| 1.0 / i as f32).collect();
        let best = values[6..].iter().map(|value| value * value).sum::<f32>().sqrt();
        let values = Tensor::<1>::from_floats(values.as_slice(), &device).unsqueeze_dim(0);
        let matrix = (basis(1) * values).matmul(basis(2).transpose());
        let (b, a) = low_rank(matrix.clone(), 6, 3);
        let (of_b, of_a) = (b.clone().square().sum(), a.clone().square().sum());
        let error = (b.matmul(a) - matrix).square().sum().sqrt().into_scalar::<f32>();
        assert!(error <= best * 1.01, "{error}, not {best}");
        let balance = (of_b / of_a).into_scalar::<f32>();
        assert!((balance - 1.0).abs() < 1e-3, "{balance}");
    }

    #[test]
    fn a_rank_beyond_the_matrix_is_filled_with_zeros() {
        let matrix = gaussian([3, 5], 1.0, 1, &Device::flex());
        let (b, a) = low_rank(matrix.clone(), 7, 2);
        assert_eq!((b.dims(), a.dims()), ([3, 7], [7, 5]));
        assert!((b.matmul(a) - matrix).abs().max().into_scalar::<f32>() < 1e-5);
    }
}
