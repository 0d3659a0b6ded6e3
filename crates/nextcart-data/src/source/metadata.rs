//! A row of a metadata file, Amazon 2018 or 2023.

use serde::Deserialize;

use super::{
    Fault, Reason,
    scan::{Fields, Slot},
    value::{Unread, Value, parse_object},
};
use crate::{TextCleaning, clean::clean_text};

/// What this crate reads of a catalogue row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metadata {
    /// 2018: `asin`; 2023: `parent_asin`.
    pub item: String,
    /// Cleaned `title`; `None` where the field is absent, blank or page code.
    pub title: Option<String>,
    /// Cleaned brand. 2018: `brand`; 2023: `store`.
    pub brand: Option<String>,
    /// Cleaned category path from the root (2018: `category`; 2023: `categories`; of the several paths in `categories` of
    /// 2014, the first), or else the main category (`main_cat`, `main_category`).
    pub category: Vec<String>,
    /// `price` in US dollars; `None` for ranges and page code.
    pub price: Option<f64>,
    /// Items that buyers of this one also bought, at the undated time of the crawl. 2018: `also_buy`;
    /// 2023: `bought_together`.
    pub also_buy: Vec<String>,
    /// Items that viewers of this one also viewed, at the undated time of the crawl. 2018: `also_view`.
    pub also_view: Vec<String>,
    /// Cleaned `description`, its paragraphs joined; read on request.
    pub description: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
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
    #[serde(borrow, default)]
    description: Option<Unread<'a>>,
    // Of 2023.
    #[serde(borrow, default)]
    parent_asin: Value<'a>,
    #[serde(borrow, default)]
    store: Value<'a>,
    #[serde(borrow, default)]
    categories: Value<'a>,
    #[serde(borrow, default)]
    main_category: Value<'a>,
    #[serde(borrow, default)]
    bought_together: Value<'a>,
    // No fields of metadata: they tell a review that strayed in.
    #[serde(borrow, default, rename = "reviewerID")]
    reviewer_id: Value<'a>,
    #[serde(borrow, default)]
    user_id: Value<'a>,
}

impl<'a> Fields<'a> for Raw<'a> {
    fn slot<'s>(&'s mut self, name: &str) -> Slot<'s, 'a> {
        match name {
            "asin" => Slot::Value(&mut self.asin),
            "title" => Slot::Value(&mut self.title),
            "brand" => Slot::Value(&mut self.brand),
            "category" => Slot::Value(&mut self.category),
            "main_cat" => Slot::Value(&mut self.main_cat),
            "price" => Slot::Value(&mut self.price),
            "also_buy" => Slot::Value(&mut self.also_buy),
            "also_view" => Slot::Value(&mut self.also_view),
            "description" => Slot::Unread(&mut self.description),
            "parent_asin" => Slot::Value(&mut self.parent_asin),
            "store" => Slot::Value(&mut self.store),
            "categories" => Slot::Value(&mut self.categories),
            "main_category" => Slot::Value(&mut self.main_category),
            "bought_together" => Slot::Value(&mut self.bought_together),
            "reviewerID" => Slot::Value(&mut self.reviewer_id),
            "user_id" => Slot::Value(&mut self.user_id),
            _ => Slot::Nowhere,
        }
    }
}

impl Metadata {
    /// Parses one line with the default cleaning. Only the item's id is required; junk in other fields
    /// leaves them empty.
    ///
    /// # Errors
    /// If the line is no object with an `asin` or `parent_asin`, or is a review.
    pub fn parse(line: &str) -> Result<Self, Fault> {
        Self::parse_with(line, TextCleaning::default(), false)
    }

    /// As [`Metadata::parse`], with a cleaning of the caller's choice, and with the description if asked.
    ///
    /// # Errors
    /// As [`Metadata::parse`].
    pub fn parse_with(
        line: &str,
        cleaning: TextCleaning,
        with_description: bool,
    ) -> Result<Self, Fault> {
        let raw: Raw<'_> = parse_object(line)?;
        for (field, value) in [("reviewerID", &raw.reviewer_id), ("user_id", &raw.user_id)] {
            if value.is_present() {
                let detail = format!("a review (it has `{field}`)");
                return Err(Fault::new(Reason::WrongKind, detail));
            }
        }
        let item = if raw.parent_asin.is_present() {
            raw.parent_asin.into_id("parent_asin")?
        } else {
            raw.asin.into_id("asin")?
        };
        let brand = raw.brand.into_text().or_else(|| raw.store.into_text());
        let also_buy = if raw.also_buy.is_present() { raw.also_buy } else { raw.bought_together };
        Ok(Self {
            item: item.into_owned(),
            title: raw.title.into_text().and_then(|title| cleaning.title(&title)),
            brand: brand.and_then(|brand| clean_brand(&brand)),
            category: category([raw.category, raw.categories, raw.main_cat, raw.main_category]),
            price: parse_price(raw.price),
            also_buy: ids(also_buy),
            also_view: ids(raw.also_view),
            description: raw.description.filter(|_| with_description).and_then(description),
        })
    }
}

/// The first of these fields that holds any name.
fn category(fields: [Value<'_>; 4]) -> Vec<String> {
    let names = |field: Value<'_>| -> Vec<String> {
        let names = field.into_texts().into_iter().map(|name| clean_text(&name));
        names.filter(|name| !name.is_empty()).collect()
    };
    fields.into_iter().map(names).find(|names| !names.is_empty()).unwrap_or_default()
}

fn description(unread: Unread<'_>) -> Option<String> {
    let text = clean_text(&unread.read()?.into_texts().join(" "));
    (!text.is_empty()).then_some(text)
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
    use crate::source::scan::tests::{is_scanned, variants};

    fn parse(fields: &str) -> Metadata {
        Metadata::parse(&format!("{{\"asin\": \"B1\", {fields}}}")).unwrap()
    }

    #[track_caller]
    fn check_price(price: &str, expected: Option<f64>) {
        assert_eq!(parse(&format!("\"price\": {price}")).price, expected);
    }

    #[test]
    fn a_scan_finds_what_the_parser_finds() {
        let line = r#"{"asin": "B1", "title": "Tea \u2605", "category": ["a", "b"], "price": "$1", "also_buy": [], "description": ["x", {"y": [1]}], "rank": 5}"#;
        assert!(is_scanned::<Raw<'_>>(line));
        let scanned = variants(line).iter().filter(|line| is_scanned::<Raw<'_>>(line)).count();
        assert!(scanned > 500, "{scanned}");
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
    fn takes_the_first_of_several_category_paths() {
        for (categories, expected) in [
            (r#"[["Grocery", "Tea &amp; Coffee"], ["Gifts"]]"#, &["Grocery", "Tea & Coffee"][..]),
            (r#"[[], ["Gifts", ""]]"#, &["Gifts"][..]),
            (r#"["Grocery", ["Gifts"]]"#, &["Grocery"][..]),
            ("[[]]", &["Food"][..]),
        ] {
            let row = parse(&format!(r#""categories": {categories}, "main_cat": "Food""#));
            assert_eq!(row.category, expected, "{categories}");
        }
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
    fn reads_a_row_of_2023() {
        let line = r#"{"main_category": "All Beauty", "title": "Howard LC0008 Leather Conditioner",
            "average_rating": 4.8, "rating_number": 10, "features": [], "description": ["One.", "Two &amp; three."],
            "price": "from 14.99", "images": [{"thumb": "x"}], "videos": [], "store": "Howard Products",
            "categories": [], "details": {"Brand": "H"}, "parent_asin": "B01", "bought_together": null}"#;
        let row = Metadata::parse_with(line, TextCleaning::default(), true).unwrap();
        let expected = Metadata {
            item: "B01".into(),
            title: Some("Howard LC0008 Leather Conditioner".into()),
            brand: Some("Howard Products".into()),
            category: vec!["All Beauty".into()],
            description: Some("One. Two & three.".into()),
            ..Metadata::default()
        };
        assert_eq!(row, expected);
        let line = line.replace("\"categories\": []", "\"categories\": [\"Beauty\", \"Skin\"]");
        let line = line.replace("\"from 14.99\"", "14.99");
        let row = Metadata::parse(&line).unwrap();
        assert_eq!((row.category.len(), row.price, row.description), (2, Some(14.99), None));
    }

    #[test]
    fn cleans_titles_as_asked_and_descriptions_of_either_type() {
        let line =
            r#"{"asin": "B1", "title": "Tea&amp;  Mint, 20 Bags", "description": "One<br>line"}"#;
        for (cleaning, title) in [
            (TextCleaning::None, "Tea&amp;  Mint, 20 Bags"),
            (TextCleaning::Entities, "Tea& Mint, 20 Bags"),
            (TextCleaning::Letters, "Bags"),
        ] {
            let row = Metadata::parse_with(line, cleaning, true).unwrap();
            assert_eq!(row.title.as_deref(), Some(title));
            assert_eq!(row.description.as_deref(), Some("One line"));
        }
    }

    #[test]
    fn needs_an_asin_and_refuses_a_review() {
        assert_eq!(
            Metadata::parse("{\"title\": \"Tea\"}").unwrap_err().reason,
            Reason::MissingField
        );
        for review in
            [r#"{"asin": "B1", "reviewerID": "A1"}"#, r#"{"parent_asin": "B1", "user_id": "A1"}"#]
        {
            assert_eq!(Metadata::parse(review).unwrap_err().reason, Reason::WrongKind);
        }
    }
}
