//! Which titles say the same.

/// Equal for titles that nobody can tell apart: upper and lower case are alike, and so are white space and a colon at the
/// end, which prompts do not show.
///
/// ```
/// use nextcart_data::title_key;
///
/// assert_eq!(title_key("Green  Tea:"), title_key("green tea"));
/// assert_ne!(title_key("Green Tea"), title_key("Green Teas"));
/// ```
#[must_use]
pub fn title_key(title: &str) -> String {
    let words: Vec<&str> = title.split_whitespace().collect();
    let mut key = words.join(" ").to_lowercase();
    key.truncate(key.trim_end_matches([':', ' ']).len());
    key
}
