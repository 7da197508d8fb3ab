//! The way to the server: log-in, TLS, and what is refused on it.

use crate::postgres_pooler::serve;
use backends::postgres::Postgres;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use targets::db::{Class, Database, Error, Sql, Url, Value};
use testkit::{PASSWORD, Place, Server};

fn connect(url: &str) -> Result<(), Error> {
    let mut facts = Postgres::new("main", Url::parse(url).unwrap()).read()?;
    assert_eq!(facts.value(&Sql::new("select 1")).unwrap(), Value::Int(1));
    Ok(())
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[test]
fn every_kind_of_password_is_answered() {
    let place = Place::postgres();
    for role in ["scram", "md5", "clear"] {
        let with =
            |password: &str| place.url().replace("//app@", &format!("//{role}:{}@", encoded(password)));
        connect(&with(PASSWORD)).unwrap();
        let error = connect(&with("s3cret")).unwrap_err();
        assert_eq!((error.class, error.code.as_deref()), (Class::System, Some("28P01")), "{role}");
        assert!(!format!("{error:?}").contains("s3cret"));
        let error = connect(&place.url().replace("//app@", &format!("//{role}@"))).unwrap_err();
        assert!(error.what.contains("asks for the password") && error.help.is_some(), "{error:?}");
    }
}

/// Where certificates for `localhost` and their authority lie.
fn certificate(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(name)
}

/// A server on a TCP port, with or without TLS; its URL up to the host.
fn listening(place: &Place, tls: bool) -> u16 {
    let url = place.url();
    let (front, socket) = url.split_once("?host=").unwrap();
    let database = front.rsplit('/').next().unwrap().to_owned();
    let server = format!("{socket}/.s.PGSQL.5432");
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
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let (server, database, config) = (server.clone(), database.clone(), config.clone());
            std::thread::spawn(move || {
                let mut first = [0; 8];
                client.peek(&mut first).ok()?;
                if first[4..] != 80_877_103_u32.to_be_bytes() {
                    if !tls {
                        return serve(client, &server, &database);
                    }
                    // What a server says whose pg_hba.conf has only `hostssl` lines.
                    let refusal = b"SFATAL\0VFATAL\0C28000\0Mno entry for this host, no encryption\0\0";
                    client.write_all(b"E").ok()?;
                    client.write_all(&(refusal.len() as u32 + 4).to_be_bytes()).ok()?;
                    return client.write_all(refusal).ok();
                }
                client.read_exact(&mut first).ok()?;
                client.write_all(if tls { b"S" } else { b"N" }).ok()?;
                if !tls {
                    return serve(client, &server, &database);
                }
                let connection = rustls::ServerConnection::new(config).ok()?;
                serve(rustls::StreamOwned::new(connection, client), &server, &database)
            });
        }
    });
    port
}

#[test]
fn each_word_for_tls_checks_what_it_says() {
    let place = Place::postgres();
    let port = listening(&place, true);
    let authority = certificate("authority.pem").display().to_string();
    let with = |host: &str, options: &str| connect(&format!("postgres://app@{host}:{port}/app?{options}"));
    let roots = |mode: &str| format!("sslmode={mode}&sslrootcert={authority}");

    for mode in ["allow", "prefer", "require"] {
        with("localhost", &format!("sslmode={mode}")).unwrap();
    }
    with("localhost", &roots("verify-full")).unwrap();
    with("127.0.0.1", &roots("verify-ca")).unwrap();
    with("127.0.0.1", &roots("require")).unwrap();
    for (host, options) in [
        ("127.0.0.1", roots("verify-full")),
        ("localhost", "sslmode=verify-full".to_owned()),
        ("localhost", "sslmode=verify-ca".to_owned()),
    ] {
        let error = with(host, &options).unwrap_err();
        assert_eq!(error.class, Class::System, "{host} {options}: {error:?}");
        assert!(error.help.unwrap().contains("sslrootcert"));
    }
    let error = with("localhost", "sslmode=verify-full&sslrootcert=/nowhere.pem").unwrap_err();
    assert!(error.what.contains("/nowhere.pem"), "{error:?}");
    assert!(with("localhost", "sslmode=disable").is_err(), "this server speaks only through TLS");
}

#[test]
fn a_log_in_through_tls_is_bound_to_the_certificate_that_was_seen() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let server = folder.path().join("server");
    let server =
        Server::start_with_tls(&server, &certificate("server.pem"), &certificate("server.key.pem")).unwrap();
    let role =
        format!("set password_encryption = 'scram-sha-256'; create role scram login password '{PASSWORD}'");
    backends::testing::script(&Url::parse(&server.url("postgres")).unwrap(), &role).unwrap();
    let at = |port: u16, database: &str, options: &str| {
        let password = encoded(PASSWORD);
        connect(&format!("postgres://scram:{password}@127.0.0.1:{port}/{database}?{options}"))
    };
    // The server takes a bound log-in only if it proves its own certificate.
    at(server.port(), "postgres", "sslmode=require&channel_binding=require").unwrap();
    for options in ["sslmode=require", "sslmode=require&channel_binding=disable", "sslmode=disable"] {
        at(server.port(), "postgres", options).unwrap();
    }
    let error = at(server.port(), "postgres", "sslmode=disable&channel_binding=require").unwrap_err();
    assert!(error.what.contains("cannot be bound") && error.help.is_some(), "{error:?}");

    // Behind something that ends TLS there is nothing to be bound to.
    let place = Place::postgres();
    let front = listening(&place, true);
    at(front, "app", "sslmode=require").unwrap();
    let error = at(front, "app", "sslmode=require&channel_binding=require").unwrap_err();
    assert!(error.what.contains("cannot be bound"), "{error:?}");
    let error = at(front, "app", "channel_binding=perhaps").unwrap_err();
    assert_eq!(error.class, Class::Usage, "{error:?}");
}

#[test]
fn a_server_without_tls_is_used_only_where_that_is_allowed() {
    let place = Place::postgres();
    let port = listening(&place, false);
    let with = |mode: &str| connect(&format!("postgres://app@127.0.0.1:{port}/app?sslmode={mode}"));
    for mode in ["disable", "allow", "prefer"] {
        with(mode).unwrap();
    }
    for mode in ["require", "verify-ca", "verify-full"] {
        assert!(with(mode).unwrap_err().what.contains("offers no TLS"), "{mode}");
    }
}

#[test]
fn something_else_at_the_port_is_said_to_be_something_else() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = client.read(&mut [0; 100]);
            let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    for mode in ["disable", "require"] {
        let error = connect(&format!("postgres://app@127.0.0.1:{port}/app?sslmode={mode}")).unwrap_err();
        assert_eq!(error.class, Class::System, "{error:?}");
        assert!(error.what.contains("does not speak as PostgreSQL does"), "{error:?}");
    }
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = format!("postgres://app@127.0.0.1:{port}/app?sslmode=disable&connect_timeout=1");
    testkit::quickly(std::time::Duration::from_secs(5), || connect(&address).unwrap_err());
    drop(listener);
}

#[test]
fn the_last_of_several_hosts_answers() {
    let place = Place::postgres();
    let url = place.url().replace("?host=", "?host=/no-such-folder,");
    connect(&url).unwrap();
    connect(&format!("{}&target_session_attrs=read-write", place.url())).unwrap();
}

#[test]
fn where_others_are_at_work_no_second_processor_is_taken() {
    // PRF: who writes beside a run waits no longer than it must
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("server"), &[]).unwrap();
    let url = server.url("postgres");
    let workers = || {
        let mut facts = Postgres::new("main", Url::parse(&url).unwrap()).read().unwrap();
        let asked = Sql::new("select current_setting('max_parallel_workers_per_gather')");
        facts.value(&asked).unwrap().as_text().unwrap_or_default().to_owned()
    };
    let until = |wanted: &str, meanwhile: &mut dyn FnMut()| {
        let begun = std::time::Instant::now();
        loop {
            meanwhile();
            let now = workers();
            if now == wanted {
                return;
            }
            assert!(begun.elapsed() < std::time::Duration::from_secs(30), "{now} and not {wanted}");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    };
    // Whoever waited for the server to begin was at work a moment ago.
    until("2", &mut || {});
    let mut application = backends::testing::Application::connect(&Url::parse(&url).unwrap()).unwrap();
    until("0", &mut || application.script("select 1").unwrap());
    drop(application);
    drop(server);
}
