//! Whether a model can take some samples.

use nextcart_models::LlamaConfig;
use nextcart_text::Sample;

use crate::config::wrong;
use crate::error::{Error, Result};
use crate::packing::Packing;

/// There must be samples, and the model must know all their tokens.
pub(crate) fn check_samples(samples: &[Sample], config: &LlamaConfig) -> Result<()> {
    if samples.is_empty() {
        return Err(Error::NoSamples);
    }
    for (sample, tokens) in samples.iter().enumerate() {
        let unknown = tokens.ids().iter().position(|&id| id as usize >= config.vocab);
        if let Some(position) = unknown {
            let id = tokens.ids()[position];
            return Err(Error::Token { sample, position, vocab: config.vocab, id });
        }
    }
    Ok(())
}

/// Every sample must fit in a window.
pub(crate) fn check_packing(samples: &[Sample], packing: Packing) -> Result<()> {
    let longest = samples.iter().map(Sample::len).max().unwrap_or(0);
    match packing {
        Packing::Packed { window, .. } if window < longest => {
            let expected = format!("a window of at least {longest} tokens, the longest sample's");
            Err(wrong("packing", &expected, window))
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
        let found = check_samples(&samples, &LlamaConfig::tiny(64));
        assert!(matches!(found, Err(Error::Token { sample: 1, position: 2, vocab: 64, id: 64 })));
        assert!(matches!(check_samples(&[], &LlamaConfig::tiny(64)), Err(Error::NoSamples)));
    }

    #[test]
    fn a_window_shorter_than_a_sample_is_refused() {
        let samples = [Sample::text(&[1, 2]).unwrap(), Sample::text(&[1, 2, 6]).unwrap()];
        let check = |window| check_packing(&samples, Packing::Packed { window, rows: 1 });
        assert!(matches!(check(2), Err(Error::Config { field: "packing", .. })));
        assert!(check(3).is_ok());
        assert!(check_packing(&samples, Packing::None).is_ok());
    }
}
