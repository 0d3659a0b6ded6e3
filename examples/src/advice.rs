//! An error in one line, with what can be typed about it: libraries name their options, and users type flags.

use std::io::ErrorKind;

use anyhow::Error;

/// Options of nextcart-data, as its errors name them, and the flags by which `prepare` takes them.
const FLAGS: [(&str, &str); 14] = [
    ("candidates", "--candidates"),
    ("k_core", "--k-core"),
    ("max_history", "--max-history"),
    ("memory_bytes", "--memory"),
    ("min_history", "--min-history"),
    ("min_interactions", "--min-interactions"),
    ("min_rating", "--min-rating"),
    ("repeats", "--repeats"),
    ("split", "--split"),
    ("test_from", "--test-from"),
    ("threads", "--threads"),
    ("train_targets_per_user", "--train-targets-per-user"),
    ("validation_from", "--validation-from"),
    ("verified_only", "--unverified"),
];

/// An error and its causes, each said once, for some repeat those behind them; what to do about it is last.
pub(crate) fn told(error: &Error) -> String {
    let mut told: Vec<String> = Vec::new();
    for cause in error.chain().map(ToString::to_string) {
        if told.iter().any(|before| before.contains(&cause)) {
            continue;
        }
        // What has no more than a name to say, such as "model `x`", with which the next one begins.
        let name = told.last().and_then(|before| before.split_once(' '));
        if name.is_some_and(|(_, name)| cause.starts_with(name)) {
            told.pop();
        }
        told.push(cause);
    }
    let told = told.join(": ");
    match advice(error) {
        Some(advice) => format!("{told}; {advice}"),
        None => told,
    }
}

fn advice(error: &Error) -> Option<String> {
    error.chain().find_map(|cause| {
        if let Some(error) = cause.downcast_ref::<nextcart_data::Error>() {
            return about_data(error);
        }
        if let Some(error) = cause.downcast_ref::<nextcart_train::Error>() {
            return about_training(error).map(str::to_owned);
        }
        let error: &nextcart_models::Error = cause.downcast_ref()?;
        let found =
            "without the hub: --model FOLDER (`model.name` for finetune), a folder that holds it";
        error.is_unreachable().then(|| found.to_owned())
    })
}

fn about_data(error: &nextcart_data::Error) -> Option<String> {
    use nextcart_data::Error;
    match error {
        Error::OtherData { .. } => Some(
            "leave --reviews and --meta out to take what is there, or set another `folder` below `[data]`".to_owned(),
        ),
        Error::Json { path, .. } if path.ends_with("manifest.json") => {
            Some("prepare the files again, into another folder".to_owned())
        }
        Error::Read { path, source }
            if path.ends_with("questions.parquet") && source.kind() == ErrorKind::NotFound =>
        {
            Some("`prepare` writes it, last of all but the manifest".to_owned())
        }
        Error::NoQuestions { part, in_part, short, cold, repeated, few, .. } => {
            Some(about_no_questions(part, *in_part, [*short, *cold, *repeated, *few]))
        }
        Error::TooFewUsers { .. }
        | Error::Option { .. }
        | Error::EmptyCore { .. }
        | Error::NoTimes { .. }
        | Error::Memory { .. } => {
            let text = error.to_string();
            let flags = FLAGS.iter().filter(|(name, _)| text.contains(&format!("`{name}`")));
            let flags: Vec<&str> = flags.map(|(_, flag)| *flag).collect();
            (!flags.is_empty()).then(|| format!("flags of `prepare`: {}", flags.join(", ")))
        }
        _ => None,
    }
}

/// What lets a part have a question. What was dropped was counted in all parts, but for training's own targets with too
/// short a history, which are those that nothing else took away; and no item that training asks for is new to it.
fn about_no_questions(
    part: &str,
    purchases: u64,
    [short, cold, repeated, few]: [u64; 4],
) -> String {
    let (short, cold) = match part {
        "train" => (purchases.saturating_sub(repeated + few), 0),
        _ => (short, cold),
    };
    let ways = [
        (cold, "--keep-cold-targets"),
        (repeated, "--repeats"),
        (few, "--candidates"),
        (short, "--min-history"), // also where nothing was counted
    ];
    let flag = match purchases {
        0 => "--split, of which leave_one_out gives each customer's purchases to all parts",
        _ => ways.iter().max_by_key(|(dropped, _)| *dropped).expect("there are four").1,
    };
    format!("flags of `prepare`: {flag}")
}

fn about_training(error: &nextcart_train::Error) -> Option<&'static str> {
    use nextcart_train::Error;
    match error {
        Error::OtherRun { .. } => Some(
            "go on with the settings and files that it began with, or name another folder for this one",
        ),
        Error::Locked { .. } => Some("let that one end, or name another folder for this run"),
        Error::NoSamples => Some("`describe` shows how many questions of each part the data hold"),
        Error::NonFinite { .. } | Error::NonFiniteEvaluation { .. } => Some(
            "lower the learning rate, or drop the samples that `doctor` finds wrong; either makes another run, with a \
             folder of its own",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_training_cannot_go_on_with_ends_with_the_way_out() {
        use nextcart_train::Error;
        let other = Error::OtherRun {
            path: "run/checkpoint-5".into(),
            field: "config.lora.rank".to_owned(),
            expected: "8".to_owned(),
            found: "4".to_owned(),
        };
        let locked = Error::Locked { folder: "run".into() };
        let broken = Error::NonFiniteEvaluation { samples: vec![3], checkpoint: None };
        for (error, way_out) in [
            (other, "in this run; go on with the settings"),
            (locked, "; let that one end"),
            (broken, "[3]; lower the learning rate"),
            (Error::NoSamples, "found none; `describe` shows"),
        ] {
            let told = told(&anyhow::Error::new(error).context("model `x`"));
            assert!(told.contains(way_out), "{told}");
        }
    }

    #[test]
    fn a_part_without_questions_ends_with_the_flag_that_gives_it_some() {
        let told_of = |part, in_part: u64, [short, cold, repeated, few]: [u64; 4]| {
            let (users, interactions, min_history) = (9, 30, 2);
            told(&anyhow::Error::new(nextcart_data::Error::NoQuestions {
                part,
                users,
                interactions,
                in_part,
                min_history,
                short,
                cold,
                repeated,
                few,
            }))
        };
        for (part, in_part, dropped, flag) in [
            ("test", 0, [0; 4], "; flags of `prepare`: --split, of which leave_one_out"),
            ("test", 7, [4, 1, 1, 1], "; flags of `prepare`: --min-history"),
            ("test", 7, [1, 4, 1, 1], "--keep-cold-targets"),
            ("test", 7, [1, 1, 4, 1], "--repeats"),
            ("test", 7, [1, 1, 1, 4], "--candidates"),
            ("train", 200, [0; 4], "--min-history"),
            ("train", 200, [0, 90, 0, 0], "--min-history"),
            ("train", 7, [0, 0, 7, 0], "--repeats"),
        ] {
            let told = told_of(part, in_part, dropped);
            assert!(told.contains(flag), "{told}");
        }
    }
}
