//! What became of the lines of files.

use nextcart_data::Tally;

/// How many were read, kept and rejected, and why.
pub fn lines(Tally { read, kept, rejected, reasons, .. }: &Tally) -> String {
    let reasons: Vec<String> = reasons.iter().map(|(why, n)| format!("; {n} {why}")).collect();
    format!("{read} lines read, {kept} kept, {rejected} rejected{}", reasons.concat())
}
