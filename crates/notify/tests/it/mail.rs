//! Mail, to a real mail server: in the clear, with STARTTLS and with TLS.

use crate::carriers::{carry, said};
use notify::channel::{Carrier, Email, Letter};
use notify::settings::Tls;
use notify::{Level, Message};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::SecretString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use testkit::{Encrypt, Line, SmtpSink, Speaks};

/// Certificates for `localhost` and their authority.
fn certificate(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../backends/tests/certificates").join(name)
}

fn encrypt() -> Encrypt {
    let chain = vec![CertificateDer::from_pem_file(certificate("server.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(certificate("server.key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    Arc::new(move |stream| {
        let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        Box::new(rustls::StreamOwned::new(connection, stream)) as Box<dyn Line>
    })
}

fn email(sink: &SmtpSink, tls: Tls) -> Email {
    Email {
        server: "localhost".to_owned(),
        port: Some(sink.port),
        tls,
        authority: Some(certificate("authority.pem")),
        user: None,
        password: None,
        from: "Sexton <sexton@example.org>".to_owned(),
        to: vec!["ops@example.org".to_owned()],
        host: "machine".to_owned(),
    }
}

#[test]
fn a_mail_has_a_subject_the_whole_text_and_what_mail_programs_want() {
    // S1-076, S2-075
    let sink = SmtpSink::start(Speaks::Plain);
    let message = Message { title: "nightly failed – logs".to_owned(), level: Level::Critical, ..said() };
    carry(&email(&sink, Tls::Off), &message, &[]).unwrap();
    let mail = sink.take().remove(0);
    assert_eq!(
        (mail.from.as_str(), mail.to.as_slice()),
        ("sexton@example.org", &["ops@example.org".to_owned()][..])
    );
    for line in [
        "Subject: nightly failed =?utf-8?b?4oCT?= logs",
        "Date: Sun, 29 Nov 2026 12:00:00 +0000",
        "Message-ID: <n0te@machine>",
        "Auto-Submitted: auto-generated",
        "X-Priority: 1",
        "logs on main failed",
        "run 7f3",
    ] {
        assert!(mail.data.lines().any(|known| known == line), "{line}\n{}", mail.data);
    }
    assert!(
        mail.data.contains(&format!("X-Sexton-Correlation-Id: {}", message.correlation_id)),
        "{}",
        mail.data
    );
    let others = ["anna@example.org".to_owned(), "Ben <ben@example.org>".to_owned()];
    carry(&email(&sink, Tls::Off), &message, &others).unwrap();
    assert_eq!(sink.take().remove(0).to, ["anna@example.org", "ben@example.org"]);
}

#[test]
fn with_starttls_nothing_is_said_before_it_is_encrypted() {
    let sink = SmtpSink::start(Speaks::Starttls(encrypt()));
    let with_password = |sink: &SmtpSink, tls| Email {
        user: Some("robot".to_owned()),
        password: Some(SecretString::from("s3cr3t")),
        ..email(sink, tls)
    };
    carry(&with_password(&sink, Tls::Starttls), &said(), &[]).unwrap();
    let mail = sink.take().remove(0);
    // base64 of NUL robot NUL s3cr3t
    assert_eq!((mail.encrypted, mail.login.as_deref()), (true, Some("AHJvYm90AHMzY3IzdA==")));
    // A server that offers none gets neither the password nor the mail.
    let plain = SmtpSink::start(Speaks::Plain);
    let why = carry(&with_password(&plain, Tls::Starttls), &said(), &[]).unwrap_err().why;
    assert!(why.to_lowercase().contains("starttls") && !why.contains("s3cr3t"), "{why}");
    assert!(plain.take().is_empty());
}

#[test]
fn a_mail_server_that_is_down_or_says_nothing_is_told_and_not_waited_for() {
    testkit::quickly(Duration::from_secs(10), || {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = nobody.local_addr().unwrap().port();
        let with_password = |tls| Email {
            port: Some(port),
            user: Some("robot".to_owned()),
            password: Some(SecretString::from("s3cr3t")),
            ..email(&SmtpSink::start(Speaks::Plain), tls)
        };
        let message = said();
        let letter =
            Letter { id: "n", message: &message, title: String::new(), text: String::new(), recipients: &[] };
        for tls in [Tls::Off, Tls::Starttls, Tls::On] {
            let why = with_password(tls).carry(&letter, Duration::from_millis(300)).unwrap_err().why;
            assert!(!why.contains("s3cr3t") && !why.is_empty(), "{why}");
        }
        drop(nobody);
        let why = with_password(Tls::Off).carry(&letter, Duration::from_secs(5)).unwrap_err().why;
        assert!(why.to_lowercase().contains("connect") || why.contains("refused"), "{why}");
    });
}

#[test]
fn with_tls_the_certificate_must_be_good() {
    let sink = SmtpSink::start(Speaks::Tls(encrypt()));
    carry(&email(&sink, Tls::On), &said(), &[]).unwrap();
    assert!(sink.take().remove(0).encrypted);
    let stranger = Email { authority: None, ..email(&sink, Tls::On) };
    let why = carry(&stranger, &said(), &[]).unwrap_err().why;
    assert!(why.to_lowercase().contains("certificate"), "{why}");
    let nowhere = Email { authority: Some("/no/such.pem".into()), ..email(&sink, Tls::On) };
    assert!(carry(&nowhere, &said(), &[]).unwrap_err().why.contains("/no/such.pem"));
    assert!(sink.take().is_empty());
}
