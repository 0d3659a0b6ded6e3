//! Numbers in 8 bits, block by block.

use std::array;
use std::sync::LazyLock;

use burn::tensor::TensorData;
use nextcart_adapters::nf4::dynamic_map;
use rayon::prelude::*;

/// Values that share a scale.
pub(super) const BLOCK: usize = 256;

/// Smallest divisor, for blocks of zeros.
const TINY: f32 = 1e-38;

/// The dynamic map of Dettmers et al. (<https://arxiv.org/abs/2110.02861>), with or without negative numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Map {
    Signed,
    Unsigned,
}

/// A map with the borders between neighbouring entries.
struct Table {
    values: [f32; 256],
    borders: [f32; 255],
}

static SIGNED: LazyLock<Table> = LazyLock::new(|| Table::new(true));
static UNSIGNED: LazyLock<Table> = LazyLock::new(|| Table::new(false));

impl Table {
    fn new(signed: bool) -> Self {
        let values = dynamic_map(signed);
        let border = |i: usize| ((f64::from(values[i]) + f64::from(values[i + 1])) / 2.0) as f32;
        Self { values, borders: array::from_fn(border) }
    }

    /// Index of the nearest entry.
    fn nearest(&self, value: f32) -> u8 {
        self.borders.partition_point(|&border| border < value) as u8 // at most 255
    }
}

impl Map {
    fn table(self) -> &'static Table {
        match self {
            Self::Signed => &SIGNED,
            Self::Unsigned => &UNSIGNED,
        }
    }
}

/// A list of numbers as codes of a map and, for each [`BLOCK`] of them, the largest absolute value:
/// `map[code] · scale`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Blockwise {
    map: Map,
    codes: Vec<u8>,
    scales: Vec<f32>,
}

impl Blockwise {
    /// So many zeros.
    pub(super) fn zero(map: Map, count: usize) -> Self {
        Self { map, codes: vec![0; count], scales: vec![0.0; count.div_ceil(BLOCK)] }
    }

    /// Unpacks each block of two lists, lets `f` change it beside the same places of `values`, and packs it again.
    ///
    /// # Panics
    /// If the lengths differ.
    pub(super) fn for_each_block(
        lists: [&mut Self; 2],
        values: &mut [f32],
        f: impl Fn([&mut [f32]; 2], &mut [f32]) + Sync,
    ) {
        let [one, other] = lists;
        assert!(one.codes.len() == values.len() && other.codes.len() == values.len());
        let pair = one.blocks().zip(other.blocks()).zip(values.par_chunks_mut(BLOCK));
        pair.for_each(|((mut one, mut other), values)| {
            let mut buffers = [[0.0; BLOCK]; 2];
            let [a, b] = &mut buffers;
            let (a, b) = (&mut a[..values.len()], &mut b[..values.len()]);
            one.unpack(a);
            other.unpack(b);
            f([&mut *a, &mut *b], values);
            one.pack(a);
            other.pack(b);
        });
    }

    fn blocks(&mut self) -> impl IndexedParallelIterator<Item = Block<'_>> {
        let table = self.map.table();
        let blocks = self.codes.par_chunks_mut(BLOCK).zip(&mut self.scales);
        blocks.map(move |(codes, scale)| Block { table, codes, scale })
    }

    pub(super) fn codes_to_host(&self) -> TensorData {
        TensorData::new(self.codes.clone(), [self.codes.len()])
    }

    pub(super) fn scales_to_host(&self) -> TensorData {
        TensorData::new(self.scales.clone(), [self.scales.len()])
    }

    /// What [`codes_to_host`](Self::codes_to_host) and [`scales_to_host`](Self::scales_to_host) gave.
    ///
    /// # Panics
    /// If the codes are not of 8 bits.
    pub(super) fn from_host(map: Map, codes: TensorData, scales: TensorData) -> Self {
        let codes = codes.try_into_vec().expect("codes of 8 bits");
        Self { map, codes, scales: scales.try_into_vec_as().expect("scales are floats") }
    }
}

/// A block in its list.
struct Block<'a> {
    table: &'static Table,
    codes: &'a mut [u8],
    scale: &'a mut f32,
}

impl Block<'_> {
    fn unpack(&self, values: &mut [f32]) {
        for (value, &code) in values.iter_mut().zip(&*self.codes) {
            *value = self.table.values[usize::from(code)] * *self.scale;
        }
    }

    fn pack(&mut self, values: &[f32]) {
        *self.scale = values.iter().fold(0.0, |max: f32, value| max.max(value.abs()));
        let divisor = self.scale.max(TINY);
        for (code, &value) in self.codes.iter_mut().zip(values) {
            *code = self.table.nearest(value / divisor);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    impl Blockwise {
        pub(in crate::optimizer) fn unpacked(&self) -> Vec<f32> {
            let mut list = self.clone();
            let mut values = vec![0.0; self.codes.len()];
            for (block, values) in
                list.codes.chunks_mut(BLOCK).zip(&mut list.scales).zip(values.chunks_mut(BLOCK))
            {
                let (codes, scale) = block;
                Block { table: self.map.table(), codes, scale }.unpack(values);
            }
            values
        }

        pub(in crate::optimizer) fn packed(map: Map, values: &[f32]) -> Self {
            let mut list = Self::zero(map, values.len());
            let blocks = list.codes.chunks_mut(BLOCK).zip(&mut list.scales);
            for ((codes, scale), values) in blocks.zip(values.chunks(BLOCK)) {
                Block { table: map.table(), codes, scale }.pack(values);
            }
            list
        }
    }

    /// Values of many sizes, from a fixed rule.
    fn values(count: usize) -> Vec<f32> {
        let value = |n: usize| ((n * 7919 + 13) % 1009) as f32 / 1009.0 - 0.5;
        (0..count).map(|n| value(n) * 10.0_f32.powi(-((n % 6) as i32))).collect()
    }

    #[test]
    fn every_value_comes_back_as_the_nearest_entry() {
        for (map, values) in [
            (Map::Signed, values(1000)),
            (Map::Unsigned, values(1000).iter().map(|value| value.abs()).collect()),
        ] {
            let packed = Blockwise::packed(map, &values);
            assert_eq!(packed.scales.len(), 4);
            let found = packed.unpacked();
            for ((block, found), scale) in
                values.chunks(BLOCK).zip(found.chunks(BLOCK)).zip(&packed.scales)
            {
                for (value, found) in block.iter().zip(found) {
                    let off = |entry: f32| (f64::from(entry * scale) - f64::from(*value)).abs();
                    let entries = map.table().values.iter();
                    let least = entries.map(|entry| off(*entry)).fold(f64::MAX, f64::min);
                    let off = (f64::from(*found) - f64::from(*value)).abs();
                    assert!(off <= least + 1e-7 * f64::from(*scale), "{value}: {found}");
                }
            }
        }
    }

    #[test]
    fn zeros_stay_zeros_and_a_largest_value_is_exact_if_it_is_positive() {
        for map in [Map::Signed, Map::Unsigned] {
            assert_eq!(Blockwise::zero(map, 300).unpacked(), [0.0; 300]);
            assert_eq!(Blockwise::packed(map, &[0.0; 300]).unpacked(), [0.0; 300]);
            let mut values = [1e-3; 300];
            values[7] = 0.37;
            assert_eq!(Blockwise::packed(map, &values).unpacked()[7], 0.37);
        }
        // The signed map goes up to 1 and down to -0.993.
        let lowest = Blockwise::packed(Map::Signed, &[-1.0, 0.5]).unpacked()[0];
        assert!((lowest + 0.993).abs() < 1e-3, "{lowest}");
    }
}
