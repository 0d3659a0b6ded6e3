//! A row of a metadata file.

use serde::Deserialize;

use super::{
    Fault, Reason,
    title::recover_title,
    value::{Value, parse_object},
};
use crate::clean::clean_text;

/// What this crate reads of a catalogue row.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    /// `asin`.
    pub item: String,
    /// Cleaned `title`; `None` where the field is absent, blank or page code.
    pub title: Option<String>,
    /// Cleaned `brand`.
    pub brand: Option<String>,
    /// Cleaned `category` path from the root, or else `main_cat`.
    pub category: Vec<String>,
    /// `price` in US dollars; `None` for ranges and page code.
    pub price: Option<f64>,
    /// Items that buyers of this one also bought, at the undated time of the crawl.
    pub also_buy: Vec<String>,
    /// Items that viewers of this one also viewed, at the undated time of the crawl.
    pub also_view: Vec<String>,
}

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow, default)]
    asin: Value<'a>,
    #[serde(borrow, default)]
    title: Value<'a>,
    #[serde(borrow, default)]
    brand: Value<'a>,
    #[serde(borrow, default)]
    category: Value<'a>,
    #[serde(borrow, default)]
    main_cat: Value<'a>,
    #[serde(borrow, default)]
    price: Value<'a>,
    #[serde(borrow, default)]
    also_buy: Value<'a>,
    #[serde(borrow, default)]
    also_view: Value<'a>,
    // No field of metadata: it tells a review that strayed in.
    #[serde(borrow, default, rename = "reviewerID")]
    reviewer_id: Value<'a>,
}

impl Metadata {
    /// Parses one line. Only the `asin` is required; junk in other fields leaves them empty.
    ///
    /// # Errors
    /// If the line is no object with an `asin`, or is a review.
    pub fn parse(line: &str) -> Result<Self, Fault> {
        let raw: Raw<'_> = parse_object(line)?;
        if raw.reviewer_id.is_present() {
            return Err(Fault::new(Reason::WrongKind, "a review (it has `reviewerID`)"));
        }
        let mut category: Vec<String> = raw
            .category
            .into_texts()
            .iter()
            .map(|name| clean_text(name))
            .filter(|name| !name.is_empty())
            .collect();
        if category.is_empty() {
            category.extend(
                raw.main_cat
                    .into_text()
                    .map(|name| clean_text(&name))
                    .filter(|name| !name.is_empty()),
            );
        }
        Ok(Self {
            item: raw.asin.into_id("asin")?,
            title: raw.title.into_text().and_then(|title| recover_title(&title)),
            brand: raw.brand.into_text().and_then(|brand| clean_brand(&brand)),
            category,
            price: parse_price(raw.price),
            also_buy: ids(raw.also_buy),
            also_view: ids(raw.also_view),
        })
    }
}

fn ids(value: Value<'_>) -> Vec<String> {
    let texts = value.into_texts().into_iter();
    texts.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()).collect()
}

/// Some pages print `by`, a line feed and the brand.
fn clean_brand(raw: &str) -> Option<String> {
    let raw = raw.trim();
    let brand = raw.strip_prefix("by").filter(|rest| rest.starts_with(['\n', '\r'])).unwrap_or(raw);
    let brand = clean_text(brand);
    (!brand.is_empty() && !brand.contains("a-box-inner")).then_some(brand)
}

fn parse_price(value: Value<'_>) -> Option<f64> {
    let price = match value {
        Value::Integer(price) => price as f64,
        Value::Float(price) => price,
        Value::Text(text) => {
            let digits = text.trim().trim_start_matches('$').replace(',', "");
            // The parser would also take "inf", "nan" and "1e9".
            if !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
                return None;
            }
            digits.parse().ok()?
        }
        _ => return None,
    };
    (price.is_finite() && price >= 0.0).then_some(price)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(fields: &str) -> Metadata {
        Metadata::parse(&format!("{{\"asin\": \"B1\", {fields}}}")).unwrap()
    }

    #[track_caller]
    fn check_price(price: &str, expected: Option<f64>) {
        assert_eq!(parse(&format!("\"price\": {price}")).price, expected);
    }

    #[test]
    fn reads_prices_and_nothing_else_as_prices() {
        check_price("\"$1,250.00\"", Some(1250.0));
        check_price("\"7.14\"", Some(7.14));
        check_price("3", Some(3.0));
        check_price("-3", None);
        check_price("\"$5.99 - $10.99\"", None);
        check_price("\".a-box-inner{background-color:#fff}\"", None);
        check_price("\"\\n\\n\\n<script\"", None);
        check_price("\"inf\"", None);
        check_price("\"1.2.3\"", None);
        check_price("\"\"", None);
        check_price("[]", None);
    }

    #[test]
    fn tolerates_text_and_lists_alike() {
        let text = parse(
            r#""rank": "1,786 in Gift Cards (", "description": "d", "feature": "f", "category": "Tea", "also_buy": "B2""#,
        );
        assert_eq!((text.category, text.also_buy), (vec!["Tea".to_owned()], vec!["B2".to_owned()]));
        let list = parse(
            r#""rank": [">#2"], "description": ["d"], "feature": [], "category": ["Tea &amp; Coffee", "", "Green"], "also_buy": ["B2", 3, "B4"], "title": ["Tea"]"#,
        );
        assert_eq!(list.category, ["Tea & Coffee", "Green"]);
        assert_eq!(list.also_buy, ["B2", "B4"]);
        assert_eq!(list.title.as_deref(), Some("Tea"));
    }

    #[test]
    fn keeps_a_row_without_a_title_as_untitled() {
        assert_eq!(parse(r#""title": null"#).title, None);
        assert_eq!(
            parse(r#""title": "<span class=\"a-size-medium a-color-secondary\"""#).title,
            None
        );
    }

    #[test]
    fn cleans_brands_and_falls_back_on_the_main_category() {
        let row =
            parse(r#""brand": "by\n    \n    F&amp;W", "category": [], "main_cat": "Grocery""#);
        assert_eq!(row.brand.as_deref(), Some("F&W"));
        assert_eq!(row.category, ["Grocery"]);
        assert_eq!(parse(r#""brand": "byond""#).brand.as_deref(), Some("byond"));
        assert_eq!(parse(r#""brand": """#).brand, None);
    }

    #[test]
    fn needs_an_asin_and_refuses_a_review() {
        assert_eq!(
            Metadata::parse("{\"title\": \"Tea\"}").unwrap_err().reason,
            Reason::MissingField
        );
        let review = r#"{"asin": "B1", "reviewerID": "A1"}"#;
        assert_eq!(Metadata::parse(review).unwrap_err().reason, Reason::WrongKind);
    }
}
