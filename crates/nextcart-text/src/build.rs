//! Questions to samples that fit.

use nextcart_prompt::{Decision, Fields, Form, Layout, Prompt, Template};
use rayon::prelude::*;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::{Sample, Tokenizer, shared_prefix};

/// Turns questions into samples: renders, tokenises, and shortens what is too long.
///
/// Where a prompt exceeds the limit, whole purchases are dropped from its `history`, the oldest first, as
/// few as will do and never the last one. Options and answer are never cut, and what a template tells
/// beside the history, such as a profile, stays as it is. This takes a template whose prompts do not grow
/// when purchases are dropped, which holds for all built-in ones.
#[derive(Debug, Clone)]
pub struct SampleBuilder<'a> {
    tokenizer: &'a Tokenizer,
    template: &'a Template,
    layout: Layout,
    max_tokens: usize,
}

/// A prompt with the tokens that it is trained as.
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    /// The text.
    pub prompt: Prompt,
    /// Its tokens and their mask.
    pub sample: Sample,
    /// Purchases that were dropped to make it fit.
    pub dropped: usize,
}

/// A prompt to predict from and what may be answered to it, in the tokens that training would see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltDecision {
    /// The texts.
    pub decision: Decision,
    /// Tokens that all choices share: the prompt, without a last token that an answer's text is part of.
    pub prompt: Vec<u32>,
    /// The tokens of each choice that follow, the one that ends the turn among them.
    pub answers: Vec<Vec<u32>>,
    /// Purchases that were dropped to make every prompt of the question fit with its longest answer.
    pub dropped: usize,
}

/// One way to read a question: what was made of it, and the tokens of the longest prompt.
type Attempt<T> = (T, usize);

impl<'a> SampleBuilder<'a> {
    /// A builder without a limit.
    #[must_use]
    pub fn new(
        tokenizer: &'a Tokenizer,
        template: &'a Template,
        layout: impl Into<Layout>,
    ) -> Self {
        Self { tokenizer, template, layout: layout.into(), max_tokens: usize::MAX }
    }

    /// Tokens of a sample at most, begin and end of text among them (default: no limit).
    #[must_use]
    pub fn with_max_tokens(mut self, max_tokens: usize) -> Self {
        self.max_tokens = max_tokens;
        self
    }

    /// What the texts are tokenised with.
    #[must_use]
    pub fn tokenizer(&self) -> &'a Tokenizer {
        self.tokenizer
    }

    /// The samples of a question: one, or as many as the template makes of it.
    ///
    /// # Errors
    /// If the question cannot be rendered, does not fit with the latest purchase alone, or has an
    /// answer without tokens.
    pub fn build(&self, question: &impl Serialize) -> Result<Vec<Built>> {
        let fields = Fields::new(question);
        let (built, dropped) = self.fit(&fields, |fields| {
            let prompts = self.template.prompts(fields)?;
            let samples = prompts.iter().map(|prompt| self.sample(prompt));
            let samples = samples.collect::<Result<Vec<Sample>>>()?;
            let longest = samples.iter().map(Sample::len).max().unwrap_or_default();
            let longest = self.with_any_answer(fields, longest)?;
            Ok((prompts.into_iter().zip(samples).collect::<Vec<_>>(), longest))
        })?;
        let built = built.into_iter();
        Ok(built.map(|(prompt, sample)| Built { prompt, sample, dropped }).collect())
    }

    /// The samples of all questions in their order, on all cores.
    ///
    /// # Errors
    /// [`Error::Question`] for the first question that fails.
    pub fn build_all<Q: Serialize + Sync>(&self, questions: &[Q]) -> Result<Vec<Built>> {
        let build = |question: &Q| {
            self.build(question).map_err(|source| Error::Question {
                question: Fields::new(question).id(),
                source: Box::new(source),
            })
        };
        let built: Vec<Result<Vec<Built>>> = questions.par_iter().map(build).collect();
        let mut all = Vec::with_capacity(built.len());
        for built in built {
            all.extend(built?);
        }
        Ok(all)
    }

    /// What [`build_all`](Self::build_all) gives, without the texts.
    ///
    /// # Errors
    /// As there.
    pub fn samples<Q: Serialize + Sync>(&self, questions: &[Q]) -> Result<Vec<Sample>> {
        Ok(self.build_all(questions)?.into_iter().map(|built| built.sample).collect())
    }

    /// The prompts to predict a question from; `answer` has no part in them.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub fn decisions(&self, question: &impl Serialize) -> Result<Vec<BuiltDecision>> {
        let fields = Fields::new(question);
        let (built, dropped) = self.fit(&fields, |fields| {
            let mut longest = 0;
            let mut built = Vec::new();
            for decision in self.template.decisions(fields)? {
                let samples = decision.choices.iter().map(|choice| {
                    let output = choice.output.clone();
                    self.sample(&Prompt { output, ..decision.prompt.clone() })
                });
                let samples = samples.collect::<Result<Vec<Sample>>>()?;
                longest = samples.iter().map(Sample::len).fold(longest, usize::max);
                built.push((decision, samples));
            }
            Ok((built, longest))
        })?;
        let built = built.into_iter().map(|(decision, samples)| {
            let untrained =
                |sample: &Sample| sample.loss_mask().iter().take_while(|on| !**on).count();
            let shared = shared_prefix(samples.iter().map(|s| (s.ids(), untrained(s))));
            let prompt = samples.first().map(|sample| sample.ids()[..shared].to_vec());
            let answers = samples.iter().map(|sample| sample.ids()[shared..].to_vec()).collect();
            BuiltDecision { decision, prompt: prompt.unwrap_or_default(), answers, dropped }
        });
        Ok(built.collect())
    }

    /// A question as a [choice](Sample::choice) between its candidates: the tokens are those of
    /// [`decisions`](Self::decisions), to which the answer adds which of them is right.
    ///
    /// # Errors
    /// As [`Self::build`]; [`Error::NotOneQuestion`] for a template that asks about one candidate or two at a time;
    /// [`Error::Answer`] if the answer is no index of a candidate.
    pub fn choice(&self, question: &impl Serialize, answer: usize) -> Result<Sample> {
        let built = self.decisions(question)?;
        let [BuiltDecision { decision, prompt, answers, .. }] = built.as_slice() else {
            return Err(Error::NotOneQuestion { questions: built.len() });
        };
        let options: Vec<&[u32]> = answers.iter().map(Vec::as_slice).collect();
        let right = decision.choices.iter().position(|choice| choice.candidate == Some(answer));
        let right = right.ok_or_else(|| Error::Answer {
            question: Fields::new(question).id(),
            answer,
            candidates: options.len(),
        })?;
        Sample::choice(prompt, &options, right)
    }

    /// Tokens of a whole question with its longest answer, given those with the right one: what is dropped must not
    /// follow from the answer, and be the same where the question is predicted.
    fn with_any_answer(&self, fields: &Fields, tokens: usize) -> Result<usize> {
        let is_open = tokens <= self.max_tokens && self.max_tokens < usize::MAX;
        if !is_open || self.template.form() != Form::Question {
            return Ok(tokens);
        }
        let decisions = match self.template.decisions(fields) {
            Err(nextcart_prompt::Error::NoCandidates { .. }) => return Ok(tokens),
            decisions => decisions?,
        };
        let answers = || decisions.iter().flat_map(|decision| &decision.choices);
        // No token stands for less than a byte, but for one that the tokenizer puts before a word.
        let bytes = answers().map(|choice| choice.output.len()).max().unwrap_or_default();
        if tokens + 2 * bytes <= self.max_tokens {
            return Ok(tokens);
        }
        let mut longest = tokens;
        for Decision { prompt, choices } in &decisions {
            for choice in choices {
                let output = choice.output.clone();
                longest = longest.max(self.sample(&Prompt { output, ..prompt.clone() })?.len());
            }
        }
        Ok(longest)
    }

    fn sample(&self, prompt: &Prompt) -> Result<Sample> {
        self.tokenizer.sample(&self.layout.segments(prompt)?)
    }

    /// Makes something of a question with as many purchases as fit.
    fn fit<T>(
        &self,
        fields: &Fields,
        attempt: impl Fn(&Fields) -> Result<Attempt<T>>,
    ) -> Result<(T, usize)> {
        let purchases = fields.purchases();
        let (whole, mut tokens) = attempt(fields)?;
        if tokens <= self.max_tokens {
            return Ok((whole, 0));
        }
        // Fewer purchases never make a longer prompt: the most that fit lie between these two.
        let (mut fits, mut kept) = (None, 0);
        let mut too_many = purchases;
        while kept + 1 < too_many {
            let keep = (kept + too_many) / 2;
            let (made, length) = attempt(&fields.recent(keep))?;
            tokens = length;
            if length <= self.max_tokens {
                (fits, kept) = (Some(made), keep);
            } else {
                too_many = keep;
            }
        }
        match fits {
            Some(made) => Ok((made, purchases - kept)),
            None => {
                Err(Error::TooLong { question: fields.id(), max_tokens: self.max_tokens, tokens })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use nextcart_prompt::Wrapper;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn question(purchases: usize) -> Value {
        let item = |title: String| json!({ "title": title });
        json!({
            "id": "q7",
            "history": (0..purchases).map(|n| item(format!("Tea No. {n}"))).collect::<Vec<_>>(),
            "candidates": [item("Dog Leash".into()), item("Acacia Honey".into())],
            "answer": 1,
        })
    }

    fn tokenizer() -> Tokenizer {
        Tokenizer::train(["Tea No. 1", "Dog Leash", "Acacia Honey"].iter(), 300).unwrap()
    }

    #[test]
    fn the_oldest_purchases_go_first_and_as_few_as_will_do() {
        let (tokenizer, template) = (tokenizer(), Template::builtin("next_purchase").unwrap());
        let builder = SampleBuilder::new(&tokenizer, &template, Wrapper::Plain);
        let whole = &builder.build(&question(12)).unwrap()[0];
        assert_eq!(whole.dropped, 0);
        let mut most_dropped = 0;
        for limit in (0..whole.sample.len()).rev() {
            let builder = builder.clone().with_max_tokens(limit);
            let built = match builder.build(&question(12)) {
                Ok(built) => built,
                Err(Error::TooLong { question, max_tokens, tokens }) => {
                    assert_eq!((question.as_str(), max_tokens), ("`q7`", limit));
                    assert!(tokens > limit);
                    assert_eq!(most_dropped, 11, "the latest purchase stays");
                    break;
                }
                Err(error) => panic!("{error}"),
            };
            let Built { prompt, sample, dropped } = &built[0];
            most_dropped = *dropped;
            assert!(sample.len() <= limit);
            assert_eq!(prompt.output, whole.prompt.output);
            assert!(prompt.input.ends_with("Options:\nDog Leash\nAcacia Honey"));
            let kept: Vec<&str> =
                prompt.input.lines().filter(|line| line.starts_with("Tea")).collect();
            let expected: Vec<String> = (*dropped..12).map(|n| format!("Tea No. {n}")).collect();
            assert_eq!(kept, expected);
            // One purchase more would not have fitted with the longer answer.
            let fields = Fields::new(&question(12)).recent(12 - dropped + 1);
            let more = &template.decisions(&fields).unwrap()[0];
            let more = more.choices.iter().map(|choice| {
                let prompt = Prompt { output: choice.output.clone(), ..more.prompt.clone() };
                tokenizer.sample(&prompt.segments(Wrapper::Plain)).unwrap().len()
            });
            assert!(more.max() > Some(limit));
        }
    }

    #[test]
    fn a_question_without_a_history_cannot_be_shortened() {
        let (tokenizer, template) = (tokenizer(), Template::builtin("next_purchase").unwrap());
        let builder = SampleBuilder::new(&tokenizer, &template, Wrapper::Plain).with_max_tokens(9);
        for purchases in [0, 1] {
            assert!(matches!(builder.build(&question(purchases)), Err(Error::TooLong { .. })));
        }
    }

    #[test]
    fn a_choice_has_the_tokens_that_are_predicted_from() {
        let (tokenizer, template) = (tokenizer(), Template::builtin("next_purchase").unwrap());
        let builder = SampleBuilder::new(&tokenizer, &template, Wrapper::Plain);
        let sample = builder.choice(&question(3), 1).unwrap();
        let built = builder.decisions(&question(3)).unwrap().remove(0);
        let expected = [built.prompt.clone(), built.answers.concat()].concat();
        assert_eq!(sample.ids(), expected);
        let choice = sample.as_choice().unwrap();
        assert_eq!((choice.prompt(), choice.answer()), (built.prompt.len(), 1));
        let text = builder.choice(&question(3), 2).unwrap_err().to_string();
        assert_eq!(text, "question `q7`: expected an answer below its 2 candidates, found 2");
        let pairs = Template::builtin("pointwise").unwrap();
        let builder = SampleBuilder::new(&tokenizer, &pairs, Wrapper::Plain);
        let error = builder.choice(&question(3), 1).unwrap_err();
        assert!(matches!(error, Error::NotOneQuestion { questions: 2 }), "{error}");
    }

    #[test]
    fn what_is_dropped_does_not_follow_from_the_answer() {
        let (tokenizer, template) = (tokenizer(), Template::builtin("next_purchase").unwrap());
        let builder = SampleBuilder::new(&tokenizer, &template, Wrapper::Plain);
        let asked = |answer: usize| {
            let mut question = question(12);
            question["candidates"][0]["title"] = "Tea".into();
            question["candidates"][1]["title"] = "A leash for dogs of every size".into();
            question["answer"] = answer.into();
            question
        };
        let length = |answer| builder.build(&asked(answer)).unwrap()[0].sample.len();
        let (short, long) = (length(0), length(1));
        assert!(short + 5 < long);
        for limit in short - 5..=long {
            let builder = builder.clone().with_max_tokens(limit);
            let expected = builder.decisions(&asked(0)).unwrap()[0].dropped;
            assert_eq!(expected > 0, limit < long);
            for answer in [0, 1] {
                assert_eq!(builder.build(&asked(answer)).unwrap()[0].dropped, expected, "{limit}");
            }
        }
    }

    #[test]
    fn all_prompts_of_a_question_keep_the_same_history() {
        let (tokenizer, template) = (tokenizer(), Template::builtin("pointwise").unwrap());
        let builder = SampleBuilder::new(&tokenizer, &template, Wrapper::Plain);
        let longest = builder.build(&question(9)).unwrap().iter().map(|b| b.sample.len()).max();
        let builder = builder.with_max_tokens(longest.unwrap() - 1);
        let built = builder.build(&question(9)).unwrap();
        assert_eq!(built.iter().map(|built| built.dropped).collect::<Vec<_>>(), [1, 1]);
        let decisions = builder.decisions(&question(9)).unwrap();
        assert_eq!(decisions.iter().map(|built| built.dropped).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(decisions[0].decision.prompt.input, built[0].prompt.input);
        // What is predicted from is what was trained on.
        let no = [decisions[0].prompt.as_slice(), &decisions[0].answers[1]].concat();
        assert_eq!(no, built[0].sample.ids());
        let yes = [decisions[1].prompt.as_slice(), &decisions[1].answers[0]].concat();
        assert_eq!(yes, built[1].sample.ids());
    }

    proptest! {
        #[test]
        fn questions_come_in_their_order_whatever_the_limit(lengths in prop::collection::vec(1_usize..30, 1..20)) {
            let (tokenizer, template) = (tokenizer(), Template::builtin("next_purchase").unwrap());
            let questions: Vec<Value> = lengths.iter().map(|&n| question(n)).collect();
            let builder =
                SampleBuilder::new(&tokenizer, &template, Wrapper::Plain).with_max_tokens(200);
            let all = builder.build_all(&questions).unwrap();
            let each: Vec<Built> =
                questions.iter().flat_map(|question| builder.build(question).unwrap()).collect();
            prop_assert_eq!(&all, &each);
            prop_assert!(all.iter().all(|built| built.sample.len() <= 200));
        }
    }
}
