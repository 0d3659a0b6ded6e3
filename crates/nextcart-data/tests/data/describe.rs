//! Descriptions count what is there, and plots show it.

use nextcart_data::{Error, PrepareOptions, Resources, describe, prepare, seed_protocol};

use crate::common::{metadata, review, small_corpus, unverified, write};

#[test]
fn counts_agree_with_files_that_are_known() {
    let folder = tempfile::tempdir().unwrap();
    let (reviews, meta) = small_corpus(40, 6);
    // A repeat, an item that training never saw, and two titles that collide.
    let reviews = reviews
        + &review("u00", "i00", 16_500)
        + &(0..3).map(|user| review(&format!("u{user:02}"), "new", 16_400)).collect::<String>()
        + &unverified("u05", "i39", 16_000);
    let meta = meta + &metadata("new", "ITEM 7");
    let reviews = write(folder.path(), "reviews.json", reviews);
    let meta = write(folder.path(), "meta.json", meta);
    let out = folder.path().join("out");
    prepare(&[reviews], &[meta], &out, &PrepareOptions::default()).unwrap();
    let found = describe(&out).unwrap();
    assert_eq!(found.history_lengths.iter().collect::<Vec<_>>(), [(6, 37), (7, 3)]);
    assert_eq!(found.history_lengths.mean(), Some(243.0 / 40.0));
    assert_eq!((found.neighbours.pairs, found.neighbours.tied), (203, 0));
    assert_eq!((found.titles.items, found.titles.shared, found.titles.items_sharing), (41, 1, 2));
    assert_eq!((found.cold.items, found.cold.purchases), (1, 3));
    assert_eq!(found.ranking.iter().sum::<u64>(), found.manifest.split.train);
    assert_eq!(found.ranking.len() as u64, found.cold.known_items);
    assert!(found.ranking.is_sorted_by(|a, b| a >= b));
    let months: u64 = found.months.values().flatten().sum();
    assert_eq!(months, found.manifest.histories.interactions);

    let text = found.to_string();
    for part in [
        "reviews            245 lines read, 245 kept, 0 rejected",
        "users              40",
        "purchases          243, 2 of the rows dropped",
        "repeat purchases   1 of 244 (0.4 %)",
        "ties               0 of 203 (0.0 %)",
        "shared titles      1 titles, items: 2 of 41 (4.9 %)",
        "cold items         1 of",
    ] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    let plots = found.plot(folder.path().join("plots")).unwrap();
    assert_eq!(plots.len(), 3);
    for plot in plots {
        let svg = std::fs::read_to_string(&plot).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{plot:?}");
        assert!(svg.matches("<rect").count() + svg.matches("<polyline").count() > 1, "{plot:?}");
    }
}

#[test]
fn a_folder_that_was_not_prepared_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = describe(folder.path()).unwrap_err();
    assert!(
        matches!(&error, Error::NotPrepared { folder: found, .. } if found == folder.path()),
        "{error}"
    );
}

#[test]
fn the_seed_protocol_takes_the_file_order_and_leaks() {
    let folder = tempfile::tempdir().unwrap();
    let meta: String = (0..40)
        .map(|item| metadata(&format!("i{item:02}"), &format!("Fine Tea {item}, {item} oz")))
        .collect();
    // Later purchases come first in the file.
    let lines: Vec<String> =
        (0..6).rev().map(|place| review("u1", &format!("i{place:02}"), 16_000 + place)).collect();
    let few: String = (0..4).map(|item| review("u2", &format!("i{item:02}"), 16_000)).collect();
    let reviews = [write(folder.path(), "reviews.json", lines.concat() + &few)];
    let meta = [write(folder.path(), "meta.json", meta)];
    let stop = std::sync::atomic::AtomicBool::new(false);
    let make = |seed| seed_protocol(&reviews, &meta, seed, &Resources::default(), &stop).unwrap();
    let questions = make(0);
    assert_eq!(questions.len(), 1);
    let question = &questions[0];
    let bought: Vec<&str> =
        question.history.iter().map(|purchase| purchase.product.item.as_str()).collect();
    assert_eq!(bought, ["i05", "i04", "i03", "i02"]);
    assert_eq!(question.target().item, "i01");
    assert_eq!(question.target().title, "Fine Tea oz");
    assert!(question.history.iter().all(|purchase| purchase.product.title == "Fine Tea oz"));
    for (place, candidate) in question.candidates.iter().enumerate() {
        assert_eq!(candidate.title.contains(','), place != question.answer, "{candidate:?}");
    }
    assert_eq!(questions, make(0));
    assert!((1..9).any(|seed| make(seed)[0].candidates != question.candidates));
}
