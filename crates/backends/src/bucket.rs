//! A file store that is a bucket of an S3-compatible service.
//!
//! A file appears whole when its upload is completed: in one request when it is small, else in parts of which one
//! at a time is in memory. Dropped unfinished, an upload is aborted; what a killed process left uploaded stays
//! invisible and is for the bucket's own lifecycle rule to remove. Files are read in ranges, each its own short request, so that a
//! slow reader meets no time-out; a file replaced meanwhile is an error, not a mixture. Keys and secrets come in
//! through [`Credentials`], never from the environment, and never go out in messages. Calls block and must not come
//! from asynchronous code.

use bytes::{Buf as _, Bytes};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{HttpError, HttpErrorKind};
use object_store::list::{PaginatedListOptions, PaginatedListStore as _};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, MultipartUpload, ObjectMeta, ObjectStore as _,
    ObjectStoreExt as _, RetryConfig,
};
use secrecy::{ExposeSecret as _, SecretString};
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;
use targets::db::{Error, Result};
use targets::files::{File, Files, NewFile, check_name};
use tokio::runtime::Runtime;

const PART_BYTES: usize = 16 << 20;
/// The service's limit.
const MOST_PARTS: usize = 10_000;
const READ_BYTES: u64 = 8 << 20;

/// How to reach a bucket.
#[derive(Debug, Clone)]
pub struct BucketOptions {
    /// Address of a service that is not AWS, with `https://` or `http://`.
    pub endpoint: Option<String>,
    /// `us-east-1` unless told.
    pub region: Option<String>,
    /// Who asks.
    pub credentials: Credentials,
    /// The bucket is named in the path, not in the host name; most services that are not AWS need this.
    pub path_style: bool,
    /// Plain `http://` is allowed.
    pub allow_http: bool,
    /// How often a failed request is tried again, after 1, 2, 4 … seconds with jitter.
    pub retries: usize,
}

impl Default for BucketOptions {
    fn default() -> Self {
        let credentials = Credentials::Instance;
        Self { endpoint: None, region: None, credentials, path_style: false, allow_http: false, retries: 3 }
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A key pair, with a token when it is temporary.
    Keys {
        /// The public half.
        access_key: String,
        /// The secret half.
        secret_key: SecretString,
        /// The session token.
        token: Option<SecretString>,
    },
    /// The role of the machine this runs on.
    Instance,
    /// Nobody: requests are not signed.
    Anonymous,
}

/// A bucket, or the part of one under a prefix, as a file store.
pub struct Bucket {
    shared: Arc<Shared>,
}

struct Shared {
    label: String,
    bucket: String,
    /// Empty, or ends with `/`.
    prefix: String,
    store: AmazonS3,
    runtime: Runtime,
}

impl Bucket {
    /// A store at `s3://bucket` or `s3://bucket/prefix`. Connects only when something is asked.
    pub fn new(label: impl Into<String>, url: &str, options: BucketOptions) -> Result<Self> {
        let label = label.into();
        let (bucket, prefix) = parse(&label, url)?;
        let store = connect(&label, &bucket, options)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::system(format!("cannot prepare bucket `{label}`")).because(error))?;
        Ok(Self { shared: Arc::new(Shared { label, bucket, prefix, store, runtime }) })
    }
}

impl Files for Bucket {
    fn label(&self) -> &str {
        &self.shared.label
    }

    fn create(&self, name: &str) -> Result<Box<dyn NewFile>> {
        let path = self.shared.path(name)?;
        let shared = Arc::clone(&self.shared);
        Ok(Box::new(Upload {
            shared,
            name: name.to_owned(),
            path,
            buffer: Vec::new(),
            parts: 0,
            begun: None,
        }))
    }

    fn open(&self, name: &str) -> Result<Box<dyn Read + Send>> {
        let path = self.shared.path(name)?;
        let there = self.shared.head("open", name, &path)?;
        let there = there.ok_or_else(|| {
            Error::system(format!("there is no file `{name}` in `{}`", self.shared.label))
                .help(format!("look at what is there in bucket `{}`", self.shared.bucket))
        })?;
        let shared = Arc::clone(&self.shared);
        Ok(Box::new(Download { shared, name: name.to_owned(), there, at: 0, buffer: Bytes::new() }))
    }

    fn list(&self, prefix: &str) -> Result<Vec<File>> {
        let shared = &self.shared;
        let full = format!("{}{prefix}", shared.prefix);
        let mut files = Vec::new();
        let mut page_token = None;
        loop {
            let options = PaginatedListOptions { page_token, ..Default::default() };
            let page =
                shared.store.list_paginated(Some(full.as_str()).filter(|full| !full.is_empty()), options);
            let page = shared.runtime.block_on(page).map_err(|error| shared.failed("list", prefix, error))?;
            files.extend(page.result.objects.into_iter().filter_map(|object| {
                let name = object.location.as_ref().strip_prefix(&shared.prefix)?.to_owned();
                Some(File { name, bytes: object.size, modified_us: object.last_modified.timestamp_micros() })
            }));
            page_token = page.page_token;
            if page_token.is_none() {
                break;
            }
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    fn remove(&self, name: &str) -> Result<bool> {
        let path = self.shared.path(name)?;
        // Deleting what is not there succeeds, so it must be asked first.
        if self.shared.head("remove", name, &path)?.is_none() {
            return Ok(false);
        }
        let deleted = self.shared.runtime.block_on(self.shared.store.delete(&path));
        deleted.map_err(|error| self.shared.failed("remove", name, error))?;
        Ok(true)
    }
}

impl Shared {
    fn path(&self, name: &str) -> Result<Path> {
        check_name(name)?;
        Path::parse(format!("{}{name}", self.prefix)).map_err(|error| {
            Error::usage(format!("`{name}` cannot be the name of a file in `{}`", self.label)).because(error)
        })
    }

    fn head(&self, verb: &str, name: &str, path: &Path) -> Result<Option<ObjectMeta>> {
        match self.runtime.block_on(self.store.head(path)) {
            Ok(meta) => Ok(Some(meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(verb, name, error)),
        }
    }

    fn failed(&self, verb: &str, name: &str, error: object_store::Error) -> Error {
        let what = format!("cannot {verb} `{name}` in `{}`", self.label);
        let bucket = &self.bucket;
        let chain = chain(&error);
        let made = match &error {
            _ if chain.contains("NoSuchBucket") => {
                Error::system(what).help(format!("bucket `{bucket}` does not exist: create it, or correct the name"))
            }
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                Error::system(what).help(format!(
                    "check key, secret and region, and that the key may list, get, put and delete in `{bucket}`"
                ))
            }
            _ if is_passing(&error, &chain) => Error::transient(what)
                .help(format!("check that the service of bucket `{bucket}` is up and can be reached from here")),
            _ => Error::system(what),
        };
        made.because(error)
    }
}

/// An upload: nothing until the first full part, then a multipart upload.
struct Upload {
    shared: Arc<Shared>,
    name: String,
    path: Path,
    buffer: Vec<u8>,
    parts: usize,
    begun: Option<Box<dyn MultipartUpload>>,
}

impl Upload {
    fn send_part(&mut self) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        if self.parts == MOST_PARTS {
            let what = format!("`{}` is too large for `{}`", self.name, shared.label);
            return Err(Error::system(what).help("keep files larger than 156 GiB in a local folder"));
        }
        let part = std::mem::take(&mut self.buffer);
        let failed = |error| shared.failed("write", &self.name, error);
        let upload = match &mut self.begun {
            Some(upload) => upload,
            None => {
                let begun =
                    shared.runtime.block_on(shared.store.put_multipart(&self.path)).map_err(failed)?;
                self.begun.insert(begun)
            }
        };
        self.parts += 1;
        // The future belongs to the runtime's timers from the start, so it must be made inside.
        shared.runtime.block_on(async { upload.put_part(part.into()).await }).map_err(failed)
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PART_BYTES - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == PART_BYTES {
            self.send_part().map_err(io::Error::other)?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl NewFile for Upload {
    fn finish(mut self: Box<Self>) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        if self.begun.is_none() {
            let whole = std::mem::take(&mut self.buffer);
            let put = shared.runtime.block_on(shared.store.put(&self.path, whole.into()));
            return put.map(drop).map_err(|error| shared.failed("write", &self.name, error));
        }
        if !self.buffer.is_empty() {
            self.send_part()?;
        }
        if let Some(upload) = &mut self.begun {
            let completed = shared.runtime.block_on(upload.complete());
            completed.map_err(|error| shared.failed("write", &self.name, error))?;
            self.begun = None;
        }
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(upload) = &mut self.begun {
            // Parts that cannot be taken back now are invisible; the bucket's lifecycle rule removes them.
            let _ = self.shared.runtime.block_on(upload.abort());
        }
    }
}

/// A file being read in ranges.
struct Download {
    shared: Arc<Shared>,
    name: String,
    there: ObjectMeta,
    at: u64,
    buffer: Bytes,
}

impl Download {
    fn fetch(&mut self) -> Result<()> {
        let end = self.there.size.min(self.at + READ_BYTES);
        let options = GetOptions {
            range: Some((self.at..end).into()),
            if_match: self.there.e_tag.clone(),
            ..Default::default()
        };
        let shared = &self.shared;
        let replaced = || {
            Error::transient(format!("`{}` in `{}` was replaced while it was read", self.name, shared.label))
                .help("read it again from its beginning")
        };
        let got = shared.runtime.block_on(async {
            let got = shared.store.get_opts(&self.there.location, options).await?;
            // Not every service heeds `If-Match`.
            let same = got.meta.size == self.there.size && got.meta.e_tag == self.there.e_tag;
            Ok((same, got.bytes().await?))
        });
        match got {
            Ok((true, bytes)) if bytes.len() as u64 == end - self.at => self.buffer = bytes,
            Ok(_) | Err(object_store::Error::Precondition { .. } | object_store::Error::NotFound { .. }) => {
                return Err(replaced());
            }
            Err(error) => return Err(shared.failed("read", &self.name, error)),
        }
        self.at = end;
        Ok(())
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.buffer.is_empty() && self.at < self.there.size {
            self.fetch().map_err(io::Error::other)?;
        }
        let read = buffer.len().min(self.buffer.len());
        self.buffer.copy_to_slice(&mut buffer[..read]);
        Ok(read)
    }
}

fn parse(label: &str, url: &str) -> Result<(String, String)> {
    let wrong = |why: &str| {
        Error::usage(format!("the address of bucket `{label}` {why}"))
            .help("write s3://bucket or s3://bucket/prefix")
    };
    let rest = url.strip_prefix("s3://").ok_or_else(|| wrong("does not begin with `s3://`"))?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if bucket.is_empty() || !bucket.chars().all(plain) {
        return Err(wrong("has no valid name of a bucket"));
    }
    let prefix = prefix.trim_end_matches('/');
    if prefix.is_empty() {
        return Ok((bucket.to_owned(), String::new()));
    }
    check_name(prefix).map_err(|error| error.while_doing(&format!("the address of bucket `{label}`")))?;
    Ok((bucket.to_owned(), format!("{prefix}/")))
}

fn connect(label: &str, bucket: &str, options: BucketOptions) -> Result<AmazonS3> {
    let client = ClientOptions::new()
        .with_allow_http(options.allow_http)
        .with_connect_timeout(Duration::from_secs(10))
        // For one part of 16 MiB or one range of 8 MiB, on a slow line.
        .with_timeout(Duration::from_secs(300))
        // Nobody looks after a connection between two calls, so it must not be trusted for long.
        .with_pool_idle_timeout(Duration::from_secs(10));
    let backoff = BackoffConfig {
        init_backoff: Duration::from_secs(1),
        max_backoff: Duration::from_secs(4),
        base: 2.0,
    };
    let retry =
        RetryConfig { backoff, max_retries: options.retries, retry_timeout: Duration::from_secs(180) };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(options.region.as_deref().unwrap_or("us-east-1"))
        .with_virtual_hosted_style_request(!options.path_style)
        .with_client_options(client)
        .with_retry(retry);
    if let Some(endpoint) = &options.endpoint {
        let (scheme, host) = endpoint.split_once("://").unwrap_or(("", endpoint));
        if !matches!(scheme, "http" | "https") || host.is_empty() || host.contains(['@', '?', '#']) {
            return Err(Error::usage(format!("the endpoint of bucket `{label}` is no plain web address"))
                .help("write https:// and the host, with a port if it needs one"));
        }
        if scheme == "http" && !options.allow_http {
            return Err(Error::usage(format!("the endpoint of bucket `{label}` is not encrypted"))
                .help("use https://, or set `allow_http = true`"));
        }
        builder = builder.with_endpoint(match options.path_style {
            true => endpoint.clone(),
            false => format!("{scheme}://{bucket}.{host}"),
        });
    }
    builder = match &options.credentials {
        Credentials::Keys { access_key, secret_key, token } => {
            let keys =
                builder.with_access_key_id(access_key).with_secret_access_key(secret_key.expose_secret());
            token.iter().fold(keys, |keys, token| keys.with_token(token.expose_secret()))
        }
        Credentials::Instance => builder,
        Credentials::Anonymous => builder.with_skip_signature(true),
    };
    builder.build().map_err(|error| Error::usage(format!("bucket `{label}` cannot be set up")).because(error))
}

/// Whether trying again later may help: no answer, an answer of 5xx, or "too many requests".
fn is_passing(error: &object_store::Error, chain: &str) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(this) = cause {
        if let Some(http) = this.downcast_ref::<HttpError>() {
            return !matches!(http.kind(), HttpErrorKind::Unknown);
        }
        cause = this.source();
    }
    // The library keeps the status to itself, except in this text.
    let status = chain.split("status code: ").nth(1).unwrap_or_default();
    status.starts_with('5') || status.starts_with("429")
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
