//! Second-order relations: from the history to an option, over an item that goes with both.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::{History, Product, Purchase, Related, Relations};

/// Two co-purchases in a row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RelationPath<'a> {
    /// Title of a purchase in the history.
    pub from: &'a str,
    /// Title of what was bought together with it.
    pub via: &'a str,
    /// Title of an option that was bought together with that.
    pub to: &'a str,
}

/// The best path from one of the latest `recent` purchases to each option that is not among the co-purchases
/// of any purchase, as many of each as the relations keep; the best supported first. A path is worth as much
/// as the weaker of its two co-purchases.
pub(super) fn between<'a>(
    relations: &'a Relations,
    history: &'a [Purchase],
    recent: usize,
    options: &'a [Product],
    asker: Option<&History>,
    most: usize,
) -> Vec<RelationPath<'a>> {
    if most == 0 {
        return Vec::new();
    }
    let all: Vec<(&str, Vec<Related<'a>>)> = history
        .iter()
        .rev()
        .map(|purchase| {
            let product = &purchase.product;
            (product.title.as_str(), relations.co_purchased(&product.item, asker))
        })
        .collect();
    let owned: HashSet<&str> = history.iter().map(|p| p.product.item.as_str()).collect();
    let related = all.iter().flat_map(|(_, related)| related);
    let direct: HashSet<&str> = related.map(|related| related.product.item.as_str()).collect();
    let first = &all[..recent.min(all.len())];
    let mut second: HashMap<&str, Vec<Related<'a>>> = HashMap::new();
    for via in first.iter().flat_map(|(_, related)| related) {
        let item = via.product.item.as_str();
        second.entry(item).or_insert_with(|| relations.co_purchased(item, asker));
    }
    let mut paths: Vec<(f64, RelationPath<'a>)> = Vec::new();
    for option in options.iter().filter(|option| !direct.contains(option.item.as_str())) {
        let mut best: Option<(f64, RelationPath<'a>)> = None;
        for (from, vias) in first {
            for via in vias.iter().filter(|via| !owned.contains(via.product.item.as_str())) {
                let hops = &second[via.product.item.as_str()];
                let Some(hop) = hops.iter().find(|hop| hop.product.item == option.item) else {
                    continue;
                };
                let support = via.support.min(hop.support);
                if best.as_ref().is_none_or(|(most, _)| support > *most) {
                    let path = RelationPath { from, via: &via.product.title, to: &option.title };
                    best = Some((support, path));
                }
            }
        }
        paths.extend(best);
    }
    paths.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    paths.into_iter().take(most).map(|(_, path)| path).collect()
}
