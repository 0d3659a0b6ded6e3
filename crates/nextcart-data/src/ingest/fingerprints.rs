//! Duplicate lines, found with a bounded amount of memory.
//!
//! A Bloom filter (blocked, after Putze, Sanders and Singler, *Cache-, hash- and space-efficient Bloom
//! filters*, 2007) tells at once that most lines are new. What it suspects is put aside until all lines are
//! read; then each suspect is compared with the hashes of all lines, which lie on disk beyond a few
//! thousand, all in one file. A suspect that turns out to be new is a line that the filter was wrong about;
//! its rows come at the end of the table.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use crate::{Error, Result, seeded::FastSet};

/// Parts that hashes are spread over; each is compared within itself at the end. At 233 million lines
/// each holds about a million.
const PARTITIONS: usize = 256;

/// Bytes of a partition that stay in memory before they go to disk, rounded up to whole records.
const BUFFERED: usize = 16 << 10;

/// Words of a block of the filter: a cache line, so that a line costs one access to memory.
const BLOCK_WORDS: usize = 8;

/// Bits that a line sets in its block.
const BITS: u32 = 8;

/// A line that may stand for an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Suspect {
    pub(super) hash: u128,
    /// The file's number.
    pub(super) file: u32,
    pub(super) line: u64,
    /// Its rows among those of all suspects.
    pub(super) first_row: u64,
    pub(super) rows: u32,
}

/// Remembers lines by their hashes.
pub(super) struct Fingerprints {
    folder: PathBuf,
    filter: Vec<[u64; BLOCK_WORDS]>,
    /// Hashes of lines that are new.
    new: Records<16>,
    suspects: Records<{ Suspect::BYTES }>,
}

impl Fingerprints {
    /// With a filter of so many bytes. What memory does not hold goes to unnamed files in `folder`, which
    /// vanish with this value.
    pub(super) fn new(folder: &Path, filter_bytes: usize) -> Self {
        let blocks = (filter_bytes / (8 * BLOCK_WORDS)).max(1);
        Self {
            folder: folder.into(),
            filter: vec![[0; BLOCK_WORDS]; blocks],
            new: Records::new(),
            suspects: Records::new(),
        }
    }

    /// Whether a line of this hash may have stood before. If not, it is remembered as new; if so, it must
    /// be [put aside](Self::put_aside).
    pub(super) fn may_know(&mut self, hash: u128) -> Result<bool> {
        let place = hash as u64 % self.filter.len() as u64;
        let block = &mut self.filter[place as usize];
        let mut places = (hash >> 64) as u64;
        let mut known = true;
        for _ in 0..BITS {
            let place = (places % 512) as usize;
            places = places.rotate_right(9).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let bit = 1 << (place % 64);
            known &= block[place / 64] & bit != 0;
            block[place / 64] |= bit;
        }
        if !known {
            self.new
                .push(partition(hash), &hash.to_le_bytes(), &self.folder)
                .map_err(|source| failed(&self.folder, source))?;
        }
        Ok(known)
    }

    /// Remembers a line that may have stood before.
    pub(super) fn put_aside(&mut self, suspect: &Suspect) -> Result<()> {
        self.suspects
            .push(partition(suspect.hash), &suspect.to_bytes(), &self.folder)
            .map_err(|source| failed(&self.folder, source))
    }

    /// The suspects that stood before indeed, in the order of the lines.
    pub(super) fn into_duplicates(mut self) -> Result<Vec<Suspect>> {
        let mut duplicates = Vec::new();
        for partition in 0..PARTITIONS {
            self.find_duplicates(partition, &mut duplicates)
                .map_err(|source| failed(&self.folder, source))?;
        }
        duplicates.sort_unstable_by_key(|suspect| (suspect.file, suspect.line));
        Ok(duplicates)
    }

    fn find_duplicates(
        &mut self,
        partition: usize,
        duplicates: &mut Vec<Suspect>,
    ) -> io::Result<()> {
        let bytes = self.suspects.take(partition)?;
        let suspects = bytes.as_chunks::<{ Suspect::BYTES }>().0.iter().map(Suspect::from_bytes);
        let mut suspects: Vec<Suspect> = suspects.collect();
        if suspects.is_empty() {
            return Ok(());
        }
        let suspected: FastSet<u128> = suspects.iter().map(|suspect| suspect.hash).collect();
        let bytes = self.new.take(partition)?;
        let new = bytes.as_chunks::<16>().0.iter().map(|bytes| u128::from_le_bytes(*bytes));
        let new: FastSet<u128> = new.filter(|hash| suspected.contains(hash)).collect();
        // By hash, then by place: of several suspects of one hash, the first may be new.
        suspects.sort_unstable();
        let mut before = None;
        for suspect in suspects {
            let known = before == Some(suspect.hash) || new.contains(&suspect.hash);
            if known {
                duplicates.push(suspect);
            }
            before = Some(suspect.hash);
        }
        Ok(())
    }
}

fn partition(hash: u128) -> usize {
    // Bits that neither choose the block nor the places in it first.
    (hash >> 120) as usize % PARTITIONS
}

fn failed(folder: &Path, source: io::Error) -> Error {
    Error::Write { path: folder.into(), source }
}

/// Records of `N` bytes by partition. Those of a partition go to disk when they become many, to one file for all
/// partitions: systems may let a program open no more than 256.
struct Records<const N: usize> {
    /// The latest of each partition.
    buffers: Vec<Vec<u8>>,
    /// Where the earlier ones of each partition start in the file.
    chunks: Vec<Vec<u64>>,
    spilled: Option<File>,
    written: u64,
}

impl<const N: usize> Records<N> {
    /// Bytes that go to disk at once.
    const CHUNK: usize = BUFFERED.next_multiple_of(N);

    fn new() -> Self {
        Self {
            buffers: vec![Vec::new(); PARTITIONS],
            chunks: vec![Vec::new(); PARTITIONS],
            spilled: None,
            written: 0,
        }
    }

    fn push(&mut self, partition: usize, record: &[u8; N], folder: &Path) -> io::Result<()> {
        let buffer = &mut self.buffers[partition];
        buffer.extend_from_slice(record);
        if buffer.len() < Self::CHUNK {
            return Ok(());
        }
        let file = match &mut self.spilled {
            Some(file) => file,
            None => self.spilled.insert(tempfile::tempfile_in(folder)?),
        };
        file.write_all(buffer)?;
        self.chunks[partition].push(self.written);
        self.written += buffer.len() as u64;
        buffer.clear();
        Ok(())
    }

    /// All records of a partition in their order, which are then no longer here. Nothing is pushed any more.
    fn take(&mut self, partition: usize) -> io::Result<Vec<u8>> {
        let latest = std::mem::take(&mut self.buffers[partition]);
        let Some(file) = &mut self.spilled else { return Ok(latest) };
        let starts = &self.chunks[partition];
        let mut bytes = vec![0; starts.len() * Self::CHUNK];
        for (chunk, start) in bytes.chunks_exact_mut(Self::CHUNK).zip(starts) {
            file.seek(SeekFrom::Start(*start))?;
            file.read_exact(chunk)?;
        }
        bytes.extend(latest);
        Ok(bytes)
    }
}

impl Suspect {
    const BYTES: usize = 40;

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(&self.hash.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.line.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first_row.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.file.to_le_bytes());
        bytes[36..].copy_from_slice(&self.rows.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        fn part<const N: usize>(bytes: &[u8; Suspect::BYTES], from: usize) -> [u8; N] {
            bytes[from..from + N].try_into().expect("N bytes")
        }
        Self {
            hash: u128::from_le_bytes(part(bytes, 0)),
            line: u64::from_le_bytes(part(bytes, 16)),
            first_row: u64::from_le_bytes(part(bytes, 24)),
            file: u32::from_le_bytes(part(bytes, 32)),
            rows: u32::from_le_bytes(part(bytes, 36)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes as lines have them, but few enough partitions that most go to disk.
    fn hash(number: u64) -> u128 {
        super::super::rows::hash(&number.to_le_bytes()) % (1 << 121)
    }

    #[test]
    fn finds_all_but_the_first_of_each_however_small_the_filter() {
        let folder = tempfile::tempdir().unwrap();
        for filter_bytes in [64, 4 << 10, 1 << 20] {
            for copies in [2, 3] {
                let mut fingerprints = Fingerprints::new(folder.path(), filter_bytes);
                let distinct = 6000;
                let mut suspects = 0;
                for place in 0..copies * distinct {
                    let hash = hash(place % distinct);
                    if fingerprints.may_know(hash).unwrap() {
                        let (file, line) = ((place / 100) as u32, place % 100);
                        let suspect = Suspect { hash, file, line, first_row: place, rows: 1 };
                        fingerprints.put_aside(&suspect).unwrap();
                        suspects += 1;
                    }
                }
                assert!(suspects >= (copies - 1) * distinct);
                if filter_bytes == 1 << 20 {
                    assert_eq!(suspects, (copies - 1) * distinct);
                }
                let duplicates = fingerprints.into_duplicates().unwrap();
                let rows: Vec<u64> = duplicates.iter().map(|suspect| suspect.first_row).collect();
                assert_eq!(rows, (distinct..copies * distinct).collect::<Vec<_>>());
            }
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn records_come_back_by_partition_from_one_file() {
        let folder = tempfile::tempdir().unwrap();
        // No multiple of what is buffered.
        let mut records = Records::<24>::new();
        let record = |number: u64| -> [u8; 24] {
            let mut bytes = [0; 24];
            bytes[8..16].copy_from_slice(&number.to_le_bytes());
            bytes
        };
        let partitions = [0, 7, PARTITIONS - 1];
        for number in 0..6000 {
            let partition = partitions[number as usize % 3];
            records.push(partition, &record(number), folder.path()).unwrap();
        }
        // A chunk holds 683 of 2000, and each partition has written two.
        let file = records.spilled.as_ref().unwrap();
        assert_eq!(file.metadata().unwrap().len(), 6 * 683 * 24);
        for (place, partition) in partitions.into_iter().enumerate() {
            let numbers = (0..2000).map(|round| 3 * round + place as u64);
            let expected: Vec<u8> = numbers.flat_map(record).collect();
            assert!(records.take(partition).unwrap() == expected, "{partition}");
        }
        assert!(records.take(1).unwrap().is_empty());
    }

    #[test]
    fn bytes_hold_the_whole_entry() {
        let suspect = Suspect {
            hash: u128::MAX - 5,
            file: 70_000,
            line: u64::MAX - 2,
            first_row: 1 << 40,
            rows: 1 << 20,
        };
        assert_eq!(Suspect::from_bytes(&suspect.to_bytes()), suspect);
    }
}
