//! Features of a title that say nothing about who would buy the product.

/// ASCII digits and punctuation marks.
pub(crate) fn digits_and_punctuation(title: &str) -> f64 {
    count(title, |c| c.is_ascii_digit() || c.is_ascii_punctuation())
}

/// ASCII digits.
pub(crate) fn digits(title: &str) -> f64 {
    count(title, |c| c.is_ascii_digit())
}

/// ASCII punctuation marks.
pub(crate) fn punctuation(title: &str) -> f64 {
    count(title, |c| c.is_ascii_punctuation())
}

/// Characters of any kind.
pub(crate) fn characters(title: &str) -> f64 {
    count(title, |_| true)
}

/// Words between white space.
pub(crate) fn words(title: &str) -> f64 {
    title.split_whitespace().count() as f64
}

/// Capital letters.
pub(crate) fn capitals(title: &str) -> f64 {
    count(title, char::is_uppercase)
}

/// 1 if the title has letters but no capital, else 0.
pub(crate) fn lower_case(title: &str) -> f64 {
    let lower = title.chars().any(char::is_lowercase) && !title.chars().any(char::is_uppercase);
    f64::from(u8::from(lower))
}

/// 1 if the title holds an HTML entity such as `&amp;` or `&#39;`, else 0.
pub(crate) fn html_entity(title: &str) -> f64 {
    let names_entity = |rest: &str| {
        rest.split_once(';').is_some_and(|(name, _)| {
            let name = name.strip_prefix('#').unwrap_or(name);
            (1..=8).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric())
        })
    };
    f64::from(u8::from(title.split('&').skip(1).any(names_entity)))
}

fn count(title: &str, counts: impl Fn(char) -> bool) -> f64 {
    title.chars().filter(|&c| counts(c)).count() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_what_their_names_say() {
        let title = "M&amp;M's Candy, 12 oz";
        assert_eq!(digits_and_punctuation(title), 6.0);
        assert_eq!((digits(title), punctuation(title)), (2.0, 4.0));
        assert_eq!((characters(title), words(title), capitals(title)), (22.0, 4.0, 3.0));
        assert_eq!((lower_case(title), lower_case("candy 12"), lower_case("12")), (0.0, 1.0, 0.0));
    }

    #[test]
    fn an_ampersand_alone_is_no_entity() {
        for (title, expected) in [
            ("M&amp;M", 1.0),
            ("Men&#39;s", 1.0),
            ("M&M; a sweet", 1.0), // looks like one, and unescaping may well read it so
            ("Salt & Pepper; Mixed", 0.0),
            ("Salt & Pepper", 0.0),
            ("&;", 0.0),
        ] {
            assert_eq!(html_entity(title), expected, "{title}");
        }
    }
}
