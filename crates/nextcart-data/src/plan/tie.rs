//! The order of purchases at one time, as a function of plans.

use std::sync::Arc;

use arrow::{
    array::{Array, AsArray, UInt64Array},
    compute::cast,
    datatypes::DataType,
};
use datafusion::{
    common::{Result, ScalarValue, exec_err},
    logical_expr::{
        ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    },
    prelude::lit,
};

use crate::seeded::seeded_hash;

/// `nextcart_tie(seed, user, item)`: where an item stands among those that a user bought at one time.
///
/// Most users review several purchases on one day, and the files list these by item. Any order that can
/// be read off the item would let a model predict the "next" of a tie; this hash cannot be.
#[must_use]
pub fn tie_order(seed: u64, user: Expr, item: Expr) -> Expr {
    tie_function().call(vec![lit(seed), user, item])
}

pub(crate) fn tie_function() -> ScalarUDF {
    ScalarUDF::new_from_impl(Tie { signature: Signature::any(3, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Tie {
    signature: Signature,
}

impl ScalarUDFImpl for Tie {
    fn name(&self) -> &'static str {
        "nextcart_tie"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::UInt64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [seed, user, item] = args.args.as_slice() else {
            return exec_err!("nextcart_tie: expected seed, user and item");
        };
        let ColumnarValue::Scalar(ScalarValue::UInt64(Some(seed))) = seed else {
            return exec_err!("nextcart_tie: expected a constant as seed");
        };
        let texts = |value: &ColumnarValue| {
            cast(&value.to_array(args.number_rows)?, &DataType::Utf8View).map_err(Into::into)
        };
        let (users, items): (Result<_>, Result<_>) = (texts(user), texts(item));
        let (users, items) = (users?, items?);
        let (users, items) = (users.as_string_view(), items.as_string_view());
        let hashes =
            (0..users.len()).map(|row| seeded_hash(*seed, &[users.value(row), items.value(row)]));
        Ok(ColumnarValue::Array(Arc::new(UInt64Array::from_iter_values(hashes))))
    }
}
