//! What of a template's source is code.

/// What stands between `{{` and `}}` and between `{%` and `%}`, piece by piece; comments are none of it.
pub(crate) fn code(source: &str) -> impl Iterator<Item = &str> {
    let mut rest = source;
    std::iter::from_fn(move || {
        loop {
            let inside = &rest[rest.find('{')? + 1..];
            let end = match inside.chars().next()? {
                '{' => "}}",
                '%' => "%}",
                '#' => "#}",
                _ => {
                    rest = inside;
                    continue;
                }
            };
            let (piece, after) = inside[1..].split_once(end).unwrap_or((&inside[1..], ""));
            rest = after;
            if end != "#}" {
                return Some(piece);
            }
        }
    })
}

/// The names in a piece of code, and what else is made of letters.
pub(crate) fn words(code: &str) -> impl Iterator<Item = &str> {
    let is_inside = |sign: char| sign.is_alphanumeric() || sign == '_';
    code.split(move |sign: char| !is_inside(sign)).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_comments_are_no_code() {
        let pieces = |source| code(source).map(str::trim).collect::<Vec<_>>();
        assert_eq!(
            pieces("a {{ b | c }} d{%- if e %}{# {{ f }} #}{g}{% endif"),
            ["b | c", "- if e", "endif"]
        );
        assert!(pieces("").is_empty() && pieces("{").is_empty() && pieces("{{").eq(&[""]));
        assert!(words("item.bought_next|line (\"x\")").eq(["item", "bought_next", "line", "x"]));
    }
}
