//! The hub's protocol, spoken by a server on loopback: redirects, etags, refusals, broken connections.
#![expect(clippy::unwrap_used, reason = "a test may fail and say why")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use burn::tensor::Device;
use nextcart_models::{
    Checkpoint, Error, HubModel, LlamaConfig, SaveOptions, available_space, save_checkpoint_with,
};
use sha2::{Digest, Sha256};

const ID: &str = "shop/tiny";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const LATER: &str = "76543210fedcba9876543210fedcba9876543210";

/// What the server has and how it behaves.
#[derive(Default)]
struct Hub {
    files: BTreeMap<String, Vec<u8>>,
    token: Option<&'static str>,
    /// How many answers with weights break off half way.
    broken: usize,
    /// How many answers with weights are a page that says to come again.
    busy: usize,
    /// Whether the branch stands at its second commit.
    moved: bool,
    /// What it says that every file of weights is long, instead of the truth.
    said: Option<usize>,
    /// Whether all of a file is sent, whatever part was asked for.
    whole: bool,
    /// Request lines, in their order.
    seen: Vec<String>,
}

impl Hub {
    fn commit(&self) -> &'static str {
        if self.moved { LATER } else { COMMIT }
    }
}

type Shared = Arc<Mutex<Hub>>;

/// Serves until the process ends; gives the address.
fn serve(hub: Hub) -> (String, Shared) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let hub = Arc::new(Mutex::new(hub));
    let (shared, base) = (hub.clone(), url.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (hub, base) = (shared.clone(), base.clone());
            std::thread::spawn(move || answer(&stream, &hub, &base));
        }
    });
    (url, hub)
}

fn answer(stream: &TcpStream, hub: &Shared, base: &str) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let mut parts = request.split(' ');
    let (method, target) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let mut hub = hub.lock().unwrap();
    hub.seen.push(format!("{method} {path}"));
    let given = headers.iter().find_map(|line| line.strip_prefix("authorization: Bearer "));
    if hub.token.is_some() && given != hub.token && !path.starts_with("/cdn/") {
        return send(stream, "401 Unauthorized", "", b"{}", true);
    }
    let resolve = format!("/{ID}/resolve/{}/", hub.commit());
    if path == format!("/api/models/{ID}/revision/main")
        || path == format!("/api/models/{ID}/revision/{}", hub.commit())
    {
        let commit = hub.commit();
        let body = format!("{{\"sha\": \"{commit}\", \"id\": \"{ID}\", \"siblings\": []}}");
        send(stream, "200 OK", "content-type: application/json\r\n", body.as_bytes(), true);
    } else if path == format!("/api/models/{ID}/tree/{}", hub.commit()) {
        let entries: Vec<String> = hub
            .files
            .iter()
            .map(|(name, bytes)| {
                let said = hub.said.filter(|_| is_large(name));
                let size = said.unwrap_or(bytes.len());
                let lfs = match is_large(name) {
                    true => format!("\"lfs\": {{\"oid\": \"{}\", \"size\": {size}}},", digest(bytes)),
                    false => String::new(),
                };
                format!(
                    "{{\"type\": \"file\", \"oid\": \"p-{name}\", {lfs} \"size\": {size}, \"path\": \"{name}\"}}"
                )
            })
            .collect();
        let body = format!("[{}]", entries.join(","));
        send(stream, "200 OK", "content-type: application/json\r\n", body.as_bytes(), true);
    } else if let Some(name) = path.strip_prefix(&resolve) {
        let Some(bytes) = hub.files.get(name) else {
            return send(stream, "404 Not Found", "x-error-code: EntryNotFound\r\n", b"", true);
        };
        let about = format!("x-repo-commit: {}\r\netag: \"{name}-1\"\r\n", hub.commit());
        // Weights lie on another host; what is small is answered at once.
        if is_large(name) {
            let headers = format!(
                "{about}x-linked-etag: \"{}\"\r\nx-linked-size: {}\r\nlocation: {base}/cdn/{name}\r\n",
                digest(bytes),
                bytes.len()
            );
            send(stream, "302 Found", &headers, b"", true);
        } else {
            send(stream, "200 OK", &about, bytes, method == "GET");
        }
    } else if let Some(bytes) = path.strip_prefix("/cdn/").and_then(|name| hub.files.get(name)) {
        let range = headers.iter().find_map(|line| line.strip_prefix("range: bytes="));
        let range = range.filter(|_| !hub.whole);
        let bytes = match range.and_then(|range| range.split_once('-')) {
            Some((from, to)) => bytes[from.parse().unwrap()..=to.parse().unwrap()].to_vec(),
            None => bytes.clone(),
        };
        if let Some(range) = range {
            hub.seen.push(format!("range {range}"));
        }
        if method == "GET" && hub.busy > 0 {
            hub.busy -= 1;
            return send(stream, "200 OK", "", b"<html>come again</html>", true);
        }
        if method == "GET" && hub.broken > 0 {
            hub.broken -= 1;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", bytes.len());
            let half = [head.as_bytes(), &bytes[..bytes.len() / 2]].concat();
            let _ = (&*stream).write_all(&half);
            return;
        }
        let status = if range.is_some() { "206 Partial Content" } else { "200 OK" };
        send(stream, status, "", &bytes, method == "GET");
    } else {
        send(stream, "404 Not Found", "x-error-code: RepoNotFound\r\n", b"{}", true);
    }
}

/// What is stored apart from the small files, under the digest of its bytes.
fn is_large(name: &str) -> bool {
    name.ends_with(".safetensors")
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An answer; to HEAD without the body whose length it tells.
fn send(mut stream: &TcpStream, status: &str, headers: &str, body: &[u8], with_body: bool) {
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let body = if with_body { body } else { &[] };
    let _ = stream.write_all(&[head.as_bytes(), body].concat());
}

/// A model in two shards, with a file that no checkpoint needs.
fn hub() -> Hub {
    let folder = tempfile::tempdir().unwrap();
    let config = LlamaConfig { layers: 1, ..LlamaConfig::tiny(40) };
    let options = SaveOptions { max_shard_bytes: 1_000_000, ..SaveOptions::default() };
    let model = config.init(3, &Device::flex());
    save_checkpoint_with(folder.path(), &model, &config, None, &options).unwrap();
    let mut files: BTreeMap<String, Vec<u8>> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
        })
        .collect();
    assert_eq!(files.keys().filter(|name| name.ends_with(".safetensors")).count(), 2);
    files.insert("pytorch_model.bin".to_owned(), b"code".to_vec());
    Hub { files, ..Hub::default() }
}

fn model(url: &str, cache: &Path) -> HubModel {
    HubModel::new(ID).with_endpoint(url).with_cache(cache)
}

/// An address where nobody listens.
fn nobody() -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("http://127.0.0.1:{port}")
}

fn seen(hub: &Shared, what: &str) -> usize {
    hub.lock().unwrap().seen.iter().filter(|line| line.contains(what)).count()
}

#[test]
fn a_model_is_fetched_once_over_redirects_into_the_shared_cache() {
    let cache = tempfile::tempdir().unwrap();
    let (url, hub) = serve(hub());
    let told = Arc::new(Mutex::new(BTreeMap::new()));
    let tell = told.clone();
    let folder = model(&url, cache.path())
        .with_progress(move |progress| {
            let mut told = tell.lock().unwrap();
            told.insert(progress.file.to_owned(), (progress.bytes, progress.total));
        })
        .fetch()
        .unwrap();
    assert!(folder.ends_with(format!("models--shop--tiny/snapshots/{COMMIT}")), "{folder:?}");
    let checkpoint = Checkpoint::open(&folder).unwrap();
    checkpoint.load(&Device::flex()).unwrap();
    assert!(!folder.join("pytorch_model.bin").exists(), "no pickle is fetched");
    let told = told.lock().unwrap();
    let weights: Vec<_> = told.iter().filter(|(name, _)| name.ends_with(".safetensors")).collect();
    assert_eq!(weights.len(), 2);
    assert!(weights.iter().all(|(_, (bytes, total))| bytes == total && *total > 100_000));
    drop(told);

    let bodies = seen(&hub, "GET /cdn/");
    assert_eq!(bodies, 2);
    assert_eq!(model(&url, cache.path()).fetch().unwrap(), folder);
    assert_eq!(seen(&hub, "GET /cdn/"), bodies, "what is there is not fetched again");
    // A commit stands for its bytes.
    assert_eq!(model(&url, cache.path()).with_revision(COMMIT).fetch().unwrap(), folder);
}

#[test]
fn the_cache_serves_offline_and_where_no_hub_answers() {
    let cache = tempfile::tempdir().unwrap();
    let error = model(&nobody(), cache.path()).offline().fetch().unwrap_err();
    let Error::NotCached { id, revision, cache: named } = &error else { panic!("{error:?}") };
    assert_eq!((id.as_str(), revision.as_str(), named.as_path()), (ID, "main", cache.path()));
    assert!(error.to_string().ends_with("offline, nothing was fetched"), "{error}");

    let (url, hub) = serve(hub());
    let folder = model(&url, cache.path()).fetch().unwrap();
    let before = hub.lock().unwrap().seen.len();
    assert_eq!(model(&url, cache.path()).offline().fetch().unwrap(), folder);
    assert_eq!(hub.lock().unwrap().seen.len(), before, "offline means that nothing is asked");
    // Nothing listens there.
    assert_eq!(model(&nobody(), cache.path()).fetch().unwrap(), folder);
}

#[test]
fn without_weights_little_is_fetched_and_the_rest_when_it_is_wanted() {
    let cache = tempfile::tempdir().unwrap();
    let (url, hub) = serve(hub());
    let whole = model(&url, cache.path());
    let described = whole.clone().without_weights();
    let folder = described.fetch().unwrap();
    assert_eq!(seen(&hub, "/cdn/"), 0);
    let checkpoint = Checkpoint::open_without_weights(&folder).unwrap();
    assert_eq!(checkpoint.config().layers, 1);
    assert!(checkpoint.load(&Device::flex()).is_err());
    let path = "model.layers.0.self_attn.q_proj";
    assert!(checkpoint.projection_weight(path, &Device::flex()).is_err());
    assert_eq!(described.offline().fetch().unwrap(), folder);
    let error = whole.clone().offline().fetch().unwrap_err();
    assert!(matches!(error, Error::NotCached { .. }), "{error}");

    assert_eq!(whole.fetch().unwrap(), folder);
    assert_eq!(seen(&hub, "GET /cdn/"), 2);
    checkpoint.load(&Device::flex()).unwrap();
    checkpoint.projection_weight(path, &Device::flex()).unwrap();
}

#[test]
fn a_refusal_is_told_and_a_token_opens() {
    let cache = tempfile::tempdir().unwrap();
    let (url, _) = serve(Hub { token: Some("hf_secret"), ..hub() });
    let closed = model(&url, cache.path()).with_token("hf_wrong");
    assert!(!format!("{closed:?}").contains("hf_wrong"), "a token is not shown");
    let error = closed.fetch().unwrap_err();
    let Error::Hub { id, source } = &error else { panic!("{error:?}") };
    assert_eq!(id, ID);
    assert!(source.to_string().contains("Authentication required"), "{source}");
    let told = error.to_string();
    assert!(told.contains("accept its terms") && told.contains("`HF_TOKEN`"), "{told}");
    model(&url, cache.path()).with_token("hf_secret").fetch().unwrap();
}

#[test]
fn a_model_that_is_not_there_is_named() {
    let cache = tempfile::tempdir().unwrap();
    let (url, _) = serve(hub());
    let error = HubModel::new("shop/none").with_endpoint(&url).with_cache(cache.path()).fetch();
    let Err(Error::Hub { id, source }) = error else { panic!("an error") };
    assert_eq!(id, "shop/none");
    assert!(source.to_string().contains("not found"), "{source}");
    let error = model(&url, cache.path()).with_revision("v9").fetch().unwrap_err();
    assert!(matches!(error, Error::Hub { .. }), "{error}");
}

#[test]
fn a_broken_connection_leaves_no_half_of_a_file_and_the_next_try_goes_on() {
    let cache = tempfile::tempdir().unwrap();
    let (url, hub) = serve(Hub { broken: 1, ..hub() });
    let error = model(&url, cache.path()).fetch().unwrap_err();
    assert!(matches!(error, Error::Hub { .. }), "{error}");
    let folder = model(&url, cache.path()).fetch().unwrap();
    Checkpoint::open(&folder).unwrap().load(&Device::flex()).unwrap();
    assert!(seen(&hub, "GET /cdn/") <= 4);
}

#[test]
fn what_the_disk_has_no_room_for_is_not_begun() {
    let cache = tempfile::tempdir().unwrap();
    if available_space(cache.path()).is_none() {
        println!("SKIPPED: the system does not tell how much room there is");
        return;
    }
    let (url, hub) = serve(Hub { said: Some(1 << 50), ..hub() });
    let error = model(&url, cache.path()).fetch().unwrap_err();
    let Error::Hub { source, .. } = &error else { panic!("{error:?}") };
    let told = source.to_string();
    let expected =
        format!("2251799814 MB are to be fetched into `{}`, whose", cache.path().display());
    assert!(told.contains(&expected) && told.contains("`HF_HOME`"), "{told}");
    assert_eq!(seen(&hub, "/cdn/"), 0);
    // What little there is of a model to plan with does not need the room.
    model(&url, cache.path()).without_weights().fetch().unwrap();
}

#[test]
fn a_large_file_goes_on_where_it_ended() {
    let cache = tempfile::tempdir().unwrap();
    let (url, hub) = serve(hub());
    let largest = hub.lock().unwrap().files.values().map(Vec::len).max().unwrap();
    let piece = largest as u64 / 5;
    let model = model(&url, cache.path()).with_piece(piece);
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = told.clone();
    let told_once = model.clone().with_progress(move |progress| {
        tell.lock().unwrap().push((progress.file.to_owned(), progress.bytes, progress.total));
    });
    // The third piece breaks off.
    let breaking = {
        let hub = hub.clone();
        model.clone().with_progress(move |progress| {
            if progress.bytes == 2 * piece {
                hub.lock().unwrap().broken = 1;
            }
        })
    };
    assert!(matches!(breaking.fetch().unwrap_err(), Error::Hub { .. }));
    let blobs = cache.path().join("models--shop--tiny/blobs");
    let partial: Vec<_> = fs::read_dir(&blobs).unwrap().map(|file| file.unwrap()).collect();
    assert_eq!(partial.len(), 1);
    assert_eq!(partial[0].metadata().unwrap().len(), 2 * piece);

    let before = hub.lock().unwrap().seen.len();
    let folder = told_once.fetch().unwrap();
    let first =
        hub.lock().unwrap().seen[before..].iter().find(|line| line.starts_with("range")).cloned();
    assert_eq!(first.unwrap(), format!("range {}-{}", 2 * piece, 3 * piece - 1));
    Checkpoint::open(&folder).unwrap().load(&Device::flex()).unwrap();
    for (name, bytes) in &hub.lock().unwrap().files {
        if is_large(name) {
            assert_eq!(&fs::read(folder.join(name)).unwrap(), bytes);
            assert!(blobs.join(digest(bytes)).is_file(), "as Python's cache names it");
        }
    }
    let told = told.lock().unwrap();
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for (file, bytes, total) in told.iter().filter(|(file, ..)| is_large(file)) {
        assert!(last.get(&**file).is_none_or(|before| before < bytes), "{told:?}");
        assert!(bytes <= total);
        last.insert(file, *bytes);
    }
    assert!(told.iter().all(|(_, _, total)| *total > 0));
    assert!(
        !fs::read_dir(&blobs)
            .unwrap()
            .any(|f| f.unwrap().path().extension() == Some("partial".as_ref()))
    );

    // All of it is there: no range is asked for again.
    let ranges = seen(&hub, "range");
    model.fetch().unwrap();
    assert_eq!(seen(&hub, "range"), ranges);
}

#[test]
fn a_later_revision_fetches_what_changed() {
    let cache = tempfile::tempdir().unwrap();
    let (url, hub) = serve(hub());
    let model = model(&url, cache.path()).with_piece(200_000);
    model.fetch().unwrap();
    let names: Vec<String> =
        hub.lock().unwrap().files.keys().filter(|name| is_large(name)).cloned().collect();
    // One shard gets another last value; sizes stay.
    let mut changed = hub.lock().unwrap();
    *changed.files.get_mut(&names[0]).unwrap().last_mut().unwrap() ^= 1;
    changed.moved = true;
    let before = changed.seen.len();
    drop(changed);
    let folder = model.fetch().unwrap();
    assert!(folder.ends_with(LATER));
    let hub = hub.lock().unwrap();
    for name in &names {
        assert_eq!(&fs::read(folder.join(name)).unwrap(), &hub.files[name]);
    }
    let later = &hub.seen[before..];
    assert!(later.iter().filter(|line| line.starts_with("range")).count() > 2, "in pieces again");
    let bodies = later.iter().filter(|line| **line == format!("GET /cdn/{}", names[1])).count();
    assert_eq!(bodies, 1, "of the other file its end alone, to compare");
}

#[test]
fn bytes_that_are_not_the_hubs_are_not_used() {
    let cache = tempfile::tempdir().unwrap();
    let (url, hub) = serve(hub());
    let largest = hub.lock().unwrap().files.values().map(Vec::len).max().unwrap() as u64;
    let model = model(&url, cache.path()).with_piece(largest / 2);
    let breaking = {
        let hub = hub.clone();
        model.clone().with_progress(move |_| hub.lock().unwrap().broken = 1)
    };
    breaking.fetch().unwrap_err();
    hub.lock().unwrap().broken = 0;
    let blobs = cache.path().join("models--shop--tiny/blobs");
    let partial = fs::read_dir(&blobs).unwrap().next().unwrap().unwrap().path();
    assert_eq!(partial.extension().unwrap(), "partial");
    let mut bytes = fs::read(&partial).unwrap();
    bytes[9] ^= 1;
    fs::write(&partial, bytes).unwrap();
    let folder = model.fetch().unwrap();
    let hub = hub.lock().unwrap();
    for (name, bytes) in hub.files.iter().filter(|(name, _)| is_large(name)) {
        assert_eq!(&fs::read(folder.join(name)).unwrap(), bytes);
    }
    let large = hub.files.iter().filter(|(name, _)| is_large(name)).count();
    let left = fs::read_dir(&blobs)
        .unwrap()
        .filter(|file| file.as_ref().unwrap().metadata().unwrap().len() > 100_000);
    assert_eq!(left.count(), large, "the wrong bytes are gone");
}

#[test]
fn a_server_that_gives_no_pieces_gives_the_whole() {
    let cache = tempfile::tempdir().unwrap();
    let (url, _) = serve(Hub { whole: true, ..hub() });
    let folder = model(&url, cache.path()).with_piece(200_000).fetch().unwrap();
    Checkpoint::open(&folder).unwrap().load(&Device::flex()).unwrap();
}

#[test]
fn a_page_in_place_of_a_file_is_not_kept() {
    let cache = tempfile::tempdir().unwrap();
    let (url, _) = serve(Hub { busy: 1, ..hub() });
    let model = model(&url, cache.path());
    let error = model.fetch().unwrap_err();
    let Error::FetchedSize { path, expected, found } = &error else { panic!("{error:?}") };
    assert!(path.to_string_lossy().ends_with(".safetensors") && *expected > 100_000);
    assert_eq!(*found, 23);
    Checkpoint::open(model.fetch().unwrap()).unwrap();
    // In pieces, too.
    let cache = tempfile::tempdir().unwrap();
    let (url, _) = serve(Hub { busy: 1, ..hub() });
    let model = self::model(&url, cache.path()).with_piece(50_000);
    assert!(matches!(model.fetch().unwrap_err(), Error::Hub { .. }));
    Checkpoint::open(model.fetch().unwrap()).unwrap();
}

/// A revision of which a part is there is not taken for whole.
#[test]
fn a_part_of_a_revision_is_no_model() {
    let cache = tempfile::tempdir().unwrap();
    let (url, _) = serve(Hub { broken: 9, ..hub() });
    let pinned = model(&url, cache.path()).with_revision(COMMIT);
    for _ in 0..2 {
        assert!(matches!(pinned.fetch(), Err(Error::Hub { .. })));
    }
    let error = pinned.clone().offline().fetch().unwrap_err();
    assert!(matches!(error, Error::NotCached { .. }), "{error}");
    let error = pinned.with_endpoint(nobody()).fetch().unwrap_err();
    assert!(matches!(error, Error::Hub { .. }), "{error}");
}

#[test]
fn a_name_is_a_folder_first() {
    assert!(HubModel::named("shop/tiny").is_some());
    for path in ["./shop/tiny", "/shop/tiny", "tiny", "a/b/c", "crates/../src", "src/lib.rs"] {
        assert!(HubModel::named(path).is_none(), "{path}");
    }
}
