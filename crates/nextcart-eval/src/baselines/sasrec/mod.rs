//! Self-attentive sequential recommendation.

mod batches;
mod block;
mod config;
mod dropout;
mod init;
mod model;
mod predictor;
#[cfg(test)]
mod reference;
mod train;

pub use config::SasRecConfig;
pub use predictor::SasRec;
pub use train::Epoch;
