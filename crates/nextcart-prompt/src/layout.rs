//! What stands around the parts of a prompt.

use std::sync::Arc;

use crate::error::Result;
use crate::{ChatTemplate, Message, Prompt, Segment, SegmentKind, Wrapper};

/// Noon of the 26th of July 2024, in seconds since 1970 in UTC.
const NOW: i64 = 1_721_995_200;

/// What stands around the parts of a prompt: a wrapper, or a checkpoint's chat template.
#[derive(Debug, Clone)]
pub enum Layout {
    /// A wrapper, for a base model.
    Wrapper(Wrapper),
    /// A conversation, for a chat model: instruction and input are what the user says, each from a
    /// line of its own, and the answer is what the assistant says.
    Chat {
        /// The checkpoint's template. Made [from](Self::from) one without a [time](ChatTemplate::with_now), a layout tells
        /// it that it is the 26th of July 2024, as Llama 3's own template does where no clock is: a question is to give
        /// the same sample on every day.
        template: Arc<ChatTemplate>,
        /// What stands before the conversation, for templates that have a place for it.
        system: Option<String>,
    },
}

impl Default for Layout {
    fn default() -> Self {
        Self::Wrapper(Wrapper::default())
    }
}

impl From<Wrapper> for Layout {
    fn from(wrapper: Wrapper) -> Self {
        Self::Wrapper(wrapper)
    }
}

impl From<ChatTemplate> for Layout {
    fn from(template: ChatTemplate) -> Self {
        let template = template.or_now(NOW);
        Self::Chat { template: Arc::new(template), system: None }
    }
}

impl Layout {
    /// The same conversation with what stands before it, for templates that have a place for it; a wrapper has none.
    #[must_use]
    pub fn with_system(self, text: impl Into<String>) -> Self {
        match self {
            Self::Chat { template, .. } => Self::Chat { template, system: Some(text.into()) },
            wrapper => wrapper,
        }
    }

    /// The text in its parts.
    ///
    /// # Errors
    /// If a chat template refuses the conversation or does not pass it on as it is.
    pub fn segments(&self, prompt: &Prompt) -> Result<Vec<Segment>> {
        match self {
            Self::Wrapper(wrapper) => Ok(prompt.segments(*wrapper)),
            Self::Chat { template, system } => {
                let mut messages = conversation(system.as_deref(), prompt);
                messages.push(Message::new("assistant", &*prompt.output));
                template.segments(&messages)
            }
        }
    }

    /// The text before the answer in its parts, to generate from.
    ///
    /// # Errors
    /// As [`Self::segments`].
    pub fn prompt_segments(&self, prompt: &Prompt) -> Result<Vec<Segment>> {
        match self {
            Self::Wrapper(wrapper) => {
                Ok(vec![Segment::new(SegmentKind::Text, prompt.prefix(*wrapper))])
            }
            Self::Chat { template, system } => {
                template.prompt_segments(&conversation(system.as_deref(), prompt))
            }
        }
    }
}

/// What is said before the answer.
fn conversation(system: Option<&str>, prompt: &Prompt) -> Vec<Message> {
    let system = system.map(|system| Message::new("system", system));
    system.into_iter().chain([Message::new("user", said(prompt))]).collect()
}

/// What the user says.
fn said(prompt: &Prompt) -> String {
    let parts = [prompt.instruction.as_str(), prompt.input.as_str()];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}
