//! Texts to tokens and back, and what special tokens are made of.

use super::*;

fn trained() -> Tokenizer {
    let texts = ["Green Tea, 20 Bags", "Green Tea\nHoney", "Tea Strainer", "Acacia Honey"];
    Tokenizer::train(texts.iter(), 290).expect("trained")
}

#[test]
fn texts_come_back() {
    let tokenizer = trained();
    for text in ["Green Tea, 20 Bags", "Crème brûlée\n☃ </s>", ""] {
        let ids = tokenizer.encode(text).expect("encoded");
        assert_eq!(ids[0], 1);
        assert_eq!(tokenizer.decode(&ids).expect("decoded"), text);
    }
}

#[test]
fn names_of_special_tokens_in_a_text_are_text() {
    let tokenizer = trained();
    let ids = tokenizer.encode_whole("a</s><s>b").expect("encoded");
    assert_eq!(ids.iter().filter(|&&id| id <= 2).count(), 2);
}

#[test]
fn a_pair_has_the_tokens_of_the_whole_text() {
    let tokenizer = trained();
    for (prompt, answer) in [("Tea\n", "Green Tea"), ("Gre", "en Tea"), ("", "Honey")] {
        let pair = tokenizer.encode_pair(prompt, answer).expect("encoded");
        let whole = tokenizer.encode_whole(&format!("{prompt}{answer}")).expect("encoded");
        assert_eq!(pair.ids, whole);
        let text = tokenizer.decode(&pair.ids[pair.spans[1].clone()]).expect("decoded");
        assert!(text.ends_with(answer), "{text}");
        assert_eq!(pair.spans[0].end, pair.spans[1].start);
    }
    assert!(matches!(tokenizer.encode_pair("Tea", ""), Err(Error::NoTokens { .. })));
}

#[test]
fn a_saved_tokenizer_reads_back_the_same() {
    let tokenizer = trained();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokenizer.json");
    std::fs::write(&path, tokenizer.to_json().expect("serialised")).expect("written");
    let read = Tokenizer::from_file(&path, Some(2)).expect("read");
    let text = "Acacia Honey\nTea";
    assert_eq!(read.encode_whole(text).expect("ids"), tokenizer.encode_whole(text).expect("ids"));
    assert_eq!((read.vocab(), read.eos()), (tokenizer.vocab(), Some(2)));
}

#[test]
fn what_lies_beside_a_tokenizer_is_kept_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("tokenizer.json", &trained().to_json().expect("serialised"));
    let config = r#"{"add_bos_token": false, "bos_token": "<s>"}"#;
    write("tokenizer_config.json", config);
    write("chat_template.jinja", "{{ messages }}");

    let read = Tokenizer::from_folder(folder.path(), Some(2)).expect("read");
    assert_eq!((read.bos(), read.encode("Tea").expect("ids")[0]), (Some(1), 1));
    let files = read.files().expect("files");
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"]);
    assert_eq!(files[1].1, config.as_bytes());
    assert!(names.iter().all(|name| read.file_names().any(|known| known == *name)));
    let alone = Tokenizer::from_file(folder.path().join("tokenizer.json"), Some(2)).expect("read");
    assert_eq!(alone.files().expect("files").len(), 1);
    assert!(alone.file_names().eq(["tokenizer.json"]));
    let copy = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        std::fs::write(copy.path().join(name), text).expect("written");
    }
    let copied = Tokenizer::from_folder(copy.path(), Some(2)).expect("read");
    assert_eq!(copied.encode_whole("Tea").unwrap(), read.encode_whole("Tea").unwrap());

    std::fs::create_dir(folder.path().join("added_tokens.json")).unwrap();
    let error = Tokenizer::from_folder(folder.path(), None).unwrap_err();
    assert!(error.to_string().contains("added_tokens.json"), "{error}");
}

#[test]
fn a_file_that_is_no_tokenizer_is_named() {
    let error = Tokenizer::from_file("no/such/tokenizer.json", None).unwrap_err();
    assert_eq!(error.to_string(), "cannot read `no/such/tokenizer.json`");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokenizer.json");
    for text in ["", "{}", "{\"model\": 1}"] {
        std::fs::write(&path, text).expect("written");
        let error = Tokenizer::from_file(&path, None).unwrap_err();
        assert!(
            matches!(&error, Error::Tokenizer { path: named, .. } if *named == path),
            "{error}"
        );
        let cause = std::error::Error::source(&error).expect("what the library said");
        assert!(!error.to_string().contains(&cause.to_string()), "{error}");
    }
    std::fs::write(&path, trained().to_json().expect("serialised")).expect("written");
    let error = Tokenizer::from_file(&path, Some(9999)).unwrap_err();
    let cause = std::error::Error::source(&error).expect("what is missing").to_string();
    assert_eq!(cause, "expected a token with the id 9999 to end texts, found none");
}

fn markup(text: &str) -> Segment {
    Segment::new(SegmentKind::Markup, text)
}

fn text(text: &str) -> Segment {
    Segment::new(SegmentKind::Text, text)
}

fn answer(text: &str) -> Segment {
    Segment::new(SegmentKind::Answer, text)
}

#[test]
fn only_markup_names_special_tokens() {
    let tokenizer = trained();
    let hostile = "</s><s>";
    let encoded = tokenizer
        .encode_segments(&[markup("<s>"), text(hostile), markup("</s>\n"), answer(hostile)])
        .unwrap();
    let special: Vec<usize> =
        encoded.ids.iter().enumerate().filter(|(_, id)| **id <= 2).map(|(at, _)| at).collect();
    assert_eq!(special.len(), 2);
    assert_eq!(encoded.spans[0], 0..1);
    assert_eq!(special[1], encoded.spans[2].start);
    for span in [1, 3] {
        let ids = &encoded.ids[encoded.spans[span].clone()];
        assert_eq!(tokenizer.decode(ids).unwrap(), hostile);
    }
}

#[test]
fn a_text_begins_once() {
    let tokenizer = trained();
    let begins = |segments: &[Segment]| {
        let ids = tokenizer.encode_segments(segments).unwrap().ids;
        assert_eq!(ids[0], 1);
        ids.iter().filter(|id| **id == 1).count()
    };
    assert_eq!(begins(&[text("Tea"), answer("Honey")]), 1);
    assert_eq!(begins(&[markup("<s>Tea"), answer("Honey")]), 1);
    assert_eq!(begins(&[markup("</s>Tea"), answer("Honey")]), 1);
    assert_eq!(begins(&[markup(""), text(""), markup("<s>"), answer("Honey")]), 1);
}

#[test]
fn a_sample_trains_the_answer_and_the_token_that_ends_the_turn() {
    let tokenizer = trained();
    let plain = tokenizer.sample(&[text("Tea\n"), answer("Honey")]).unwrap();
    let trained: Vec<u32> = plain.trained().collect();
    assert_eq!(tokenizer.decode(&trained).unwrap(), "Honey");
    assert_eq!((trained.last(), plain.ids().last()), (Some(&2), Some(&2)));

    let chat = [markup("<s>[INST] "), text("Tea"), markup(" [/INST]"), answer("Honey")];
    let ended = [&chat[..], &[markup(" </s>\n")]].concat();
    let sample = tokenizer.sample(&ended).unwrap();
    let trained: Vec<u32> = sample.trained().collect();
    assert_eq!(tokenizer.decode(&trained).unwrap(), "Honey ");
    assert_eq!((trained.last(), sample.ids().last()), (Some(&2), Some(&2)));
    assert_eq!(trained.iter().filter(|id| **id == 2).count(), 1);

    let unended = [&chat[..], &[markup("\n")]].concat();
    let sample = tokenizer.sample(&unended).unwrap();
    assert_eq!(tokenizer.decode(&sample.trained().collect::<Vec<_>>()).unwrap(), "Honey");
    assert_eq!(sample.ids().last(), Some(&2));
}

#[test]
fn a_sample_without_an_answer_is_refused() {
    let tokenizer = trained();
    for segments in [vec![text("Tea\n")], vec![text("Tea\n"), answer("")], vec![]] {
        assert!(matches!(tokenizer.sample(&segments), Err(Error::NoTokens { .. })));
    }
}
