//! A real S3 server inside the test process: signatures, multipart, ranges and listings over HTTP, objects in a folder.
//!
//! It deliberately checks nothing that a bucket's owner would configure: no lifecycle rules, no versions.

use backends::bucket::{Bucket, BucketOptions, Credentials};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use std::net::SocketAddr;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

const ACCESS_KEY: &str = "sexton-test";
const SECRET_KEY: &str = "a secret that must not be printed";

/// A running server; stopped when dropped.
pub struct S3Server {
    pub folder: TempDir,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl S3Server {
    /// Starts a server with an empty bucket named `bucket`.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("bucket")).unwrap();
        let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = service.build();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = serve(TcpListener::from_std(listener).unwrap(), service) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { folder, address, stop: Some(stop), thread: Some(thread) }
    }

    /// How to reach it with the right keys.
    pub fn options(&self) -> BucketOptions {
        BucketOptions {
            endpoint: Some(format!("http://{}", self.address)),
            credentials: keys(SECRET_KEY),
            path_style: true,
            allow_http: true,
            retries: 0,
            ..BucketOptions::default()
        }
    }

    /// The bucket, or the part of it under a prefix.
    pub fn bucket(&self, url: &str) -> Bucket {
        Bucket::new("bucket", url, self.options()).unwrap()
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Keys with this secret half.
pub fn keys(secret: &str) -> Credentials {
    Credentials::Keys { access_key: ACCESS_KEY.to_owned(), secret_key: secret.into(), token: None }
}

async fn serve(listener: TcpListener, service: S3Service) {
    let http = Builder::new(TokioExecutor::new());
    while let Ok((socket, _)) = listener.accept().await {
        let connection = http.serve_connection(TokioIo::new(socket), service.clone()).into_owned();
        tokio::spawn(async move {
            let _ = connection.await;
        });
    }
}
