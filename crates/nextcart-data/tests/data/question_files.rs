//! Question files: written and read back, and what a reader refuses.

use std::{fs::File, path::Path, sync::Arc};

use arrow::{
    array::{
        ArrayRef, Int32Array, Int64Array, LargeListBuilder, ListBuilder, RecordBatch, StringArray,
        StringBuilder,
    },
    datatypes::Schema,
};
use nextcart_data::{
    Error, Part, Product, Purchase, Question, read_any_questions, read_questions,
    read_seed_questions, write_questions,
};
use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};

use crate::common::{names, write};

fn product(name: &str) -> Product {
    Product {
        item: name.into(),
        title: format!("A {name}"),
        brand: None,
        category: vec![],
        price: None,
    }
}

fn question(id: &str) -> Question {
    let full = Product {
        brand: Some("Larkspur".into()),
        category: vec!["Grocery".into(), "Tea & Coffee".into()],
        price: Some(3.5),
        ..product("tea")
    };
    Question {
        id: id.into(),
        user: "u".into(),
        part: Part::Validation,
        time: Some(-5),
        history: vec![
            Purchase { product: full.clone(), time: Some(1), rating: Some(4.0) },
            Purchase { product: product("oats"), time: None, rating: None },
        ],
        candidates: vec![product("rice"), full, product("mugs")],
        answer: 2,
        excluded: Vec::new(),
    }
}

#[test]
fn every_field_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("questions.parquet");
    // More than a batch, with empty histories and questions without a time among them.
    let questions: Vec<Question> = (0..5000)
        .map(|i| {
            let mut question = question(&i.to_string());
            question.answer = i % 3;
            question.part = [Part::Train, Part::Validation, Part::Test][i % 3];
            if i % 7 == 0 {
                question.history.clear();
                question.time = None;
            }
            question
        })
        .collect();
    write_questions(&path, &questions).unwrap();
    assert_eq!(read_questions(&path).unwrap(), questions);
    assert_eq!(read_any_questions(&path).unwrap(), questions);
    write_questions(&path, &[]).unwrap();
    assert_eq!(read_questions(&path).unwrap(), []);
    assert_eq!(names(folder.path()), ["questions.parquet".to_owned()].into());
}

#[test]
fn an_answer_that_is_no_candidate_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let question = Question { answer: 3, ..question("q1") };
    let error = write_questions(folder.path().join("q.parquet"), &[question]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "question `q1`: expected an answer below 3, the number of its candidates, found 3"
    );
    assert!(names(folder.path()).is_empty());
}

/// Replaces (or, without an array, removes) a column of a good file of three questions.
#[track_caller]
fn check_column(column: &str, with: Option<ArrayRef>, expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("q.parquet");
    write_questions(&path, &["a", "b", "c"].map(question)).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
    let batch = reader.build().unwrap().next().unwrap().unwrap();
    let schema = batch.schema();
    let columns = schema.fields().iter().filter_map(|field| {
        let name = field.name().clone();
        if name == column {
            Some((name, with.clone()?))
        } else {
            Some((name, batch[field.name().as_str()].clone()))
        }
    });
    save(&path, &RecordBatch::try_from_iter(columns).unwrap());
    let error = read_questions(&path).unwrap_err();
    assert_eq!(error.to_string().replace(&format!("{}/", folder.path().display()), ""), expected);
}

fn save(path: &Path, batch: &RecordBatch) {
    let schema: Arc<Schema> = batch.schema();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), schema, None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn a_bad_column_or_cell_is_named_with_its_row() {
    check_column("user", None, "column `user` in `q.parquet`: expected text, found no such column");
    check_column(
        "id",
        Some(Arc::new(Int64Array::from(vec![1, 2, 3]))),
        "column `id` in `q.parquet`: expected text, found Int64",
    );
    check_column(
        "part",
        Some(Arc::new(StringArray::from(vec!["train", "test", "dev"]))),
        "column `part`, row 2 in `q.parquet`: expected train, validation or test, found `dev`",
    );
    check_column(
        "answer",
        Some(Arc::new(Int32Array::from(vec![0, 3, 0]))),
        "column `answer`, row 1 in `q.parquet`: expected the index of one of 3 candidates, found 3",
    );
    check_column(
        "answer",
        Some(Arc::new(Int32Array::from(vec![Some(0), Some(1), None]))),
        "column `answer`, row 2 in `q.parquet`: expected a whole number, found null",
    );
    check_column(
        "candidates",
        Some(Arc::new(Int32Array::from(vec![0, 1, 2]))),
        "column `candidates` in `q.parquet`: expected lists, found Int32",
    );
}

#[test]
fn what_is_no_question_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = |path: &Path| {
        let error = read_any_questions(path).unwrap_err();
        (error.to_string().replace(&format!("{}/", folder.path().display()), ""), error)
    };
    let absent = folder.path().join("absent.parquet");
    assert_eq!(error(&absent).0, "cannot read `absent.parquet`");
    let empty = write(folder.path(), "empty.parquet", "");
    assert_eq!(error(&empty).0, "`empty.parquet`: expected a Parquet file, found an empty file");
    assert!(matches!(error(folder.path()).1, Error::Folder { .. }));
    let text = write(folder.path(), "text.parquet", "id,user\n1,2\n");
    assert_eq!(error(&text).0, "cannot process the Parquet file `text.parquet`");
    let other = folder.path().join("other.parquet");
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    save(&other, &RecordBatch::try_from_iter([("a", column.clone()), ("b", column)]).unwrap());
    assert_eq!(
        error(&other).0,
        "column `candidates` in `other.parquet`: expected questions (`candidates`) or seed questions \
         (`options`), found the columns `a`, `b`"
    );
}

/// A file like the seed project's, with 64-bit lists as some writers make them.
fn seed_file(folder: &Path, index: Vec<i64>, answers: Vec<&str>) -> std::path::PathBuf {
    let mut history = LargeListBuilder::new(StringBuilder::new());
    let mut options = ListBuilder::new(StringBuilder::new());
    for _ in &index {
        history.append_value([Some("Tea"), Some("Oats")]);
        options.append_value([Some("Rice"), Some("Mugs, 2")]);
    }
    let columns: [(&str, ArrayRef); 4] = [
        ("history", Arc::new(history.finish())),
        ("options", Arc::new(options.finish())),
        ("answer_index", Arc::new(Int64Array::from(index))),
        ("answer", Arc::new(StringArray::from(answers))),
    ];
    let path = folder.join("seed.parquet");
    save(&path, &RecordBatch::try_from_iter(columns).unwrap());
    path
}

#[test]
fn questions_of_the_seed_project_are_imported() {
    let folder = tempfile::tempdir().unwrap();
    let path = seed_file(folder.path(), vec![1, 0], vec!["Mugs, 2", "Rice"]);
    let questions = read_any_questions(&path).unwrap();
    assert_eq!(questions, read_seed_questions(&path).unwrap());
    assert_eq!(questions.len(), 2);
    assert_eq!((questions[0].answer, questions[0].target().title.as_str()), (1, "Mugs, 2"));
    assert_eq!((questions[1].id.as_str(), questions[1].part), ("seed:1", Part::Test));
    assert_eq!(questions[0].history[1].product.title, "Oats");
}

#[track_caller]
fn check_seed(index: i64, answer: &str, expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = seed_file(folder.path(), vec![0, index], vec!["Rice", answer]);
    let error = read_seed_questions(&path).unwrap_err().to_string();
    assert_eq!(error.replace(&format!("{}/", folder.path().display()), ""), expected);
}

#[test]
fn a_seed_answer_that_contradicts_its_index_is_refused() {
    check_seed(
        1,
        "Rice",
        "column `answer`, row 1 in `seed.parquet`: expected `Mugs, 2`, option 1, found `Rice`",
    );
    check_seed(
        2,
        "Rice",
        "column `answer_index`, row 1 in `seed.parquet`: expected the index of one of 2 options, found 2",
    );
}
