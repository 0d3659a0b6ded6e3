//! The page for people.

mod failures;

use std::fmt::Write as _;

use nextcart_data::Question;

use super::audit_rows::AuditSection;
use super::browser::shown_options;
use super::figures::{interval, p_value, percent, points};
use super::findings::{Findings, conclusion};
use super::{BLIND, CHART, HTML, METRICS, PREDICTIONS, Report, TUNED, table};
use crate::evaluation::{Evaluation, Prediction};

/// How many right and how many wrong answers are shown.
const EXAMPLES: usize = 3;

/// How many purchases of a history are shown, the latest.
const SHOWN_PURCHASES: usize = 6;

/// The whole page. Writing into a `String` cannot fail, hence the ignored results.
pub(super) fn page(report: &Report<'_>, findings: &Findings, has_chart: bool) -> String {
    let mut page = String::new();
    let _ = writeln!(page, "# {}\n", inline(report.heading()));
    for note in report.notes {
        let _ = writeln!(page, "- {}", inline(note));
    }
    if !report.notes.is_empty() {
        page.push('\n');
    }
    summary(&mut page, report, findings);
    scores(&mut page, report, findings);
    if let Some(audit) = &findings.audit {
        audited(&mut page, audit);
    }
    if has_chart {
        let _ = writeln!(page, "## Training\n\n![Training and validation loss]({CHART})\n");
    }
    if let Some(prompt) = report.prompt {
        let _ = writeln!(page, "## A prompt, as the model sees it\n\n{}\n", fenced(prompt));
    }
    if let Some(errors) = &findings.errors {
        failures::write(&mut page, errors);
    }
    examples(&mut page, report);
    let _ = writeln!(
        page,
        "## Files\n\n- `{HTML}`: this page with charts and more single answers\n- `{METRICS}`: every figure above\n- `{PREDICTIONS}`: every answer of every \
         predictor, with scores and time"
    );
    page
}

fn summary(page: &mut String, report: &Report<'_>, findings: &Findings) {
    let _ = writeln!(page, "## Summary\n");
    if let Some(tuned) = report.evaluation(TUNED) {
        let _ = writeln!(
            page,
            "The fine-tuned model picks what the customer bought next in **{}** of {} questions \
             (95 % interval {}).",
            percent(tuned.accuracy),
            tuned.n,
            interval(tuned.low, tuned.high)
        );
    }
    if let Some(lift) = &findings.lift {
        let _ = writeln!(
            page,
            "Its **lift over the same model without the history is {} points** (95 % interval \
             {} to {}, {}), {}. This is the figure to quote: whatever the options alone give away is \
             in both scores.",
            points(lift.difference),
            points(lift.low),
            points(lift.high),
            p_value(lift.p),
            conclusion(lift),
        );
    }
    if let Some(over) = &findings.over_baseline {
        let _ = writeln!(
            page,
            "Against the best classical baseline, `{}`, it stands at {} points (95 % interval \
             {} to {}, {}).",
            over.second,
            points(over.difference),
            points(over.low),
            points(over.high),
            p_value(over.p)
        );
    }
    if let Some(AuditSection { verdict, sentence, .. }) = &findings.audit {
        let _ = match *verdict {
            "leaks" => writeln!(page, "**{sentence}**"),
            _ => writeln!(page, "{sentence}"),
        };
    }
    page.push('\n');
}

fn scores(page: &mut String, report: &Report<'_>, findings: &Findings) {
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
    if let Some(certainty) = &findings.certainty {
        let _ = writeln!(page, "{}\n", certainty.sentence);
    }
    for evaluation in report.evaluations {
        if let Some(meaning) = report.meaning(&evaluation.name) {
            let _ = writeln!(page, "- `{}`: {meaning}", evaluation.name);
        }
    }
    for evaluation in report.written() {
        let (name, valid) = (inline(&evaluation.name), percent(evaluation.valid_ratio()));
        let _ = writeln!(
            page,
            "- {valid} of what {name} wrote is one of the options; the rest is wrong."
        );
    }
    page.push('\n');
}

/// What a score says, by the name of its predictor.
pub(super) fn meaning(name: &str) -> Option<&'static str> {
    Some(match name {
        TUNED => "the language model after fine-tuning.",
        "base" => "the same model before fine-tuning; the difference is what the tuning adds.",
        BLIND => {
            "the fine-tuned model with the history left out of the prompt; above chance, the \
             options themselves hint at the answer."
        }
        "popularity" => "always the candidate that was bought most often in the training part.",
        "cooccurrence" => {
            "the candidate that training customers bought together with the history's products."
        }
        "recent_popularity" => {
            "the candidate that was bought most often of late in the training part."
        }
        "item_knn" => {
            "the candidate with the most similar buyers to those of the history's products."
        }
        "markov" => "the candidate that followed the last purchase most often in training.",
        "bm25" => "the candidate whose title BM25 finds closest to those of the history.",
        "tfidf" => "the candidate whose title is closest to those of the history by TF-IDF.",
        "knn_text" => "item_knn and tfidf added up, their weights chosen on validation questions.",
        "stack" => {
            "item_knn, tfidf, markov, popularity and recent_popularity added up, their weights chosen on validation \
             questions."
        }
        "sasrec" => "a self-attentive sequence model of item ids, trained on the training part.",
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

fn audited(page: &mut String, audit: &AuditSection) {
    let _ = writeln!(page, "## Audit\n\n{}\n", audit.explanation);
    let _ =
        writeln!(page, "| rule | picks | accuracy | 95 % interval | n |\n|---|---|--:|--:|--:|");
    for row in &audit.rows {
        let _ = writeln!(
            page,
            "| {}{} | {} | {} | {} | {} |",
            inline(&row.name),
            if row.leaks { " (leaks)" } else { "" },
            inline(&row.picks),
            percent(row.accuracy),
            interval(row.low, row.high),
            row.n
        );
    }
    page.push('\n');
}

fn examples(page: &mut String, report: &Report<'_>) {
    let Some(evaluation) = report.main() else { return };
    let by_id = |id: &str| report.questions.iter().find(|question| question.id == id);
    let pick = |right: bool| {
        let matching = evaluation.predictions.iter().filter(move |p| p.is_right() == right);
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
    let name = inline(&evaluation.name);
    let _ = writeln!(page, "\n| option | score of {name} | |\n|---|--:|---|");
    let shown = shown_options(found);
    for &place in &shown {
        let (candidate, score) = (&question.candidates[place], found.scores[place]);
        let mark = match (place == found.answer, found.valid && place == found.predicted) {
            (true, true) => "bought, predicted",
            (true, false) => "bought",
            (false, true) => "predicted",
            (false, false) => "",
        };
        let _ = writeln!(page, "| {} | {score:.3} | {mark} |", inline(&candidate.title));
    }
    if let Some(text) = &found.text {
        let _ = writeln!(page, "\n{name} wrote: {}", inline(text));
    }
    let further = found.scores.len() - shown.len();
    if further > 0 {
        let _ = writeln!(page, "\nand {further} further options");
    }
    page.push('\n');
}

/// Text that Markdown shows as it is, on one line: a title may hold any character.
pub(crate) fn inline(text: &str) -> String {
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
    use super::super::BASELINES;
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
        let others =
            ["fine_tuned", "base", "history_blind", "punctuation_rule", "chance", "oracle"];
        for name in BASELINES.into_iter().chain(others) {
            assert!(meaning(name).is_some(), "{name}");
        }
        assert_eq!(meaning("mine"), None);
    }
}
