//! TLS to PostgreSQL: libpq's `sslmode` words turned into certificate verifiers.
//!
//! `prefer` and `require` encrypt without knowing to whom, as libpq does; `verify-ca` checks the chain; `verify-full`
//! also the name. The roots are the system's, or those of `sslrootcert`.

use super::address::{Address, TlsMode};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
    StreamOwned,
};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use targets::db::{Error, Result};

/// Wraps a connection to `host` in TLS and shakes hands.
pub(super) fn wrap(
    address: &Address,
    host: &str,
    mut socket: TcpStream,
) -> Result<StreamOwned<ClientConnection, TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(|error| {
        Error::usage(format!("`{host}` is not a name that a certificate can hold")).because(error)
    })?;
    let mut connection =
        ClientConnection::new(Arc::new(config(address)?), name).map_err(|error| failed(host, error))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).map_err(|error| failed(host, error))?;
    }
    Ok(StreamOwned::new(connection, socket))
}

fn failed(host: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::system(format!("no TLS connection to `{host}`"))
        .help(
            "give the authority's certificate with sslrootcert=FILE; sslmode=require encrypts without checking the \
             certificate",
        )
        .because(error)
}

fn config(address: &Address) -> Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let lenient = |chain| Arc::new(Lenient { chain, provider: provider.clone() });
    let verifier: Arc<dyn ServerCertVerifier> = match address.tls {
        TlsMode::VerifyFull => trusting(address, &provider)?,
        TlsMode::VerifyCa => lenient(Some(trusting(address, &provider)?)),
        _ => lenient(None),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::system("TLS cannot be set up").because(error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    match &address.client_cert {
        None => Ok(config.with_no_client_auth()),
        Some((cert, key)) => {
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, error))?;
            config.with_client_auth_cert(certificates(cert)?, key).map_err(|error| unreadable(cert, error))
        }
    }
}

/// A verifier that checks chain and name against the system's roots or those of `sslrootcert`.
fn trusting(address: &Address, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>> {
    let Some(file) = &address.root_cert else {
        let verifier = rustls_platform_verifier::Verifier::new(provider.clone()).map_err(|error| {
            Error::system("the system's certificate store cannot be read")
                .help("give the authority's certificate with sslrootcert=FILE")
                .because(error)
        })?;
        return Ok(Arc::new(verifier));
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| unreadable(file, error))?;
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| unreadable(file, error))?;
    Ok(verifier)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_file_iter(file)
        .and_then(|certificates| certificates.collect())
        .map_err(|error| unreadable(file, error))
}

fn unreadable(file: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::system(format!("the certificate or key `{}` cannot be used", file.display()))
        .help("it must be a readable PEM file; look at sslrootcert, sslcert and sslkey in the database URL")
        .because(error)
}

/// Checks no more than was asked for: the chain but not the name (`verify-ca`), or nothing (`prefer` and `require` ask for
/// secrecy only). That the server has the certificate's key is checked in any case.
#[derive(Debug)]
struct Lenient {
    chain: Option<Arc<dyn ServerCertVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        cert: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(verifier) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match verifier.verify_server_cert(cert, chain, name, ocsp, now) {
            // The name is the last thing that is checked, so the chain was good.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
