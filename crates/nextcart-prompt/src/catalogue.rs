//! The templates that come with the crate.

/// A built-in template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Builtin {
    /// What [`Template::builtin`](crate::Template::builtin) calls it.
    pub name: &'static str,
    /// Its file, in the format of [`Template::from_file`](crate::Template::from_file): a start for
    /// one of your own.
    pub source: &'static str,
}

impl Builtin {
    /// What it shows and where it comes from.
    #[must_use]
    pub fn about(&self) -> &'static str {
        self.source.lines().next().unwrap_or_default()
    }
}

/// All built-in templates, the default first.
#[must_use]
pub fn catalogue() -> &'static [Builtin] {
    CATALOGUE
}

/// Names and sources, from the files in `templates`.
macro_rules! builtins {
    ($($name:literal),* $(,)?) => {
        &[$(Builtin {
            name: $name,
            source: include_str!(concat!("../templates/", $name, ".jinja")),
        }),*]
    };
}

const CATALOGUE: &[Builtin] = builtins![
    "next_purchase",
    "options_first",
    "numbered",
    "recency",
    "liked_disliked",
    "attributes",
    "reviews",
    "item_relations",
    "same_kind",
    "crowd",
    "paths",
    "profile",
    "retriever_hint",
    "pointwise",
    "pairwise",
    "listwise",
    "history_free",
    "titles_only",
    "seed",
    "seed_free",
    "seed_attributes",
    "seed_descriptions",
];
