//! The model to be fine-tuned: a checkpoint, or one that learns the language of the shop on the spot.

use anyhow::Result;
use burn::module::Module;
use burn::tensor::Device;
use nextcart_data::Dataset;
use nextcart_eval::{Predictor, TemplateModel};
use nextcart_examples::{checkpoint, say};
use nextcart_models::{Llama, LlamaConfig, LoadOptions, Precision, save_checkpoint};
use nextcart_prompt::{Template, Wrapper};
use nextcart_text::{Sample, SampleBuilder, Tokenizer};
use nextcart_train::{Schedule, SftConfig};

use crate::Arguments;
use crate::stage::{Stage, warmup};

/// How the model of `--model` is held in memory.
fn load_options(arguments: &Arguments) -> LoadOptions {
    let narrow = |wanted: bool| if wanted { Precision::Bf16 } else { Precision::F32 };
    let gpu = cfg!(any(feature = "cuda", feature = "wgpu"));
    LoadOptions {
        weights: narrow(arguments.bf16),
        activations: narrow(arguments.bf16 && gpu),
        quantized: arguments.qlora,
    }
}

/// A base model and what belongs to it.
pub(crate) struct Base {
    pub(crate) name: String,
    pub(crate) llama: LlamaConfig,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) model: Llama,
    pub(crate) tuning: SftConfig,
}

impl Base {
    /// The checkpoint of `--model`, if there is one.
    pub(crate) fn of_arguments(arguments: &Arguments, device: &Device) -> Result<Option<Self>> {
        let Some(name) = &arguments.model else { return Ok(None) };
        Self::load(name, load_options(arguments), device).map(Some)
    }

    /// A checkpoint from a folder or the hub.
    fn load(name: &str, options: LoadOptions, device: &Device) -> Result<Self> {
        let checkpoint = checkpoint(name)?;
        let (llama, tokenizer) = (checkpoint.config().clone(), checkpoint.tokenizer()?);
        let model = checkpoint.load_with(device, options)?;
        let tuning = SftConfig {
            max_steps: Some(60),
            batch_size: 4,
            learning_rate: 3e-4,
            warmup_steps: 5,
            schedule: Schedule::Cosine,
            ..SftConfig::default()
        };
        Ok(Self { name: name.to_owned(), llama, tokenizer, model, tuning })
    }

    /// A small Llama that learns the language of the shop from the training part of the histories.
    pub(crate) fn pretrain(
        prepared: &Dataset,
        prompts: Vec<String>,
        arguments: &Arguments,
        device: &Device,
    ) -> Result<Self> {
        let titles = prepared.catalogue.products().map(|product| product.title.clone());
        let tokenizer =
            Tokenizer::train(titles.chain(prompts).collect::<Vec<_>>().into_iter(), 900)?;
        // Few blocks and wide ones: the fastest of this size on a CPU.
        let llama = LlamaConfig {
            d_model: 320,
            d_hidden: 768,
            layers: 2,
            heads: 4,
            kv_heads: 2,
            head_dim: 80,
            ..LlamaConfig::tiny(tokenizer.vocab())
        };
        let model = llama.init(1, device).trainable();
        let parameters = model.num_params() as f64 / 1e6;
        say!("a Llama of {parameters:.1} M parameters and {} tokens", tokenizer.vocab())?;

        let mut samples = Vec::new();
        for history in &prepared.histories {
            let titles = history.items.iter().filter_map(|item| prepared.catalogue.get(item));
            let titles: Vec<&str> = titles.map(|product| product.title.as_str()).collect();
            let text = format!("Bought, oldest first:\n{}", titles.join("\n"));
            samples.push(Sample::text(&tokenizer.encode_whole(&text)?)?);
        }
        let config = SftConfig {
            max_steps: Some(arguments.pretraining_steps),
            batch_size: 8,
            learning_rate: 2e-3,
            warmup_steps: warmup(arguments.pretraining_steps),
            schedule: Schedule::Cosine,
            weight_decay: 0.01,
            ..SftConfig::default()
        };
        let stage = Stage { name: "pre-training", llama: &llama, samples: &samples, held_out: &[] };
        let model = stage.train(model, config, arguments)?.model.frozen();
        let folder = arguments.out.join("base");
        save_checkpoint(&folder, &model, &llama, Some(&tokenizer))?;
        say!("base model: {}", folder.display())?;
        let model = if arguments.qlora { model.quantized()? } else { model };
        let tuning = SftConfig {
            max_steps: Some(200),
            batch_size: 16,
            learning_rate: 2e-3,
            warmup_steps: 10,
            schedule: Schedule::Cosine,
            ..SftConfig::default()
        };
        Ok(Self { name: folder.display().to_string(), llama, tokenizer, model, tuning })
    }

    /// Samples as this model takes them.
    pub(crate) fn builder<'a>(&'a self, template: &'a Template) -> SampleBuilder<'a> {
        SampleBuilder::new(&self.tokenizer, template, Wrapper::Plain)
            .with_max_tokens(self.llama.max_position_embeddings)
    }

    pub(crate) fn predictor<'a>(
        &'a self,
        name: &str,
        model: &'a Llama,
        template: &'a Template,
    ) -> impl Predictor + 'a {
        TemplateModel::new(name, model, &self.llama, self.builder(template))
    }
}
