//! Titles that are not titles: the crawl of 2018 kept pieces of the page's HTML and scripts.

use crate::clean::{clean_text, decode_entities};

/// Marks of scripts and style sheets.
const CODE: [&str; 5] = ["getTime", "function(", "function (", "a-box-inner", "<script"];

/// The cleaned title, or `None` where the field holds page code without one.
///
/// ```
/// use nextcart_data::source::recover_title;
///
/// let html = r#"<span id="productTitle" class="a-size-large">Green Tea &amp; Mint</span>"#;
/// assert_eq!(recover_title(html).as_deref(), Some("Green Tea & Mint"));
/// assert_eq!(recover_title(r#"<span class="a-size-medium a-color-secondary""#), None);
/// ```
#[must_use]
pub fn recover_title(raw: &str) -> Option<String> {
    let decoded = decode_entities(raw);
    let title = match decoded.split_once("productTitle") {
        Some((_, tail)) => {
            let text = tail.split_once('>')?.1;
            clean_text(text.split("</").next().unwrap_or(text))
        }
        None if CODE.iter().any(|mark| decoded.contains(mark)) => return None,
        None => clean_text(raw),
    };
    // ` Magazines" />` is the end of a tag whose start was cut off.
    let is_title = title.chars().any(char::is_alphanumeric)
        && !title.ends_with("/>")
        && !CODE.iter().any(|mark| title.contains(mark));
    is_title.then_some(title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, expected: Option<&str>) {
        assert_eq!(recover_title(raw).as_deref(), expected);
    }

    #[test]
    fn recovers_the_text_of_a_product_title_span() {
        check(
            "<span id=\"productTitle\" class=\"a-size-large\">\n  Oat Bars, 6 ct \n</span>",
            Some("Oat Bars, 6 ct"),
        );
        check("&lt;span id=&quot;productTitle&quot;&gt;Oat Bars&lt;/span&gt;", Some("Oat Bars"));
        check("<span id=\"productTitle\" class=\"a-size", None);
        check("<span id=\"productTitle\"></span>", None);
    }

    #[test]
    fn gives_up_on_code_without_a_title() {
        check("<span class=\"a-size-medium a-color-secondary\"", None);
        check("var aPageStart = (new Date()).getTime();\nvar ue_t0=ue_t0||+new Date();", None);
        check(" Magazines\" />", None);
        check(".a-box-inner{background-color:#fff}", None);
        check("", None);
        check(" -- ", None);
    }

    #[test]
    fn leaves_real_titles_alone() {
        check(" Amazon eGift Card - Hoops &amp; Yoyo", Some("Amazon eGift Card - Hoops & Yoyo"));
        check(
            "Rolling Stone June 19 2014{the Country Issue}",
            Some("Rolling Stone June 19 2014{the Country Issue}"),
        );
        check("<span class=\"x\">Tea</span>", Some("Tea"));
    }
}
