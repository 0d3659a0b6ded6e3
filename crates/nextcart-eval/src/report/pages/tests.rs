//! Templates: colours that can be read, nothing from elsewhere, and text that stays text.

use super::*;

/// Relative luminance of `#rrggbb`, after WCAG 2.2.
fn luminance(colour: &str) -> f64 {
    let channel = |at: usize| {
        let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

fn contrast(a: &str, b: &str) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// The value of `--name` in a block of the style sheet.
fn variable<'a>(block: &'a str, name: &str) -> &'a str {
    let (_, rest) = block.split_once(&format!("--{name}: ")).unwrap_or_else(|| panic!("--{name}"));
    &rest[..7]
}

#[test]
fn text_can_be_read_on_its_ground_in_light_and_dark() {
    let sheet = include_str!("../templates/chart.css");
    let (light, dark) = sheet.split_once("prefers-color-scheme: dark").unwrap();
    for (theme, block) in [("light", light), ("dark", dark)] {
        for ground in ["ground", "raised"] {
            for ink in ["ink", "faint-ink", "accent", "second", "good", "bad"] {
                let found = contrast(variable(block, ink), variable(block, ground));
                assert!(found >= 4.5, "{theme}: {ink} on {ground}: {found:.2}");
            }
        }
    }
    assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 1e-9);
}

#[test]
fn every_template_is_used_and_none_asks_for_anything_from_elsewhere() {
    for (name, source) in TEMPLATES {
        let lower = source.to_lowercase().replace("http://www.w3.org/2000/svg", "");
        for outside in ["http:", "https:", "//cdn", "@import", "src=", "fetch(", "url("] {
            assert!(!lower.contains(outside), "{name}: {outside}");
        }
        let used = TEMPLATES.iter().any(|(_, other)| other.contains(&format!("\"{name}\"")));
        assert!(used || ["report.html", "compare.html", "loss.svg"].contains(&name), "{name}");
    }
}

#[test]
fn a_value_cannot_become_markup() {
    #[derive(Serialize)]
    struct Values {
        loss: Hostile,
    }
    #[derive(Default, Serialize)]
    struct Hostile {
        summary: &'static str,
        raw: &'static str,
        height: f64,
        left: f64,
        right: f64,
        top: f64,
        bottom: f64,
    }
    let summary = "<script>alert(1)</script>\"'";
    let hostile = Hostile { summary, raw: "\"><script>", ..Hostile::default() };
    let svg = render("loss.svg", &Values { loss: hostile }).unwrap();
    assert!(!svg.contains("<script"), "{svg}");
    assert!(svg.contains("&lt;script&gt;"), "{svg}");
}
