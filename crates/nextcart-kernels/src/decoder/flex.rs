//! The operations on the CPU, each in one pass over memory on all cores.

use burn::backend::Flex;
use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{DType, TensorData};
use pulp::Arch;

use crate::vectors::{chunk_pairs, chunks, exp, largest, rows_together, sum_of};

pub(super) fn rms_norm(x: FlexTensor, gamma: FlexTensor, epsilon: f64) -> FlexTensor {
    let (x, dtype) = full(x);
    let (gamma, _) = full(gamma);
    let (values, gamma) = (x.storage::<f32>(), gamma.storage::<f32>());
    let (d_model, arch) = (gamma.len(), Arch::new());
    let together = rows_together(d_model) * d_model;
    let mut output = vec![0.0; values.len()];
    chunks(&mut output, together, |part, output| {
        arch.dispatch(|| {
            let rows = values[part * together..].chunks_exact(d_model);
            for (output, x) in output.chunks_exact_mut(d_model).zip(rows) {
                let factor = inverse_rms(x, epsilon);
                for ((output, x), gamma) in output.iter_mut().zip(x).zip(gamma) {
                    *output = x * factor * gamma;
                }
            }
        });
    });
    like(&x, output, dtype)
}

pub(super) fn rms_norm_input(
    x: FlexTensor,
    gamma: FlexTensor,
    epsilon: f64,
    gradient: FlexTensor,
) -> FlexTensor {
    let (x, dtype) = full(x);
    let ((gamma, _), (gradient, _)) = (full(gamma), full(gradient));
    let (values, gamma) = (x.storage::<f32>(), gamma.storage::<f32>());
    let gradient = gradient.storage::<f32>();
    let (d_model, arch) = (gamma.len(), Arch::new());
    let together = rows_together(d_model) * d_model;
    let mut output = vec![0.0; values.len()];
    chunks(&mut output, together, |part, output| {
        arch.dispatch(|| {
            let rows = values[part * together..].chunks_exact(d_model);
            let gradients = gradient[part * together..].chunks_exact(d_model);
            for ((output, x), gradient) in output.chunks_exact_mut(d_model).zip(rows).zip(gradients)
            {
                for ((output, gradient), gamma) in output.iter_mut().zip(gradient).zip(gamma) {
                    *output = gradient * gamma;
                }
                let factor = inverse_rms(x, epsilon);
                let mean = sum_of(output, x, |a, b| a * b) / d_model as f32;
                let mean = mean * factor * factor;
                for (output, x) in output.iter_mut().zip(x) {
                    *output = (*output - x * mean) * factor;
                }
            }
        });
    });
    like(&x, output, dtype)
}

pub(super) fn swiglu(gate: FlexTensor, up: FlexTensor) -> FlexTensor {
    let (gate, dtype) = full(gate);
    let (up, _) = full(up);
    let (values, up) = (gate.storage::<f32>(), up.storage::<f32>());
    let (arch, together) = (Arch::new(), rows_together(1));
    let mut output = vec![0.0; values.len()];
    chunks(&mut output, together, |part, output| {
        arch.dispatch(|| {
            let (gate, up) = (&values[part * together..], &up[part * together..]);
            for ((output, gate), up) in output.iter_mut().zip(gate).zip(up) {
                *output = gate * sigmoid(*gate) * up;
            }
        });
    });
    like(&gate, output, dtype)
}

pub(super) fn swiglu_inputs(
    gate: FlexTensor,
    up: FlexTensor,
    gradient: FlexTensor,
) -> (FlexTensor, FlexTensor) {
    let (gate, dtype) = full(gate);
    let ((up, _), (gradient, _)) = (full(up), full(gradient));
    let (values, ups) = (gate.storage::<f32>(), up.storage::<f32>());
    let gradient = gradient.storage::<f32>();
    let (arch, together) = (Arch::new(), rows_together(1));
    let mut of_gate = vec![0.0; values.len()];
    let mut of_up = vec![0.0; values.len()];
    chunk_pairs(&mut of_gate, &mut of_up, together, |part, of_gate, of_up| {
        arch.dispatch(|| {
            let first = part * together;
            let inputs = values[first..].iter().zip(&ups[first..]).zip(&gradient[first..]);
            for ((of_gate, of_up), ((gate, up), gradient)) in
                of_gate.iter_mut().zip(of_up).zip(inputs)
            {
                let open = sigmoid(*gate);
                *of_gate = gradient * up * (open * (1.0 + gate * (1.0 - open)));
                *of_up = gradient * (gate * open);
            }
        });
    });
    (like(&gate, of_gate, dtype), like(&gate, of_up, dtype))
}

pub(super) fn rotate_heads(x: FlexTensor, cos: FlexTensor, sin: FlexTensor) -> FlexTensor {
    let (x, dtype) = full(x);
    let ((cos, _), (sin, _)) = (full(cos), full(sin));
    let dims = x.shape();
    let (batch, seq, head_dim) = (dims[0], dims[1], cos.shape()[3]);
    let heads = dims[2] / head_dim;
    let (values, cos, sin) = (x.storage::<f32>(), cos.storage::<f32>(), sin.storage::<f32>());
    let arch = Arch::new();
    let mut output = vec![0.0; values.len()];
    chunks(&mut output, seq * head_dim, |part, output| {
        let (row, head) = (part / heads, part % heads);
        arch.dispatch(|| {
            for (place, output) in output.chunks_exact_mut(head_dim).enumerate() {
                let token = row * seq + place;
                let x = &values[(token * heads + head) * head_dim..][..head_dim];
                let (cos, sin) = (&cos[token * head_dim..], &sin[token * head_dim..]);
                turn(x, &cos[..head_dim], &sin[..head_dim], output);
            }
        });
    });
    let output = TensorData::new(output, [batch, heads, seq, head_dim]);
    Flex::float_cast(FlexTensor::from_data(output), dtype.into())
}

pub(super) fn rotate_heads_input(
    gradient: FlexTensor,
    cos: FlexTensor,
    sin: FlexTensor,
) -> FlexTensor {
    let (gradient, dtype) = full(gradient);
    let ((cos, _), (sin, _)) = (full(cos), full(sin));
    let dims = gradient.shape();
    let (batch, heads, seq, head_dim) = (dims[0], dims[1], dims[2], dims[3]);
    let (values, cos, sin) =
        (gradient.storage::<f32>(), cos.storage::<f32>(), sin.storage::<f32>());
    let (arch, width) = (Arch::new(), heads * head_dim);
    let together = rows_together(width);
    let mut output = vec![0.0; values.len()];
    chunks(&mut output, together * width, |part, output| {
        arch.dispatch(|| {
            for (index, output) in output.chunks_exact_mut(width).enumerate() {
                let token = part * together + index;
                let (row, place) = (token / seq, token % seq);
                let cos = &cos[token * head_dim..][..head_dim];
                let sin = &sin[token * head_dim..][..head_dim];
                for (head, output) in output.chunks_exact_mut(head_dim).enumerate() {
                    let from = ((row * heads + head) * seq + place) * head_dim;
                    turn_back(&values[from..from + head_dim], cos, sin, output);
                }
            }
        });
    });
    let output = TensorData::new(output, [batch, seq, width]);
    Flex::float_cast(FlexTensor::from_data(output), dtype.into())
}

pub(super) fn masked_softmax(scores: FlexTensor, bias: FlexTensor, scale: f64) -> FlexTensor {
    let (scores, dtype) = full(scores);
    let (bias, _) = full(bias);
    let dims = scores.shape();
    let (heads, seq, keys) = (dims[1], dims[2], dims[3]);
    let (values, bias) = (scores.storage::<f32>(), bias.storage::<f32>());
    let (arch, together, scale) = (Arch::new(), rows_together(keys), scale as f32);
    let mut output = vec![0.0; values.len()];
    chunks(&mut output, together * keys, |part, output| {
        arch.dispatch(|| {
            let first = part * together;
            let rows = values[first * keys..].chunks_exact(keys);
            for ((index, output), scores) in output.chunks_exact_mut(keys).enumerate().zip(rows) {
                // Rows go through batch, heads and queries; the bias is the same for all heads.
                let (row, place) = ((first + index) / (heads * seq), (first + index) % seq);
                let bias = &bias[(row * seq + place) * keys..][..keys];
                for ((output, score), bias) in output.iter_mut().zip(scores).zip(bias) {
                    *output = score * scale + bias;
                }
                let most = largest(output);
                for output in output.iter_mut() {
                    *output = exp(*output - most);
                }
                let factor = 1.0 / sum_of(output, output, |a, _| a);
                for output in output.iter_mut() {
                    *output *= factor;
                }
            }
        });
    });
    like(&scores, output, dtype)
}

pub(super) fn masked_softmax_scores(
    weights: FlexTensor,
    scale: f64,
    gradient: FlexTensor,
) -> FlexTensor {
    let (weights, dtype) = full(weights);
    let (gradient, _) = full(gradient);
    let keys = weights.shape()[3];
    let (values, gradient) = (weights.storage::<f32>(), gradient.storage::<f32>());
    let (arch, scale) = (Arch::new(), scale as f32);
    let together = rows_together(keys) * keys;
    let mut output = vec![0.0; values.len()];
    chunks(&mut output, together, |part, output| {
        arch.dispatch(|| {
            let weights = values[part * together..].chunks_exact(keys);
            let gradients = gradient[part * together..].chunks_exact(keys);
            for ((output, weights), gradient) in
                output.chunks_exact_mut(keys).zip(weights).zip(gradients)
            {
                let sum = sum_of(weights, gradient, |a, b| a * b);
                for ((output, weight), gradient) in output.iter_mut().zip(weights).zip(gradient) {
                    *output = scale * weight * (gradient - sum);
                }
            }
        });
    });
    like(&weights, output, dtype)
}

/// The tensor in f32 and in the order of its axes, and the type that it came in.
fn full(x: FlexTensor) -> (FlexTensor, DType) {
    let dtype = x.dtype();
    (Flex::float_cast(x, DType::F32.into()).to_contiguous(), dtype)
}

/// Values in the shape of `x`, rounded to a type.
fn like(x: &FlexTensor, values: Vec<f32>, dtype: DType) -> FlexTensor {
    let output = FlexTensor::from_data(TensorData::new(values, x.shape()));
    Flex::float_cast(output, dtype.into())
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[inline(always)]
fn inverse_rms(x: &[f32], epsilon: f64) -> f32 {
    let mean = sum_of(x, x, |a, b| a * b) / x.len() as f32;
    1.0 / (mean + epsilon as f32).sqrt()
}

#[inline(always)]
fn turn(x: &[f32], cos: &[f32], sin: &[f32], output: &mut [f32]) {
    let half = x.len() / 2;
    let (first, second) = x.split_at(half);
    let (output_first, output_second) = output.split_at_mut(half);
    let ((cos_first, cos_second), (sin_first, sin_second)) =
        (cos.split_at(half), sin.split_at(half));
    for i in 0..half {
        output_first[i] = first[i] * cos_first[i] - second[i] * sin_first[i];
        output_second[i] = second[i] * cos_second[i] + first[i] * sin_second[i];
    }
}

/// The transposed of [`turn`].
#[inline(always)]
fn turn_back(gradient: &[f32], cos: &[f32], sin: &[f32], output: &mut [f32]) {
    let half = gradient.len() / 2;
    let (first, second) = gradient.split_at(half);
    let (output_first, output_second) = output.split_at_mut(half);
    let ((cos_first, cos_second), (sin_first, sin_second)) =
        (cos.split_at(half), sin.split_at(half));
    for i in 0..half {
        output_first[i] = first[i] * cos_first[i] + second[i] * sin_second[i];
        output_second[i] = second[i] * cos_second[i] - first[i] * sin_first[i];
    }
}
