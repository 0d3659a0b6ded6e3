//! Which modules get an adapter.

use regex::Regex;
use serde::{Deserialize, Serialize};

/// What PEFT calls every linear layer but the head.
const ALL_LINEAR: &str = "all-linear";

/// The head, which "all linear layers" leaves out, as in PEFT.
const HEAD: &str = "lm_head";

/// Which modules get an adapter, by their dotted paths, as PEFT's `target_modules` says it: a list of names, a
/// pattern, or `"all-linear"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum TargetModules {
    /// Those whose path is one of these or ends with one, whole segments only: `q_proj` and `self_attn.q_proj` both
    /// match `model.layers.0.self_attn.q_proj`.
    Names(Vec<String>),
    /// Those whose whole path matches this regular expression, in the syntax of the crate [`regex`]: Python's
    /// without look-around and back-references.
    Pattern(String),
    /// Every linear layer but the head.
    AllLinear,
}

/// As it stands in a file.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Names(Vec<String>),
    Text(String),
}

impl TargetModules {
    /// The seven projections of a Llama block.
    pub fn llama() -> Self {
        ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"].into()
    }

    /// Whether the module at this dotted path is one of them; none is while a pattern is not valid.
    pub fn contains(&self, path: &str) -> bool {
        match self {
            Self::Names(names) => names.iter().any(|name| ends_with(path, name)),
            Self::Pattern(pattern) => whole(pattern).is_ok_and(|regex| regex.is_match(path)),
            Self::AllLinear => !ends_with(path, HEAD),
        }
    }

    /// Why a pattern is not valid.
    pub(crate) fn fault(&self) -> Option<String> {
        match self {
            Self::Pattern(pattern) => whole(pattern).err().map(|_| format!("`{pattern}`")),
            Self::Names(_) | Self::AllLinear => None,
        }
    }

    /// The names that match none of these dotted paths; a pattern, or `"all-linear"`, if it does not.
    pub(crate) fn unmatched<S: AsRef<str>>(&self, paths: &[S]) -> Vec<String> {
        let any = |matches: &dyn Fn(&str) -> bool| paths.iter().any(|path| matches(path.as_ref()));
        match self {
            Self::Names(names) => names
                .iter()
                .filter(|name| !any(&|path: &str| ends_with(path, name)))
                .cloned()
                .collect(),
            _ if any(&|path: &str| self.contains(path)) => Vec::new(),
            Self::Pattern(pattern) => vec![pattern.clone()],
            Self::AllLinear => vec![ALL_LINEAR.to_owned()],
        }
    }
}

impl<S: Into<String>, const N: usize> From<[S; N]> for TargetModules {
    fn from(names: [S; N]) -> Self {
        Self::Names(names.map(Into::into).into())
    }
}

impl From<Written> for TargetModules {
    fn from(written: Written) -> Self {
        match written {
            Written::Names(names) => Self::Names(names),
            Written::Text(text) if text.eq_ignore_ascii_case(ALL_LINEAR) => Self::AllLinear,
            Written::Text(text) => Self::Pattern(text),
        }
    }
}

impl From<TargetModules> for Written {
    fn from(targets: TargetModules) -> Self {
        match targets {
            TargetModules::Names(names) => Self::Names(names),
            TargetModules::Pattern(pattern) => Self::Text(pattern),
            TargetModules::AllLinear => Self::Text(ALL_LINEAR.to_owned()),
        }
    }
}

/// Whether the path is the name or ends with it, whole segments only.
fn ends_with(path: &str, name: &str) -> bool {
    path.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// A regular expression that matches whole texts alone.
fn whole(pattern: &str) -> Result<Regex, regex::Error> {
    Regex::new(&format!("^(?:{pattern})$"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: &str = "model.layers.10.self_attn.q_proj";

    #[test]
    fn names_match_whole_trailing_segments() {
        let targets = TargetModules::from(["q_proj", "mlp.up_proj"]);
        for (path, expected) in [
            ("q_proj", true),
            (QUERY, true),
            ("model.layers.0.self_attn.xq_proj", false),
            ("model.layers.0.mlp.up_proj", true),
            ("model.layers.0.other.up_proj", false),
            ("q_proj.inner", false),
        ] {
            assert_eq!(targets.contains(path), expected, "{path}");
        }
    }

    #[test]
    fn a_pattern_matches_the_whole_path() {
        let contains = |pattern: &str| TargetModules::Pattern(pattern.into()).contains(QUERY);
        assert!(contains(r".*\.(q|v)_proj"));
        assert!(contains(r"model\.layers\.1\d\..*q_proj"));
        assert!(!contains("q_proj"), "PEFT's fullmatch");
        assert!(!contains(r".*\.q_pro"));
        assert!(!contains("a|model"), "alternatives do not reach the anchors");
        assert!(!contains("("));
    }

    #[test]
    fn what_matches_no_path_is_told() {
        let unmatched = |targets: TargetModules| targets.unmatched(&[QUERY]);
        assert_eq!(unmatched(["q_proj", "query", "lm_head"].into()), ["query", "lm_head"]);
        for (pattern, expected) in
            [(r".*\.q_proj", vec![]), ("q_proj", vec!["q_proj"]), ("(", vec!["("])]
        {
            assert_eq!(unmatched(TargetModules::Pattern(pattern.into())), expected, "{pattern}");
        }
        assert!(unmatched(TargetModules::AllLinear).is_empty());
        assert_eq!(TargetModules::AllLinear.unmatched(&["lm_head"]), ["all-linear"]);
    }

    #[test]
    fn all_linear_leaves_the_head_out() {
        assert!(TargetModules::AllLinear.contains(QUERY));
        assert!(!TargetModules::AllLinear.contains("lm_head"));
    }

    #[test]
    fn files_hold_a_list_a_pattern_or_a_word() {
        for (text, expected) in [
            (r#"["a","b"]"#, TargetModules::from(["a", "b"])),
            (r#""all-linear""#, TargetModules::AllLinear),
            (r#"".*_proj""#, TargetModules::Pattern(".*_proj".into())),
        ] {
            let found: TargetModules = serde_json::from_str(text).unwrap();
            assert_eq!(found, expected);
            assert_eq!(serde_json::to_string(&found).unwrap(), text);
        }
    }
}
