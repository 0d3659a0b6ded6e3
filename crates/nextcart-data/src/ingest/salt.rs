//! Pseudonyms in place of user ids.

use std::fmt;

use sha2::{Digest, Sha256};

/// A secret that turns user ids into pseudonyms: the first 96 bits of SHA-256 over salt and id, in
/// hexadecimal. The same salt gives the same pseudonyms, so that files of several runs fit together.
///
/// Ids of the public data could be guessed one by one, so the salt must stay secret: it is never
/// written, and not shown where a value is printed for debugging.
#[derive(Clone, PartialEq, Eq)]
pub struct Salt(String);

impl Salt {
    /// A salt.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The pseudonym of a user.
    #[must_use]
    pub fn pseudonym(&self, user: &str) -> String {
        // The length keeps salt and id apart.
        let length = (self.0.len() as u64).to_le_bytes();
        let digest =
            Sha256::new().chain_update(length).chain_update(&self.0).chain_update(user).finalize();
        digest[..12].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pseudonyms_depend_on_salt_and_user_and_hide_both() {
        let salt = Salt::new("pepper");
        let name = salt.pseudonym("A1");
        assert_eq!(name, salt.pseudonym("A1"));
        assert_eq!(name.len(), 24);
        assert_ne!(name, salt.pseudonym("A2"));
        assert_ne!(name, Salt::new("other").pseudonym("A1"));
        assert_ne!(Salt::new("ab").pseudonym("c"), Salt::new("a").pseudonym("bc"));
        assert_eq!(format!("{salt:?}"), "Salt(hidden)");
    }
}
