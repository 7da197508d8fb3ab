//! A file store that is a bucket of an S3-compatible service.
//!
//! A file appears whole when its upload is completed: in one request when it is small, else in parts of which one
//! at a time is in memory. Dropped unfinished, an upload is aborted; what a killed process left uploaded stays
//! invisible and is for the bucket's own lifecycle rule to remove. Files are read in ranges, each its own short request, so that a
//! slow reader meets no time-out; a file replaced meanwhile is an error, not a mixture. Keys and secrets come in
//! through [`Credentials`], never from the environment, and never go out in messages. Calls block and must not come
//! from asynchronous code.

mod connect;
mod failure;
mod large;
mod transfer;
mod tree;

use object_store::aws::AmazonS3;
use object_store::list::{PaginatedListOptions, PaginatedListStore as _};
use object_store::path::Path;
use object_store::{ClientOptions, ObjectMeta, ObjectStoreExt as _};
use secrecy::SecretString;
use std::io::Read;
use std::sync::Arc;
use targets::db::{Error, Result};
use targets::files::{About, Each, File, Files, Moved, NewFile, check_name};
use tokio::runtime::Runtime;
use transfer::{Download, Upload};

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
    /// Larger objects, in bytes, are copied in parts, because the service does not copy them in one request.
    pub largest_copy: u64,
}

impl Default for BucketOptions {
    fn default() -> Self {
        let credentials = Credentials::Instance;
        Self {
            endpoint: None,
            region: None,
            credentials,
            path_style: false,
            allow_http: false,
            retries: 3,
            largest_copy: large::MOST_AT_ONCE,
        }
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
    region: String,
    path_style: bool,
    largest_copy: u64,
    client: ClientOptions,
}

impl Bucket {
    /// A store at `s3://bucket` or `s3://bucket/prefix`. Connects only when something is asked.
    pub fn new(label: impl Into<String>, url: &str, options: BucketOptions) -> Result<Self> {
        let label = label.into();
        let (bucket, prefix) = connect::parse(&label, url)?;
        let region = connect::region(&options).to_owned();
        let (path_style, largest_copy) = (options.path_style, options.largest_copy);
        let client = connect::client(&options);
        let store = connect::connect(&label, &bucket, options)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::system(format!("cannot prepare bucket `{label}`")).because(error))?;
        Ok(Self {
            shared: Arc::new(Shared {
                label,
                bucket,
                prefix,
                store,
                runtime,
                region,
                path_style,
                largest_copy,
                client,
            }),
        })
    }
}

impl Files for Bucket {
    fn label(&self) -> &str {
        &self.shared.label
    }

    fn create(&self, name: &str) -> Result<Box<dyn NewFile>> {
        let path = self.shared.path(name)?;
        let shared = Arc::clone(&self.shared);
        Ok(Box::new(Upload::new(shared, name, path)))
    }

    fn open(&self, name: &str) -> Result<Box<dyn Read + Send>> {
        let path = self.shared.path(name)?;
        let there = self.shared.head("open", name, &path)?;
        let there = there.ok_or_else(|| {
            Error::system(format!("there is no file `{name}` in `{}`", self.shared.label))
                .help(format!("look at what is there in bucket `{}`", self.shared.bucket))
        })?;
        let shared = Arc::clone(&self.shared);
        Ok(Box::new(Download::new(shared, name, there)))
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

    fn walk(&self, folder: &str, each: &mut Each) -> Result<bool> {
        tree::walk(&self.shared, folder, each)
    }

    fn look(&self, name: &str) -> Result<Option<About>> {
        tree::look(&self.shared, name)
    }

    fn move_to(&self, from: &str, to: &str) -> Result<Moved> {
        tree::move_to(&self.shared, from, to)
    }

    fn remove_tree(&self, name: &str) -> Result<bool> {
        tree::remove_tree(&self.shared, name)
    }

    fn roots(&self) -> Vec<String> {
        let bucket = format!("s3://{}/{}", self.shared.bucket, self.shared.prefix);
        vec![bucket.trim_end_matches('/').to_owned()]
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
}
