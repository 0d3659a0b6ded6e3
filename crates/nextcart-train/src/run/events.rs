//! TensorBoard's event files: `Event` messages of protocol buffers in TFRecord frames.
//!
//! Written out: scalars need a hundred lines, and `tensorboard-rs`, the crate for it, stands on `image` 0.23 and
//! `protobuf` 2, both long superseded.

use super::crc32c::masked_crc32c;
use super::metrics::{EvaluationMetrics, Metric, StepMetrics};

/// TensorBoard reads files with `tfevents` in their names.
pub(super) const EVENTS: &str = "events.out.tfevents.nextcart";

/// The record that a file begins with.
pub(super) fn version() -> Vec<u8> {
    let mut event = Message::default();
    event.double(1, 0.0);
    event.bytes(3, b"brain.Event:2");
    frame(&event.0)
}

/// The scalars of a line of the log.
pub(super) fn of(metric: &Metric) -> Vec<u8> {
    match metric {
        Metric::Step(metrics) => {
            let StepMetrics { loss, learning_rate, gradient_norm, tokens_per_second, .. } =
                *metrics;
            let bytes = |tag, bytes: Option<u64>| bytes.map(|bytes| (tag, bytes as f64));
            let some = [
                bytes("train/peak_bytes", metrics.peak_bytes),
                bytes("train/device_bytes", metrics.device_bytes),
                metrics.mfu.map(|share| ("train/mfu", share)),
            ];
            let scalars = [
                ("train/loss", loss),
                ("train/learning_rate", learning_rate),
                ("train/gradient_norm", gradient_norm),
                ("train/tokens_per_second", tokens_per_second),
                ("train/examples_per_second", metrics.examples_per_second),
            ];
            event(metrics.time, metrics.step, scalars.into_iter().chain(some.into_iter().flatten()))
        }
        Metric::Evaluation(metrics) => {
            let EvaluationMetrics { step, loss, accuracy, time, .. } = *metrics;
            let accuracy = accuracy.map(|accuracy| ("eval/accuracy", accuracy));
            event(time, step, [("eval/loss", loss)].into_iter().chain(accuracy))
        }
    }
}

fn event(time: f64, step: u64, scalars: impl Iterator<Item = (&'static str, f64)>) -> Vec<u8> {
    let mut summary = Message::default();
    for (tag, scalar) in scalars {
        let mut value = Message::default();
        value.bytes(1, tag.as_bytes());
        value.float(2, scalar as f32);
        summary.bytes(1, &value.0);
    }
    let mut event = Message::default();
    event.double(1, time);
    event.varint(2, step);
    event.bytes(5, &summary.0);
    frame(&event.0)
}

/// A record: its length, the length's checksum, the data and theirs.
fn frame(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let checksum = |bytes: &[u8]| masked_crc32c(bytes).to_le_bytes();
    [&length[..], &checksum(&length), data, &checksum(data)].concat()
}

/// A message of protocol buffers, as it is written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn key(&mut self, field: u64, wire_type: u64) {
        self.raw_varint(field << 3 | wire_type);
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80); // the lowest seven bits
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn varint(&mut self, field: u64, value: u64) {
        self.key(field, 0);
        self.raw_varint(value);
    }

    fn double(&mut self, field: u64, value: f64) {
        self.key(field, 1);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.key(field, 2);
        self.raw_varint(value.len() as u64);
        self.0.extend(value);
    }

    fn float(&mut self, field: u64, value: f32) {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Data of the records of a file, whose checksums must hold.
    fn records(mut file: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        while !file.is_empty() {
            let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
            let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
            assert_eq!(number(8), masked_crc32c(&file[..8]));
            let data = &file[12..12 + length];
            assert_eq!(number(12 + length), masked_crc32c(data));
            found.push(data.to_vec());
            file = &file[16 + length..];
        }
        found
    }

    /// Fields of a message with their raw values.
    fn fields(mut message: &[u8]) -> Vec<(u64, Vec<u8>)> {
        fn varint(message: &mut &[u8]) -> u64 {
            let mut value = 0;
            for shift in (0..).step_by(7) {
                let byte = message[0];
                *message = &message[1..];
                value |= u64::from(byte & 0x7f) << shift;
                if byte < 0x80 {
                    break;
                }
            }
            value
        }
        let mut found = Vec::new();
        while !message.is_empty() {
            let key = varint(&mut message);
            let length = match key & 7 {
                0 => {
                    let value = varint(&mut message);
                    found.push((key >> 3, value.to_le_bytes().to_vec()));
                    continue;
                }
                1 => 8,
                2 => varint(&mut message) as usize,
                5 => 4,
                other => panic!("wire type {other}"),
            };
            let (value, rest) = message.split_at(length);
            found.push((key >> 3, value.to_vec()));
            message = rest;
        }
        found
    }

    #[test]
    fn a_file_reads_back_as_tensorboard_reads_it() {
        let metrics = EvaluationMetrics {
            step: 300,
            epoch: 1.0,
            loss: 2.5,
            accuracy: Some(0.25),
            questions: 4,
            seconds: 1.0,
            time: 1.7e9,
        };
        let file = [version(), of(&Metric::Evaluation(metrics))].concat();
        let [first, second] = &records(&file)[..] else { panic!("two records") };
        assert_eq!(fields(first)[1], (3, b"brain.Event:2".to_vec()));
        let [(1, time), (2, step), (5, summary)] = &fields(second)[..] else { panic!("an event") };
        assert_eq!(f64::from_le_bytes(time[..].try_into().unwrap()), 1.7e9);
        assert_eq!(step[..], 300_u64.to_le_bytes());
        let values = fields(summary).into_iter().map(|(field, value)| {
            assert_eq!(field, 1);
            let [(1, tag), (2, number)] = &fields(&value)[..] else { panic!("a value") };
            let number = f32::from_le_bytes(number[..].try_into().unwrap());
            (String::from_utf8(tag.clone()).unwrap(), number)
        });
        let values: Vec<_> = values.collect();
        assert_eq!(values, [("eval/loss".to_owned(), 2.5), ("eval/accuracy".to_owned(), 0.25)]);
    }

    /// The first record of a file that TensorFlow's own writer makes, with the time 0.
    #[test]
    fn the_frame_is_that_of_tensorflow() {
        let record = version();
        assert_eq!(record[..8], 24_u64.to_le_bytes());
        // Every event file of version 2 begins so: the masked checksum of the length 24.
        assert_eq!(record[8..12], [0xa3, 0x7f, 0x4b, 0x22]);
        assert_eq!(&record[12 + 9..12 + 24], b"\x1a\x0dbrain.Event:2");
    }
}
