//! Contrasts between titles against the formula written out.

use burn::tensor::{Device, Int, Tensor, activation};
use nextcart_adapters::TargetModules;
use nextcart_models::{Llama, LlamaConfig, ModelInput, embed_texts};
use nextcart_text::{ContrastOptions, Sample};
use nextcart_train::{
    Batch, Checkpointing, Gradients, PassOptions, SftConfig, Trainer, evaluate_loss,
    loss_and_gradients_with, loss_sum,
};

use crate::common::{adapted, check_close, learnt, llama, lora};

const TITLES: [&[u32]; 5] = [&[1, 5, 9], &[1, 7], &[1, 4, 8, 2, 11], &[1, 6, 3], &[1, 10, 4]];
const OPTIONS: ContrastOptions = ContrastOptions { decay: 0.5, longest: 2, temperature: 0.2 };

fn contrast() -> Sample {
    Sample::contrast(&TITLES, &[&[0, 1, 2], &[3, 4, 3], &[2]], OPTIONS).unwrap()
}

/// Mean vectors of the titles, each read alone, standardised over all, as rows of length 1.
fn vectors(model: &Llama, config: &LlamaConfig) -> Tensor<2> {
    let means = TITLES.iter().map(|title| {
        let input = ModelInput::new(&[title], config, &model.device());
        let hidden: Tensor<2> = model.hidden(&input, None).squeeze_dim(0);
        hidden.narrow(0, 1, title.len() - 1).mean_dim(0)
    });
    let means = Tensor::cat(means.collect(), 0);
    let centred = means.clone() - means.mean_dim(0);
    let deviation = centred.clone().square().mean_dim(0).sqrt();
    let rows = centred / deviation;
    rows.clone() / rows.square().sum_dim(1).sqrt()
}

/// `-ln p` of one purchase: what was bought with its weights, what was bought next, and what is not asked about.
fn purchase(
    titles: &Tensor<2>,
    bought: &[(usize, f64)],
    target: usize,
    hidden: &[usize],
) -> Tensor<1> {
    let row = |title: usize| titles.clone().narrow(0, title, 1);
    let sum = bought.iter().map(|(title, weight)| row(*title) * *weight);
    let sum = Tensor::cat(sum.collect(), 0).sum_dim(0);
    let customer = sum.clone() / sum.square().sum_dim(1).sqrt();
    let asked: Vec<usize> = (0..TITLES.len()).filter(|title| !hidden.contains(title)).collect();
    let rows = Tensor::cat(asked.iter().map(|title| row(*title)).collect(), 0);
    let scores = customer.matmul(rows.transpose()) / OPTIONS.temperature;
    let place = asked.iter().position(|title| *title == target).unwrap() as i64;
    let place = Tensor::<2, Int>::from_ints([[place]], &titles.device());
    activation::log_softmax(scores, 1).gather(1, place).sum().neg()
}

fn written_out(model: &Llama, config: &LlamaConfig) -> Tensor<1> {
    let titles = vectors(model, config);
    let losses = [
        purchase(&titles, &[(0, 1.0)], 1, &[0]),
        purchase(&titles, &[(0, 0.5), (1, 1.0)], 2, &[0, 1]),
        purchase(&titles, &[(3, 1.0)], 4, &[3]),
        purchase(&titles, &[(3, 0.5), (4, 1.0)], 3, &[4]), // bought again
    ];
    Tensor::cat(losses.into(), 0).sum()
}

#[test]
fn loss_and_gradients_are_those_of_the_formula() {
    for sliding_window in [None, Some(3)] {
        check_gradients(&LlamaConfig { layers: 3, sliding_window, ..llama() });
    }
}

fn check_gradients(config: &LlamaConfig) {
    let model = config.init(7, &Device::flex().autodiff());
    let last = TargetModules::Pattern(r"model\.layers\.[12]\..*_proj".to_owned());
    // Adapters everywhere, above a block without any, and all weights.
    let adapted = [lora(), lora().with_target_modules(last)]
        .map(|lora| learnt(model.clone().with_adapters(&lora, 3).unwrap(), config));
    for model in adapted.into_iter().chain([model.trainable()]) {
        let expected = written_out(&model, config);
        let mut gradients = Gradients::default();
        gradients.add_backward(&model, &expected);
        let expected = f64::from(expected.into_scalar::<f32>());

        let batch = || Batch::new(&[&contrast()], config, &model.device());
        assert_eq!(batch().weight(), 4);
        for checkpointing in [Checkpointing::None, Checkpointing::Blocks] {
            let options = PassOptions { checkpointing, ..PassOptions::default() };
            let found = loss_and_gradients_with(&model, [batch()], 1, options);
            let off = (found.loss_sums[0] - expected).abs();
            assert!(off < 1e-4, "{:?}, {expected}", found.loss_sums);
            check_close(&found.gradients, &gradients, 1e-4);
        }
        let loss = loss_sum(&model, &batch());
        let mut found = Gradients::default();
        found.add_backward(&model, &loss);
        check_close(&found, &gradients, 1e-4);
        let evaluated = evaluate_loss(&model, config, &[contrast()], 1).unwrap();
        assert!((evaluated - expected / 4.0).abs() < 1e-4, "{evaluated}, {expected}");
    }
}

/// Every contrast has titles of its own to be told from: in one pass or in two, they are worth the same.
#[test]
fn two_in_one_pass_are_worth_what_they_are_worth_alone() {
    let config = llama();
    let model = learnt(adapted(&lora()), &config);
    let other = Sample::contrast(&TITLES[1..4], &[&[0, 1], &[1, 2]], OPTIONS).unwrap();
    let (one, device) = (contrast(), model.device());
    let together = Batch::new(&[&one, &other], &config, &device);
    assert_eq!(together.weight(), 6);
    let together = loss_and_gradients_with(&model, [together], 6, PassOptions::default());
    let each = [&one, &other].map(|sample| Batch::new(&[sample], &config, &device));
    let apart = loss_and_gradients_with(&model, each, 6, PassOptions::default());
    assert!((together.loss() - apart.loss()).abs() < 1e-5);
    check_close(&together.gradients, &apart.gradients, 1e-4);
}

/// Titles 0 and 1 are bought together, and so are 3 and 4; nothing else says so.
#[test]
fn a_run_brings_together_what_is_bought_together() {
    let config = llama();
    let histories: [&[usize]; 4] = [&[0, 1], &[1, 0], &[3, 4], &[4, 3]];
    let samples = [Sample::contrast(&TITLES, &histories, OPTIONS).unwrap()];
    let training = SftConfig {
        max_steps: Some(40),
        batch_size: 1,
        learning_rate: 1e-2,
        warmup_steps: 2,
        ..SftConfig::default()
    };
    let mut trainer = Trainer::new(adapted(&lora()), &config, training, &samples).unwrap();
    let first = trainer.step().unwrap().unwrap();
    assert_eq!((first.trained_tokens, first.samples), (4, 1));
    while trainer.step().unwrap().is_some() {}
    let loss = evaluate_loss(&trainer.model(), &config, &samples, 1).unwrap();
    assert!(loss < first.loss / 3.0, "{loss}, {}", first.loss);

    let vectors = embed_texts(&trainer.model(), &config, &TITLES);
    let cosine = |a: usize, b: usize| -> f32 {
        vectors[a].iter().zip(&vectors[b]).map(|(a, b)| a * b).sum()
    };
    for (together, apart) in [((0, 1), (0, 3)), ((0, 1), (1, 4)), ((3, 4), (3, 1))] {
        let [near, far] = [together, apart].map(|(a, b)| cosine(a, b));
        assert!(near > far + 0.3, "{together:?} {near}, {apart:?} {far}");
    }
}
