//! Reading review and metadata files: Amazon 2018 (<https://cseweb.ucsd.edu/~jmcauley/datasets/amazon_v2/>),
//! Amazon 2023 (<https://amazon-reviews-2023.github.io>) and plain sequences of items.
//!
//! | what | form | fields that are read |
//! |---|---|---|
//! | reviews 2018 | JSON lines | `reviewerID`, `asin`, `unixReviewTime`, `overall`, `verified`, `summary`, `reviewText` |
//! | reviews 2023 | JSON lines | `user_id`, `parent_asin`, `timestamp`, `rating`, `verified_purchase`, `title`, `text` |
//! | ratings only | CSV | item, user, rating and time in this order, or in the one that a header names |
//! | sequences | JSON lines | `reviewerID`, `asins`: a user's items, oldest first |
//! | metadata 2018, items | JSON lines | `asin`, `title`, `brand`, `category`, `price`, `also_buy`, `also_view`, `description` |
//! | metadata 2023 | JSON lines | `parent_asin`, `title`, `store`, `categories`, `price`, `bought_together`, `description` |
//!
//! All of them may be plain, gzipped or zstd-compressed, which the first bytes tell and not the name; the
//! format of a JSON line shows in its fields. A line that cannot be used is rejected with a [`Reason`] and
//! never stops the run; a file that cannot be used as a whole is an [`Error`](crate::Error). Names of
//! reviewers are never read.
//!
//! ```
//! use nextcart_data::source::{Reason, Review};
//!
//! let line = r#"{"reviewerID": "A1", "asin": "B1", "overall": 5.0, "verified": true, "unixReviewTime": 1529193600}"#;
//! assert_eq!(Review::parse(line)?.rating, Some(5.0));
//! assert_eq!(Review::parse("{\"asin\": ").unwrap_err().reason, Reason::BrokenJson);
//! # Ok::<(), nextcart_data::source::Fault>(())
//! ```

mod blocks;
mod inputs;
mod metadata;
mod ratings;
mod reject;
mod review;
mod scan;
mod title;
mod value;

pub use blocks::MAX_LINE_BYTES;
pub use metadata::Metadata;
pub use reject::{Fault, Reason, Reject};
pub use review::{Review, ReviewLine};
pub use title::recover_title;

pub(crate) use blocks::{Block, BlockReader, lines};
pub(crate) use inputs::{FileKind, Files, find_files, is_csv, names};
pub(crate) use ratings::RatingColumns;
pub(crate) use reject::RejectLog;
