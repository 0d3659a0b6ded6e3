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
    /// What it shows and where it comes from, in a sentence.
    #[must_use]
    pub fn about(&self) -> &'static str {
        self.source.split("\n--- ").next().unwrap_or_default()
    }
}

/// All built-in templates, the default first.
#[must_use]
pub fn catalogue() -> &'static [Builtin] {
    &CATALOGUE
}

const CATALOGUE: [Builtin; 6] = [
    Builtin { name: "next_purchase", source: include_str!("../templates/next_purchase.jinja") },
    Builtin { name: "options_first", source: include_str!("../templates/options_first.jinja") },
    Builtin { name: "history_free", source: include_str!("../templates/history_free.jinja") },
    Builtin { name: "titles_only", source: include_str!("../templates/titles_only.jinja") },
    Builtin { name: "attributes", source: include_str!("../templates/attributes.jinja") },
    Builtin { name: "seed", source: include_str!("../templates/seed.jinja") },
];
