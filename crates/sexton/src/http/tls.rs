//! TLS for the API: handshakes beside each other, so that a slow one keeps nobody waiting; a renewed certificate is taken by itself.

use crate::trouble::Trouble;
use axum::serve::Listener;
use engine::{Clock as _, SystemClock};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

/// Whoever has not shaken hands by then is let go.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// So often it is looked whether the certificate was renewed.
const RENEWAL: Duration = Duration::from_secs(60);
/// So many wait with their hands shaken.
const WAITING: usize = 64;

/// The two files.
#[derive(Clone)]
pub struct Files {
    /// The certificate, and those above it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Files {
    fn acceptor(&self) -> Result<TlsAcceptor, Trouble> {
        let failed = |path: &Path, error: &dyn std::fmt::Display| Trouble {
            help: Some("`[api]` names two PEM files: `certificate` with its chain, and `key`".to_owned()),
            ..Trouble::system(format!("`{}` cannot be used for TLS", path.display()), error)
        };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect)
            .map_err(|error| failed(&self.certificate, &error))?;
        if chain.is_empty() {
            return Err(failed(&self.certificate, &"there is no certificate in it"));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| failed(&self.key, &error))?;
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| failed(&self.certificate, &format!("with `{}`: {error}", self.key.display())))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// When either was last written.
    fn written(&self) -> Option<(SystemTime, SystemTime)> {
        let of = |path: &Path| std::fs::metadata(path).and_then(|about| about.modified()).ok();
        Some((of(&self.certificate)?, of(&self.key)?))
    }
}

/// Connections that have shaken hands.
pub struct Shaken {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    at: SocketAddr,
}

/// Listens with TLS; what is wrong with the files is told before anybody is let in.
pub fn listen(listener: TcpListener, files: Files) -> Result<Shaken, Trouble> {
    listen_and_renew(listener, files, RENEWAL)
}

fn listen_and_renew(listener: TcpListener, files: Files, every: Duration) -> Result<Shaken, Trouble> {
    let at = listener.local_addr().map_err(|error| Trouble::system("the address", error))?;
    let mut acceptor = files.acceptor()?;
    let (send, ready) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let (mut written, mut looked) = (files.written(), SystemClock.tick());
        loop {
            let Ok((stream, from)) = listener.accept().await else {
                // Such as too many open files: it passes.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let at = SystemClock.tick();
            if at.duration_since(looked) >= every {
                looked = at;
                let now = files.written();
                if now != written && now.is_some() {
                    match files.acceptor() {
                        Ok(renewed) => (acceptor, written) = (renewed, now),
                        // Half-written perhaps; the old one holds until it is whole.
                        Err(trouble) => tracing::warn!("{}", trouble.causes.join(": ")),
                    }
                }
            }
            let (acceptor, send) = (acceptor.clone(), send.clone());
            tokio::spawn(async move {
                match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => drop(send.send((stream, from)).await),
                    Ok(Err(error)) => tracing::debug!("no TLS with {from}: {error}"),
                    Err(_) => tracing::debug!("no TLS with {from}: it took too long"),
                }
            });
        }
    });
    Ok(Shaken { ready, at })
}

impl Listener for Shaken {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(shaken) => shaken,
            // The task that sends never ends; if it did, nobody would come any more.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn certify(folder: &Path, name: &str) -> Files {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "2", "-subj", &format!("/CN={name}"), "-addext", "subjectAltName=IP:127.0.0.1"])
            .args(["-keyout", "key", "-out", name])
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        std::fs::copy(folder.join(name), folder.join("certificate")).unwrap();
        Files { certificate: folder.join("certificate"), key: folder.join("key") }
    }

    #[test]
    fn a_renewed_certificate_is_taken_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let files = certify(folder.path(), "first");
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let at = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let at = listener.local_addr().unwrap();
            let shaken = listen_and_renew(listener, files.clone(), Duration::ZERO).unwrap();
            let answer = axum::Router::new().route("/", axum::routing::get(|| async { "here" }));
            tokio::spawn(async { axum::serve(shaken, answer).await });
            at
        });
        let trusts = |name: &str| {
            let url = format!("https://{at}/");
            let mut curl = Command::new("curl");
            curl.args(["-s", "--cacert"]).arg(folder.path().join(name)).arg(url);
            curl.output().unwrap().stdout == b"here"
        };
        assert!(trusts("first"));
        certify(folder.path(), "second");
        assert!(trusts("second") && !trusts("first"));
        std::fs::write(&files.certificate, "half of it").unwrap();
        assert!(trusts("second"), "a broken file ended the service");
    }
}
