//! The page for people.

use std::fmt::Write as _;

use nextcart_data::Question;

use crate::audit::{Audit, Verdict};
use crate::evaluation::{Comparison, Evaluation, Prediction};

use super::{BLIND, CHART, METRICS, PREDICTIONS, Report, TUNED, table};

/// How many right and how many wrong answers are shown.
const EXAMPLES: usize = 3;

/// How many purchases of a history are shown, the latest.
const SHOWN_PURCHASES: usize = 6;

/// The whole page. Writing into a `String` cannot fail, hence the ignored results.
pub(super) fn page(
    report: &Report<'_>,
    lift: Option<&Comparison>,
    over_baseline: Option<&Comparison>,
    has_chart: bool,
) -> String {
    let mut page = String::new();
    let title = if report.title.is_empty() { "Next purchase" } else { report.title };
    let _ = writeln!(page, "# {}\n", inline(title));
    for note in report.notes {
        let _ = writeln!(page, "- {}", inline(note));
    }
    if !report.notes.is_empty() {
        page.push('\n');
    }
    summary(&mut page, report, lift, over_baseline);
    scores(&mut page, report);
    if let Some(audit) = report.audit {
        audited(&mut page, audit);
    }
    if has_chart {
        let _ = writeln!(page, "## Training\n\n![Training and validation loss]({CHART})\n");
    }
    if let Some(prompt) = report.prompt {
        let _ = writeln!(page, "## A prompt, as the model sees it\n\n{}\n", fenced(prompt));
    }
    examples(&mut page, report);
    let _ = writeln!(
        page,
        "## Files\n\n- `{METRICS}`: every figure above\n- `{PREDICTIONS}`: every answer of every \
         predictor, with scores and time"
    );
    page
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn summary(
    page: &mut String,
    report: &Report<'_>,
    lift: Option<&Comparison>,
    over_baseline: Option<&Comparison>,
) {
    let _ = writeln!(page, "## Summary\n");
    if let Some(tuned) = report.evaluation(TUNED) {
        let _ = writeln!(
            page,
            "The fine-tuned model picks what the customer bought next in **{}** of {} questions \
             (95 % interval {} to {}).",
            percent(tuned.accuracy),
            tuned.n,
            percent(tuned.low),
            percent(tuned.high)
        );
    }
    if let Some(lift) = lift {
        let surely = if lift.low > 0.0 {
            "so the history helps"
        } else if lift.high < 0.0 {
            "so the history does harm"
        } else {
            "so it is not shown that the history helps at all"
        };
        let _ = writeln!(
            page,
            "Its **lift over the same model without the history is {:+.1} points** (95 % interval \
             {:+.1} to {:+.1}, p = {:.4}), {surely}. This is the figure to quote: whatever the \
             options alone give away is in both scores.",
            100.0 * lift.difference,
            100.0 * lift.low,
            100.0 * lift.high,
            lift.p
        );
    }
    if let Some(over) = over_baseline {
        let _ = writeln!(
            page,
            "Against the best classical baseline, `{}`, it stands at {:+.1} points (95 % interval \
             {:+.1} to {:+.1}, p = {:.4}).",
            over.second,
            100.0 * over.difference,
            100.0 * over.low,
            100.0 * over.high,
            over.p
        );
    }
    if let Some(audit) = report.audit {
        let verdict = match audit.verdict {
            Verdict::Leaks => "**The questions leak**: see the audit before quoting any accuracy.",
            Verdict::Clean => {
                "The audit found that no rule on the options alone is above chance by more than its \
                 margin."
            }
            Verdict::Inconclusive => {
                "The audit found no leak, but the questions are too few to exclude one."
            }
        };
        let _ = writeln!(page, "{verdict}");
    }
    page.push('\n');
}

fn scores(page: &mut String, report: &Report<'_>) {
    let _ = writeln!(page, "## Scores\n");
    let _ = writeln!(page, "| predictor | accuracy | 95 % interval | n |\n|---|--:|--:|--:|");
    for evaluation in report.evaluations {
        let [name, accuracy, interval, n] = table::cells(&evaluation.score());
        let _ = writeln!(page, "| {} | {accuracy} | {interval} | {n} |", inline(&name));
    }
    let _ = writeln!(
        page,
        "\nAccuracy is the share of questions in which the highest-scored candidate is the one \
         that was bought; a tie for the top among k counts 1/k. Intervals are Wilson's and take \
         the questions as independent.\n"
    );
    for evaluation in report.evaluations {
        if let Some(meaning) = meaning(&evaluation.name) {
            let _ = writeln!(page, "- `{}`: {meaning}", evaluation.name);
        }
    }
    page.push('\n');
}

/// What a score says, by the name of its predictor.
fn meaning(name: &str) -> Option<&'static str> {
    Some(match name {
        TUNED => "the language model after fine-tuning, by the likelihood of each option.",
        "base" => "the same model before fine-tuning; the difference is what the tuning adds.",
        BLIND => {
            "the fine-tuned model with the history left out of the prompt; above chance, the \
             options themselves hint at the answer."
        }
        "popularity" => "always the candidate that was bought most often in the training part.",
        "cooccurrence" => {
            "the candidate that training customers bought together with the history's products."
        }
        "text" => "the candidate whose title shares the most telling words with the history.",
        "punctuation_rule" => {
            "the title with the fewest digits and punctuation marks; well above chance, the \
             answers were written in another way than the distractors."
        }
        "chance" => "guessing.",
        "oracle" => {
            "the process that generated the data, which knows every true probability: no model \
             can be better in the long run."
        }
        _ => return None,
    })
}

fn audited(page: &mut String, audit: &Audit) {
    let _ = writeln!(page, "## Audit\n\n{}\n", audit.explain());
    let _ = writeln!(page, "| rule | picks | accuracy | 95 % interval |\n|---|---|--:|--:|");
    for rule in &audit.rules {
        let _ = writeln!(
            page,
            "| {} | {} | {} | {:.1} to {:.1} % |",
            rule.name,
            rule.picks,
            percent(rule.accuracy),
            100.0 * rule.low,
            100.0 * rule.high
        );
    }
    page.push('\n');
}

fn examples(page: &mut String, report: &Report<'_>) {
    let Some(evaluation) = report.evaluation(TUNED).or(report.evaluations.first()) else { return };
    let by_id = |id: &str| report.questions.iter().find(|question| question.id == id);
    let pick = |right: bool| {
        let matching = evaluation.predictions.iter().filter(move |p| (p.hit == 1.0) == right);
        matching.filter_map(|p| by_id(&p.question).map(|question| (p, question))).take(EXAMPLES)
    };
    let shown: Vec<(&Prediction, &Question)> = pick(true).chain(pick(false)).collect();
    if shown.is_empty() {
        return;
    }
    let _ = writeln!(
        page,
        "## Questions\n\nThe first {EXAMPLES} that `{}` got right and the first {EXAMPLES} that \
         it got wrong; no random sample.\n",
        evaluation.name
    );
    for (prediction, question) in shown {
        example(page, evaluation, prediction, question);
    }
}

fn example(page: &mut String, evaluation: &Evaluation, found: &Prediction, question: &Question) {
    let verdict = match found.hit {
        1.0 => "right",
        0.0 => "wrong",
        _ => "tied",
    };
    let _ = writeln!(page, "**{}** ({verdict})\n", inline(&question.id));
    let hidden = question.history.len().saturating_sub(SHOWN_PURCHASES);
    if hidden > 0 {
        let _ = writeln!(page, "- … {hidden} earlier purchases");
    }
    for purchase in &question.history[hidden..] {
        let _ = writeln!(page, "- {}", inline(&purchase.product.title));
    }
    let _ = writeln!(page, "\n| option | score of {} | |\n|---|--:|---|", evaluation.name);
    for (place, (candidate, score)) in question.candidates.iter().zip(&found.scores).enumerate() {
        let mark = match (place == found.answer, place == found.predicted) {
            (true, true) => "bought, predicted",
            (true, false) => "bought",
            (false, true) => "predicted",
            (false, false) => "",
        };
        let _ = writeln!(page, "| {} | {score:.3} | {mark} |", inline(&candidate.title));
    }
    page.push('\n');
}

/// Text that Markdown shows as it is, on one line: a title may hold any character.
fn inline(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => shown.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' | '$' => {
                shown.extend(['\\', c]);
            }
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '&' => shown.push_str("&amp;"),
            _ => shown.push(c),
        }
    }
    shown
}

/// A code block whose fence is longer than any run of backticks in the text.
fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(3.max(longest + 1));
    format!("{fence}text\n{}\n{fence}", text.trim_end_matches('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_title_is_shown_and_not_obeyed() {
        assert_eq!(inline("a|b <b> &amp; `x`\n*y*"), r"a\|b &lt;b&gt; &amp;amp; \`x\` \*y\*");
    }

    #[test]
    fn a_fence_outlasts_the_backticks_of_its_text() {
        assert_eq!(fenced("plain\n"), "```text\nplain\n```");
        assert_eq!(fenced("a ```` b"), "`````text\na ```` b\n`````");
    }

    #[test]
    fn every_agreed_name_has_a_meaning() {
        for name in [
            "fine_tuned",
            "base",
            "history_blind",
            "popularity",
            "cooccurrence",
            "text",
            "punctuation_rule",
            "chance",
            "oracle",
        ] {
            assert!(meaning(name).is_some(), "{name}");
        }
        assert_eq!(meaning("mine"), None);
    }
}
