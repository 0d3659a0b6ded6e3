//! Models from the Hugging Face hub.

mod pieces;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hf_hub::progress::{DownloadEvent, FileProgress, ProgressEvent, ProgressHandler};
use hf_hub::repository::{RepoTreeEntry, RepoTypeModel};
use hf_hub::{HFClient, HFClientSync, HFError, HFRepositorySync, split_id};

use self::pieces::Pieces;
use crate::checkpoint::CONFIG;
use crate::error::{Error, Result};
use crate::shards::Shards;

/// The files of a repository that a checkpoint needs, the weights last; pickled and second copies of these are left out.
const FILES: [&str; 3] = ["*.json", "*.jinja", "model*.safetensors"];

/// Whether [`FILES`] name a file.
fn is_wanted(path: &str) -> bool {
    is_weights(path) || path.ends_with(".json") || path.ends_with(".jinja")
}

fn is_weights(path: &str) -> bool {
    path.starts_with("model") && path.ends_with(".safetensors")
}

/// How far a download is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadProgress<'a> {
    /// The file that some bytes came of.
    pub file: &'a str,
    /// Its bytes that are here.
    pub bytes: u64,
    /// All its bytes.
    pub total: u64,
}

type OnProgress = Arc<dyn Fn(DownloadProgress<'_>) + Send + Sync>;

/// A model `owner/name` on the hub.
///
/// What is fetched lies in the cache that Python's libraries share (`HF_HOME`), one folder a revision;
/// what is there already is not fetched again, and the download of a large file that broke off goes on where it
/// ended: such files come in pieces, one after the other. Files are checked against the sizes that the hub tells.
/// Where the hub does not answer, the cached revision serves, if it is whole. Without a token, that of `HF_TOKEN`
/// or of `hf auth login` is used.
#[derive(Clone)]
pub struct HubModel {
    id: String,
    revision: Option<String>,
    token: Option<String>,
    endpoint: Option<String>,
    cache: Option<PathBuf>,
    offline: bool,
    weights: bool,
    piece: u64,
    on_progress: Option<OnProgress>,
}

/// Bytes of a piece of a large file.
const PIECE: u64 = 64 << 20;

impl fmt::Debug for HubModel {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, revision, endpoint, cache, offline, .. } = self;
        f.debug_struct("HubModel")
            .field("id", id)
            .field("revision", revision)
            .field("endpoint", endpoint)
            .field("cache", cache)
            .field("offline", offline)
            .finish_non_exhaustive()
    }
}

impl HubModel {
    /// The model at its newest revision.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            revision: None,
            token: None,
            endpoint: None,
            cache: None,
            offline: false,
            weights: true,
            piece: PIECE,
            on_progress: None,
        }
    }

    /// The model that a name stands for which may be a folder's as well; `None` if a folder of this name
    /// exists or it cannot be a model's.
    #[must_use]
    pub fn named(folder_or_id: &str) -> Option<Self> {
        let folder = Path::new(folder_or_id);
        // A hub id is `owner/name`; anything else can only be a path, and a missing one.
        let is_id = !folder_or_id.starts_with(['.', '/']) && folder.components().count() == 2;
        (is_id && !folder.exists()).then(|| Self::new(folder_or_id))
    }

    /// A branch, a tag or, to have the same bytes for ever, a commit (default `main`).
    #[must_use]
    pub fn with_revision(self, revision: impl Into<String>) -> Self {
        Self { revision: Some(revision.into()), ..self }
    }

    /// The token that opens models which are not open to all.
    #[must_use]
    pub fn with_token(self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self }
    }

    /// Another hub (default `HF_ENDPOINT`, or the public one).
    #[must_use]
    pub fn with_endpoint(self, url: impl Into<String>) -> Self {
        Self { endpoint: Some(url.into()), ..self }
    }

    /// Another cache folder (default `HF_HUB_CACHE`, or `hub` in `HF_HOME`).
    #[must_use]
    pub fn with_cache(self, folder: impl Into<PathBuf>) -> Self {
        Self { cache: Some(folder.into()), ..self }
    }

    /// Looks in the cache alone.
    #[must_use]
    pub fn offline(self) -> Self {
        Self { offline: true, ..self }
    }

    /// Leaves the weights on the hub: what is fetched is for
    /// [`Checkpoint::open_without_weights`](crate::Checkpoint::open_without_weights).
    #[must_use]
    pub fn without_weights(self) -> Self {
        Self { weights: false, ..self }
    }

    /// Fetches files that are larger in pieces of so many bytes, at least one; what a broken connection loses is
    /// less than a piece (default 64 MiB).
    #[must_use]
    pub fn with_piece(self, bytes: u64) -> Self {
        Self { piece: bytes.max(1), ..self }
    }

    /// Tells how far each file is, from a thread of the download; it must return soon.
    #[must_use]
    pub fn with_progress(
        self,
        on_progress: impl Fn(DownloadProgress<'_>) + Send + Sync + 'static,
    ) -> Self {
        Self { on_progress: Some(Arc::new(on_progress)), ..self }
    }

    /// Fetches what the cache lacks and returns the folder of the revision.
    ///
    /// # Errors
    /// [`Error::NotCached`] offline, if the cache does not hold the revision; [`Error::Hub`] if the hub
    /// cannot give the model and the cache does not hold it.
    pub fn fetch(&self) -> Result<PathBuf> {
        let failed = |source| Error::Hub { id: self.id.clone(), source: Box::new(brief(source)) };
        let mut client = HFClient::builder();
        if let Some(token) = &self.token {
            client = client.token(token);
        }
        if let Some(endpoint) = &self.endpoint {
            client = client.endpoint(endpoint);
        }
        if let Some(cache) = &self.cache {
            client = client.cache_dir(cache);
        }
        let client = client.build().map_err(failed)?;
        let cache = client.cache_dir().to_owned();
        let (owner, name) = split_id(&self.id);
        let repository = HFClientSync::from_inner(client).map_err(failed)?.model(owner, name);
        // The library takes a folder for whole as soon as it is there.
        let cached = || {
            let folder = self.snapshot(&repository, true, &[]).ok();
            folder.filter(|folder| self.is_whole(folder))
        };
        if self.offline {
            return cached().ok_or_else(|| self.not_cached(&cache));
        }
        tracing::info!(model = self.id, "fetching from the hub");
        match self.fetch_from(&repository, &cache) {
            Ok(Fetch { folder, commit, files }) => {
                // Unless the branch has moved on in between.
                if folder.ends_with(commit) {
                    check_sizes(&folder, &files)?;
                }
                Ok(folder)
            }
            Err(error) => {
                let folder = is_unreachable(&error).then(cached).flatten();
                let folder = folder.ok_or_else(|| failed(error))?;
                tracing::warn!(
                    model = self.id,
                    "no answer from the hub: the cached revision serves"
                );
                Ok(folder)
            }
        }
    }

    /// Large files in pieces, then what is left and the revision's folder as the library does it.
    fn fetch_from(&self, repository: &Repository, cache: &Path) -> Result<Fetch, HFError> {
        let info = repository.info().revision(self.revision()).send()?;
        let commit = info.sha.unwrap_or_else(|| self.revision().to_owned());
        let mut files = repository.list_tree().revision(commit.as_str()).recursive(true).send()?;
        files.retain(|entry| match entry {
            RepoTreeEntry::File { path, .. } => self.weights || !is_weights(path),
            _ => true,
        });
        let pieces = Pieces {
            repository,
            cache,
            folder: format!("models--{}", self.id.replace('/', "--")),
            commit: &commit,
            size: self.piece,
            on_progress: self.on_progress.as_ref(),
        };
        let fetched = pieces.fetch(&files)?;
        let told: Vec<String> = fetched.iter().map(|fetched| fetched.path.clone()).collect();
        let folder = self.snapshot(repository, false, &told)?;
        fetched.into_iter().for_each(|fetched| fetched.settle(&folder));
        Ok(Fetch { folder, commit, files })
    }

    /// The revision's folder; progress of files that were `told` about is left out.
    fn snapshot(
        &self,
        repository: &Repository,
        local_files_only: bool,
        told: &[String],
    ) -> Result<PathBuf, HFError> {
        let wanted = if self.weights { &FILES[..] } else { &FILES[..2] };
        let handler = self.on_progress.clone().map(|tell| Handler { tell, told: told.to_vec() });
        repository
            .snapshot_download()
            .allow_patterns(wanted.iter().map(|&pattern| pattern.to_owned()).collect::<Vec<_>>())
            .maybe_revision(self.revision.clone())
            .maybe_progress(handler.map(hf_hub::progress::Progress::new))
            .local_files_only(local_files_only)
            .send()
    }

    /// Whether a folder has a config and all weights that belong to it, where they are wanted.
    fn is_whole(&self, folder: &Path) -> bool {
        let has_weights = || {
            let shards = Shards::of(folder);
            shards.is_ok_and(|shards| shards.files.iter().all(|file| file.is_file()))
        };
        folder.join(CONFIG).is_file() && (!self.weights || has_weights())
    }

    fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or("main")
    }

    fn not_cached(&self, cache: &Path) -> Error {
        Error::NotCached {
            id: self.id.clone(),
            revision: self.revision().to_owned(),
            cache: cache.to_owned(),
        }
    }
}

type Repository = HFRepositorySync<RepoTypeModel>;

/// A revision that was fetched, and what the hub lists of it.
struct Fetch {
    folder: PathBuf,
    commit: String,
    files: Vec<RepoTreeEntry>,
}

/// Compares the fetched files with what the hub told, and removes from the cache what is not as long: an answer
/// that was cut off, or the page of a server in between.
fn check_sizes(folder: &Path, files: &[RepoTreeEntry]) -> Result<()> {
    for entry in files {
        let RepoTreeEntry::File { size, path, .. } = entry else { continue };
        let file = folder.join(path);
        let Ok(found) = std::fs::metadata(&file) else { continue };
        if is_wanted(path) && found.len() != *size {
            let blob = std::fs::canonicalize(&file).unwrap_or_else(|_| file.clone());
            for path in [&file, &blob] {
                let _ = std::fs::remove_file(path);
            }
            return Err(Error::FetchedSize { path: file, expected: *size, found: found.len() });
        }
    }
    Ok(())
}

/// Whether the hub did not answer, or with a fault of its own, so that another time it may.
fn is_unreachable(error: &HFError) -> bool {
    match error {
        HFError::Request { source, .. } => source.is_connect() || source.is_timeout(),
        HFError::Http { context } => context.status.is_server_error(),
        _ => false,
    }
}

/// The same with its address told once.
fn brief(error: HFError) -> HFError {
    match error {
        HFError::Request { source, url } => {
            let url = url.or_else(|| source.url().map(ToString::to_string));
            HFError::Request { source: source.without_url(), url }
        }
        error => error,
    }
}

impl Error {
    /// Whether the hub did not answer, or with a fault of its own: a folder that holds the model needs none.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Hub { source, .. } if is_unreachable(source))
    }
}

/// Passes on the bytes of files.
struct Handler {
    tell: OnProgress,
    /// Files that are not to be told about again.
    told: Vec<String>,
}

impl ProgressHandler for Handler {
    fn on_progress(&self, event: &ProgressEvent) {
        let ProgressEvent::Download(DownloadEvent::Progress { files }) = event else { return };
        for FileProgress { filename, bytes_completed, total_bytes, .. } in files {
            // The library tells of files without a length where nothing is to be fetched.
            if *total_bytes > 0 && !self.told.contains(filename) {
                let (file, bytes, total) = (filename, *bytes_completed, *total_bytes);
                (self.tell)(DownloadProgress { file, bytes, total });
            }
        }
    }
}
