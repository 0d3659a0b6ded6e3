//! Whether a model can take some samples.

use nextcart_models::LlamaConfig;
use nextcart_text::{Choice, Sample};

use crate::config::wrong;
use crate::error::{Error, Result};
use crate::packing::Packing;

/// Samples that a run trains on.
pub(crate) const TRAINING: &str = "training";

/// Samples that a run is evaluated on.
pub(crate) const HELD_OUT: &str = "held-out";

/// Samples that a caller has evaluated.
pub(crate) const GIVEN: &str = "given";

/// There must be samples, of which all or none are contrasts, and the model must know all their tokens.
pub(crate) fn check_samples(
    samples: &[Sample],
    config: &LlamaConfig,
    list: &'static str,
) -> Result<()> {
    match samples.is_empty() {
        true => Err(Error::NoSamples),
        false => check_list(samples, config, list),
    }
}

/// The same of a list that may be empty.
pub(crate) fn check_list(
    samples: &[Sample],
    config: &LlamaConfig,
    list: &'static str,
) -> Result<()> {
    let contrasts = samples.iter().filter(|sample| sample.as_contrast().is_some()).count();
    if contrasts > 0 && contrasts < samples.len() {
        return Err(Error::Mixed { list, contrasts, samples: samples.len() });
    }
    let vocab = config.vocab;
    for (sample, tokens) in samples.iter().enumerate() {
        let unknown = tokens.ids().iter().position(|&id| id as usize >= vocab);
        if let Some(position) = unknown {
            let id = tokens.ids()[position];
            let of_option =
                |choice: &Choice| choice.options().position(|option| option.contains(&position));
            let option = tokens.as_choice().and_then(of_option);
            return Err(Error::Token { list, sample, option, position, vocab, id });
        }
    }
    Ok(())
}

/// Every sample must fit in a window.
pub(crate) fn check_packing(samples: &[Sample], packing: Packing) -> Result<()> {
    let longest = samples.iter().map(Sample::len).max().unwrap_or(0);
    let contrasts = samples.iter().any(|sample| sample.as_contrast().is_some());
    match packing {
        Packing::Packed { window, .. } if contrasts => {
            let expected = "none, as contrasts have rows of their own";
            Err(wrong("training", "packing", expected, format!("windows of {window} tokens")))
        }
        Packing::Packed { window, .. } if window < longest => {
            let expected = format!("a window of at least {longest} tokens, the longest sample's");
            Err(wrong("training", "packing", &expected, window))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_outside_the_vocabulary_is_named() {
        let samples = [Sample::text(&[1, 2]).unwrap(), Sample::text(&[1, 2, 64]).unwrap()];
        let llama = LlamaConfig::tiny(64);
        let text =
            |samples: &[Sample]| check_samples(samples, &llama, HELD_OUT).unwrap_err().to_string();
        let expected = "held-out sample 1, token 2: expected an id below 64, found 64";
        assert_eq!(text(&samples), expected);
        let choice = [Sample::choice(&[1, 2], &[&[3], &[4, 70]], 0).unwrap()];
        let expected = "held-out sample 0, option 1, token 4: expected an id below 64, found 70";
        assert_eq!(text(&choice), expected);
        assert!(matches!(check_samples(&[], &llama, TRAINING), Err(Error::NoSamples)));
        assert!(check_list(&[], &llama, HELD_OUT).is_ok());
    }

    #[test]
    fn a_window_shorter_than_a_sample_is_refused() {
        let samples = [Sample::text(&[1, 2]).unwrap(), Sample::text(&[1, 2, 6]).unwrap()];
        let check = |window| check_packing(&samples, Packing::Packed { window, rows: 1 });
        assert!(matches!(check(2), Err(Error::Config { field: "packing", .. })));
        assert!(check(3).is_ok());
        assert!(check_packing(&samples, Packing::None).is_ok());
    }

    #[test]
    fn contrasts_are_alone_and_not_packed() {
        let texts: [&[u32]; 2] = [&[1, 2], &[1, 3]];
        let contrast = Sample::contrast(&texts, &[&[0, 1]], Default::default()).unwrap();
        let mixed = [Sample::text(&[1, 2]).unwrap(), contrast];
        let llama = LlamaConfig::tiny(64);
        let found = check_samples(&mixed, &llama, TRAINING).unwrap_err().to_string();
        assert_eq!(found, "training samples: expected contrasts alone or none, found 1 among 2");
        assert!(check_samples(&mixed[1..], &llama, TRAINING).is_ok());
        assert!(check_packing(&mixed[1..], Packing::Packed { window: 9, rows: 1 }).is_err());
    }
}
