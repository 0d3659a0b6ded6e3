//! Questions for the tests of this crate.

use nextcart_data::{Part, Product, Purchase, Question};

/// A product whose id is its title.
pub(crate) fn product(title: &str) -> Product {
    Product {
        item: title.to_owned(),
        title: title.to_owned(),
        brand: None,
        category: Vec::new(),
        price: None,
    }
}

/// A question whose products are named by their titles.
pub(crate) fn question(id: &str, history: &[&str], candidates: &[&str], answer: usize) -> Question {
    let purchase = |title: &&str| Purchase { product: product(title), time: None, rating: None };
    Question {
        id: id.to_owned(),
        user: format!("user of {id}"),
        part: Part::Test,
        time: None,
        history: history.iter().map(purchase).collect(),
        candidates: candidates.iter().map(|title| product(title)).collect(),
        answer,
        excluded: Vec::new(),
    }
}
