//! The relational work, as plans on a DataFusion `SessionContext`.
//!
//! [`prepare`](crate::prepare) runs these plans on a context of its own, whose joins, sorts and groups
//! continue on disk beyond a memory limit ([`session`]). [`prepare_on`](crate::prepare_on) runs the same
//! plans on a context of the caller's, such as that of a Ballista cluster; it needs [`register`]ed
//! functions and must see the files.
//!
//! | plan | from | to |
//! |---|---|---|
//! | [`classify`] | reviews, items | reviews with the reason why one is no purchase |
//! | [`users`] | classified reviews | one row a user: reviews by reason |
//! | [`purchases`] | classified reviews, users | purchases of users who may have enough |
//! | [`in_order`] | purchases | each user's together, oldest first |
//! | [`core()`] | training purchases | users and items of the k-core |
//! | [`pairs`] | training purchases | how many users bought two items, together or one after the other |
//!
//! What a plan gives is [`store`]d where others need it twice. Sorts of one plan share the memory limit, and the
//! first does not give back what the second lacks, so there are few: the policy on several purchases of one
//! item, which needs no more than one user's rows, is applied as users pass in the order of [`in_order`]. Only
//! joins of two large tables sort, too ([`with_sorted_joins`]), and keep less memory for each of their sorts.

mod bound;
mod classify;
mod kcore;
mod pairs;
mod purchases;
mod session;
mod tie;

pub use classify::{Reason, classify, users};
pub use kcore::{Core, core};
pub use pairs::{PairKind, pairs};
pub use purchases::{in_order, purchases};
pub use session::{read_table, register, session, store, with_sorted_joins};
pub use tie::tie_order;

pub(crate) use bound::bound;
pub(crate) use classify::totals;
