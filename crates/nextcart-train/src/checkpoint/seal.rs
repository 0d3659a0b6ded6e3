//! A checksum within the text that it is of.

use sha2::{Digest, Sha256};

/// Stands before the checksum, which is the last value of a document.
const KEY: &str = "\"sha256_of_this\": \"";

/// Digits of a SHA-256.
const DIGITS: usize = 64;

/// What a document says where its checksum will be.
pub(super) fn blank() -> String {
    "0".repeat(DIGITS)
}

/// Writes the SHA-256 of a document with a [`blank`] checksum into it.
///
/// # Panics
/// If it has none.
pub(super) fn seal(document: &mut String) {
    let place = place(document.as_bytes()).expect("a document with a blank checksum");
    let digest = hex(document.as_bytes());
    document.replace_range(place..place + DIGITS, &digest);
}

/// Whether a document is as it was sealed; `None` if it has no checksum.
pub(super) fn is_whole(document: &[u8]) -> Option<bool> {
    let place = place(document)?;
    let mut blank_document = document.to_vec();
    blank_document[place..place + DIGITS].fill(b'0');
    Some(document[place..place + DIGITS] == *hex(&blank_document).as_bytes())
}

/// Where the checksum's digits begin.
fn place(document: &[u8]) -> Option<usize> {
    let key = document.windows(KEY.len()).rposition(|bytes| bytes == KEY.as_bytes())?;
    let place = key + KEY.len();
    (place + DIGITS <= document.len()).then_some(place)
}

/// The SHA-256 of bytes, in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_bit_changes_is_noticed() {
        let mut document = format!("{{\n  \"step\": 12,\n  {KEY}{}\"\n}}\n", blank());
        assert_eq!(is_whole(document.as_bytes()), Some(false));
        seal(&mut document);
        assert_eq!(is_whole(document.as_bytes()), Some(true));
        for byte in 0..document.len() {
            for bit in 0..8 {
                let mut changed = document.clone().into_bytes();
                changed[byte] ^= 1 << bit;
                assert_ne!(is_whole(&changed), Some(true), "bit {bit} of byte {byte}");
            }
        }
        for length in 0..document.len() {
            assert_ne!(is_whole(&document.as_bytes()[..length]), Some(true), "{length} bytes");
        }
        assert_eq!(is_whole(b"{}"), None);
    }
}
