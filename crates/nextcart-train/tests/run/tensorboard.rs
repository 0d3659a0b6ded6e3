//! TensorBoard's files, read by a reader that shares nothing with the writer.
//!
//! Frames are those of TFRecord (`tensorflow/core/lib/io/record_writer.h`), messages those of
//! `tensorflow/core/util/event.proto` and `framework/summary.proto`, both of the encoding of protocol buffers.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::AtomicBool;

use nextcart_train::{Metric, Run, read_metrics};

use crate::common::{adapted, llama};
use crate::{config, lora, samples, turn, watch};

/// CRC-32C by a table of bytes, made from the polynomial as it is written in the standard and turned round.
struct Crc32c([u32; 256]);

impl Crc32c {
    fn new() -> Self {
        // x^32 + x^28 + x^27 + x^26 + x^25 + x^23 + x^22 + x^20 + x^19 + x^18 + x^14 + x^13 + x^11 + x^10 + x^9 + x^8
        // + x^6 + 1
        let powers = [28, 27, 26, 25, 23, 22, 20, 19, 18, 14, 13, 11, 10, 9, 8, 6, 0];
        let polynomial = powers.iter().fold(0_u32, |sum, power| sum | 1 << power).reverse_bits();
        let mut table = [0; 256];
        for (byte, entry) in (0_u32..).zip(&mut table) {
            *entry = (0..8).fold(byte, |crc, _| match crc & 1 {
                1 => crc >> 1 ^ polynomial,
                _ => crc >> 1,
            });
        }
        Self(table)
    }

    fn of(&self, bytes: &[u8]) -> u32 {
        let start = u32::MAX;
        !bytes.iter().fold(start, |crc, &byte| self.0[usize::from(crc as u8 ^ byte)] ^ crc >> 8)
    }

    /// What a masked checksum was made of.
    fn unmasked(masked: u32) -> u32 {
        masked.wrapping_sub(0xa282_ead8).rotate_left(15)
    }
}

/// A reader of bytes that fails where there are too few.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at_checked(count).expect("a whole record");
        self.0 = rest;
        taken
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().unwrap())
    }

    fn varint(&mut self) -> u64 {
        let mut value = 0;
        for place in 0..10 {
            let byte = self.take(1)[0];
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return value;
            }
        }
        panic!("a varint of at most 10 bytes");
    }
}

/// The data of all frames of a file; every checksum must hold.
fn frames(file: &[u8]) -> Vec<&[u8]> {
    let crc = Crc32c::new();
    assert_eq!(crc.of(b"123456789"), 0xe306_9283); // the check value of the catalogue of CRCs
    let mut bytes = Bytes(file);
    let mut found = Vec::new();
    while !bytes.0.is_empty() {
        let length = &bytes.0[..8];
        let count = bytes.u64();
        assert_eq!(Crc32c::unmasked(bytes.u32()), crc.of(length), "the length of {count}");
        let data = bytes.take(usize::try_from(count).unwrap());
        assert_eq!(Crc32c::unmasked(bytes.u32()), crc.of(data), "data of {count} bytes");
        found.push(data);
    }
    found
}

/// A value of a message, by its wire type.
#[derive(Debug, PartialEq)]
enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

fn fields(message: &[u8]) -> Vec<(u64, Value<'_>)> {
    let mut bytes = Bytes(message);
    let mut found = Vec::new();
    while !bytes.0.is_empty() {
        let key = bytes.varint();
        let value = match key & 7 {
            0 => Value::Varint(bytes.varint()),
            1 => Value::Fixed64(bytes.u64()),
            2 => {
                let count = usize::try_from(bytes.varint()).unwrap();
                Value::Bytes(bytes.take(count))
            }
            5 => Value::Fixed32(bytes.u32()),
            other => panic!("wire type {other}"),
        };
        found.push((key >> 3, value));
    }
    found
}

/// An `Event`: `wall_time` 1, `step` 2, `file_version` 3, `summary` 5, whose `value`s 1 have `tag` 1 and
/// `simple_value` 2.
#[derive(Debug, Default, PartialEq)]
struct Event {
    wall_time: f64,
    step: u64,
    file_version: Option<String>,
    scalars: BTreeMap<String, f32>,
}

impl Event {
    fn read(message: &[u8]) -> Self {
        let mut event = Self::default();
        for field in fields(message) {
            match field {
                (1, Value::Fixed64(bits)) => event.wall_time = f64::from_bits(bits),
                (2, Value::Varint(step)) => event.step = step,
                (3, Value::Bytes(text)) => event.file_version = Some(word(text)),
                (5, Value::Bytes(summary)) => {
                    for value in fields(summary) {
                        let (1, Value::Bytes(value)) = value else { panic!("{value:?}") };
                        let [(1, Value::Bytes(tag)), (2, Value::Fixed32(bits))] = fields(value)[..]
                        else {
                            panic!("a tag and a number")
                        };
                        let twice = event.scalars.insert(word(tag), f32::from_bits(bits));
                        assert_eq!(twice, None);
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        event
    }
}

fn word(text: &[u8]) -> String {
    String::from_utf8(text.to_vec()).unwrap()
}

/// What an event must say of a line of `metrics.jsonl`.
fn expected(metric: &Metric) -> Event {
    let (wall_time, step, scalars) = match metric {
        Metric::Step(m) => {
            let always = [
                ("train/loss", m.loss),
                ("train/learning_rate", m.learning_rate),
                ("train/gradient_norm", m.gradient_norm),
                ("train/tokens_per_second", m.tokens_per_second),
                ("train/examples_per_second", m.examples_per_second),
                ("train/mfu", m.mfu.unwrap()),
            ];
            let bytes = m.peak_bytes.map(|bytes| ("train/peak_bytes", bytes as f64));
            (m.time, m.step, always.into_iter().chain(bytes).collect::<Vec<_>>())
        }
        Metric::Evaluation(m) => {
            let accuracy = m.accuracy.map(|share| ("eval/accuracy", share));
            (m.time, m.step, [("eval/loss", m.loss)].into_iter().chain(accuracy).collect())
        }
        _ => panic!("a step or an evaluation"),
    };
    let scalars = scalars.into_iter().map(|(tag, number)| (tag.to_owned(), number as f32));
    Event { wall_time, step, file_version: None, scalars: scalars.collect() }
}

#[test]
fn every_line_of_the_log_is_an_event_with_its_scalars() {
    let _turn = turn();
    let (samples, held_out) = samples();
    let folder = tempfile::tempdir().unwrap();
    // More than 128 steps, so that some take two bytes.
    let mut run = Run::open(folder.path(), adapted(&lora()), &llama(), config(130), &samples)
        .unwrap()
        .with_watch(watch())
        .with_held_out(&held_out)
        .with_questions(|_, accuracy| {
            [1.0, 0.0, 0.5].into_iter().for_each(|hit| accuracy.add(hit));
            Ok(())
        });
    run.train(&AtomicBool::new(false)).unwrap();

    let file = fs::read(folder.path().join("events.out.tfevents.nextcart")).unwrap();
    let events: Vec<Event> = frames(&file).into_iter().map(Event::read).collect();
    assert_eq!(events[0].file_version.as_deref(), Some("brain.Event:2"));
    let metrics = read_metrics(folder.path().join("metrics.jsonl")).unwrap();
    assert_eq!(metrics.len(), 130 + 130 / 5);
    for (found, metric) in events[1..].iter().zip(&metrics) {
        let expected = expected(metric);
        // JSON may change the last bit of a float.
        assert!((found.wall_time - expected.wall_time).abs() < 1e-5, "{found:?}");
        assert_eq!(*found, Event { wall_time: found.wall_time, ..expected });
    }
    assert_eq!(events.len(), 1 + metrics.len());
}
