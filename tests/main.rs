//! Tests of paths through several crates, one module each.
//!
//! Tests named `golden_…` compare with the numbers in the folder that `NEXTCART_REFERENCE` names, and
//! say that they are skipped where it is not set.

mod assessment;
mod cargo;
mod fences;
mod golden_forward;
mod golden_lora;
mod gpu_script;
mod gpu_table;
mod outside;
mod packaging;
mod peft_round_trip;
mod prompts;
mod reference;
mod report_page;
mod smollm2;
