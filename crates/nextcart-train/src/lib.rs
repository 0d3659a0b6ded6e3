//! Supervised fine-tuning with a loss mask, checkpoints and exact resume.
