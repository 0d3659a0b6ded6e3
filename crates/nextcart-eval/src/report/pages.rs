//! The templates of pages and pictures.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value};
use serde::Serialize;

use super::figures;
use crate::error::{Error, Result};

/// Names and sources, from the files in `templates`.
macro_rules! templates {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("templates/", $name)))),*]
    };
}

const TEMPLATES: [(&str, &str); 19] = templates![
    "base.html",
    "macros.html",
    "style.css",
    "chart.css",
    "browser.js",
    "report.html",
    "summary.html",
    "training.html",
    "scores.html",
    "audit.html",
    "slices.html",
    "calibration.html",
    "errors.html",
    "browser.html",
    "chart_loss.html",
    "chart_reliability.html",
    "chart_scatter.html",
    "compare.html",
    "loss.svg",
];

/// Renders a template; every value is escaped for HTML.
pub(crate) fn render(file: &'static str, values: &impl Serialize) -> Result<String> {
    let failed = |source| Error::Page { file, source };
    let mut environment = Environment::new();
    // A style sheet or a script that is included has no values in it.
    environment.set_auto_escape_callback(|name| {
        if name.ends_with(".css") || name.ends_with(".js") {
            AutoEscape::None
        } else {
            AutoEscape::Html
        }
    });
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true);
    environment.set_syntax(syntax.build().map_err(failed)?);
    environment.add_filter("percent", figures::percent);
    environment.add_filter("points", figures::points);
    environment.add_filter("p_value", figures::p_value);
    environment.add_filter("duration", figures::duration);
    environment.add_filter("count", figures::count);
    environment.add_filter("bytes", figures::bytes);
    environment.add_filter("fixed", |value: f64, digits: usize| format!("{value:.digits$}"));
    // A place in a bar from 0 to 100 %.
    environment.add_filter("place", |share: f64| format!("{:.2}%", 100.0 * share));
    environment.add_function("interval", figures::interval);
    for (name, source) in TEMPLATES {
        environment.add_template(name, source).map_err(failed)?;
    }
    environment
        .get_template(file)
        .and_then(|template| template.render(Value::from(Serde(values))))
        .map_err(failed)
}

#[cfg(test)]
mod tests;
