//! Reading the Amazon review data of 2018 (<https://cseweb.ucsd.edu/~jmcauley/datasets/amazon_v2/>).
//!
//! Both kinds of file hold one JSON object a line, plain or gzipped (told apart by the first bytes, not
//! by the name). Files are read line by line: memory does not grow with their size, apart from 16 bytes a
//! review to find exact duplicates. A line that cannot be used is rejected with a [`Reason`] and never
//! stops the run; a file that cannot be used as a whole is an [`Error`](crate::Error). Names of reviewers
//! are never read.
//!
//! ```
//! use nextcart_data::amazon::{Reason, Review};
//!
//! let line = r#"{"reviewerID": "A1", "asin": "B1", "overall": 5.0, "verified": true, "unixReviewTime": 1529193600}"#;
//! assert_eq!(Review::parse(line)?.rating, 5.0);
//! assert_eq!(Review::parse("{\"asin\": ").unwrap_err().reason, Reason::BrokenJson);
//! # Ok::<(), nextcart_data::amazon::Fault>(())
//! ```

mod lines;
mod metadata;
mod reject;
mod review;
mod scan;
mod title;
mod value;

pub use lines::{DEFAULT_MAX_LINE_BYTES, Line, LineReader};
pub use metadata::Metadata;
pub use reject::{Fault, Reason, Reject};
pub use review::Review;
pub use title::recover_title;

pub(crate) use reject::RejectLog;
pub(crate) use scan::{check_inputs, scan};
