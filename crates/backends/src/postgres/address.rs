//! Reads a PostgreSQL URL the way libpq does, and says what it does not support.
//!
//! The driver libraries reject half of libpq's `sslmode` words, so this is ours. It reads no environment: only the
//! configuration does that. What the URL leaves out (user, password) is looked up in the system's user list and in
//! the password file.

use super::passfile::{Account, from_passfile};
use secrecy::SecretString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use targets::db::{Error, Result};

/// Where the server listens.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Host {
    /// A name or an address.
    Tcp(String, u16),
    /// The socket file.
    Socket(PathBuf),
}

/// libpq's six words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TlsMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Whether a log-in is bound to the TLS connection: libpq's three words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binding {
    Disable,
    Prefer,
    Require,
}

/// Everything needed to connect.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub hosts: Vec<Host>,
    pub user: String,
    pub password: Option<SecretString>,
    pub database: String,
    pub tls: TlsMode,
    pub binding: Binding,
    pub root_cert: Option<PathBuf>,
    pub client_cert: Option<(PathBuf, PathBuf)>,
    pub connect_timeout: Duration,
    pub options: Option<String>,
    pub read_write_only: bool,
    /// What the server's administrator sees; not from the URL, because the pulse knows our sessions by it.
    pub application: &'static str,
    /// Where sessions to it are kept, in a process that stays.
    pub pool: Option<std::sync::Arc<super::pool::Pool>>,
}

const EXAMPLE: &str = "write postgres://user@host:5432/database?sslmode=verify-full";

impl Address {
    /// Reads the URL.
    pub fn parse(url: &str) -> Result<Self> {
        let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://")).ok_or_else(
            || Error::usage("the database URL does not begin with `postgres://`").help(EXAMPLE),
        )?;
        let (main, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = main.split_once('/').unwrap_or((main, ""));
        let (who, places) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = who.split_once(':').unwrap_or((who, ""));
        let mut parts = Parts {
            user: decoded(user)?,
            password: decoded(password)?,
            database: decoded(path)?,
            ..Parts::default()
        };
        for place in places.split(',').filter(|place| !place.is_empty()) {
            let (host, port) = split_port(place)?;
            parts.hosts.push(decoded(host)?);
            parts.ports.push(port.to_owned());
        }
        for option in query.split('&').filter(|option| !option.is_empty()) {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            parts.option(key, decoded(value)?)?;
        }
        parts.finish()
    }
}

/// What the URL says, before defaults.
#[derive(Default)]
struct Parts {
    user: String,
    password: String,
    database: String,
    hosts: Vec<String>,
    ports: Vec<String>,
    tls: String,
    binding: String,
    root_cert: String,
    client_cert: String,
    client_key: String,
    timeout: String,
    options: String,
    passfile: String,
    session: String,
}

impl Parts {
    fn option(&mut self, key: &str, value: String) -> Result<()> {
        let list = |value: &str| value.split(',').map(str::to_owned).collect();
        match key {
            "user" => self.user = value,
            "password" => self.password = value,
            "dbname" => self.database = value,
            "host" | "hostaddr" => self.hosts = list(&value),
            "port" => self.ports = list(&value),
            "sslmode" => self.tls = value,
            "sslrootcert" => self.root_cert = value,
            "sslcert" => self.client_cert = value,
            "sslkey" => self.client_key = value,
            "connect_timeout" => self.timeout = value,
            "options" => self.options = value,
            "passfile" => self.passfile = value,
            "target_session_attrs" => self.session = value,
            // Ours are fixed, or they are hints that change nothing here.
            "application_name"
            | "fallback_application_name"
            | "client_encoding"
            | "keepalives"
            | "keepalives_idle"
            | "keepalives_interval"
            | "keepalives_count"
            | "tcp_user_timeout" => {}
            "channel_binding" => self.binding = value,
            "gssencmode" if value != "require" => {}
            "sslnegotiation" if value == "postgres" => {}
            _ => {
                return Err(Error::usage(format!("the database URL has the option `{key}`, which is not supported"))
                    .help(
                        "supported are user, password, passfile, dbname, host, hostaddr, port, sslmode, sslrootcert, \
                         sslcert, sslkey, channel_binding, connect_timeout, options, target_session_attrs",
                    ));
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Address> {
        let account = Account::ours();
        let user = match (self.user, &account) {
            (user, _) if !user.is_empty() => user,
            (_, Some(account)) => account.name.clone(),
            _ => return Err(Error::usage("the database URL names no user").help(EXAMPLE)),
        };
        let database = if self.database.is_empty() { user.clone() } else { self.database };
        let tls = match self.tls.as_str() {
            "disable" => TlsMode::Disable,
            "allow" => TlsMode::Allow,
            "" if self.root_cert == "system" => TlsMode::VerifyFull,
            "" | "prefer" => TlsMode::Prefer,
            // As libpq does: with a root certificate at hand, `require` verifies the chain.
            "require" if self.root_cert.is_empty() => TlsMode::Require,
            "require" | "verify-ca" => TlsMode::VerifyCa,
            "verify-full" => TlsMode::VerifyFull,
            other => {
                return Err(Error::usage(format!(
                    "the database URL has `sslmode={other}`, which does not exist"
                ))
                .help("use disable, allow, prefer, require, verify-ca or verify-full"));
            }
        };
        let binding = match self.binding.as_str() {
            "disable" => Binding::Disable,
            "" | "prefer" => Binding::Prefer,
            "require" => Binding::Require,
            other => {
                return Err(Error::usage(format!(
                    "the database URL has `channel_binding={other}`, which does not exist"
                ))
                .help("use disable, prefer or require"));
            }
        };
        let read_write_only = match self.session.as_str() {
            "" | "any" => false,
            "read-write" | "primary" => true,
            other => {
                return Err(Error::usage(format!("`target_session_attrs={other}` is not supported"))
                    .help("use any, read-write or primary"));
            }
        };
        let timeout = match self.timeout.as_str() {
            "" => 10,
            text => match text.parse::<u64>() {
                // libpq takes 0 for "wait for ever"; nothing here waits for ever.
                Ok(0) => 10,
                Ok(seconds) => seconds.min(600),
                Err(_) => {
                    return Err(Error::usage(format!("`connect_timeout={text}` is not a number of seconds"))
                        .help("write connect_timeout=10"));
                }
            },
        };
        let hosts = hosts(self.hosts, &self.ports)?;
        let mut password = self.password;
        if password.is_empty() {
            let file = if self.passfile.is_empty() {
                account.map(|account| account.home.join(".pgpass"))
            } else {
                Some(PathBuf::from(self.passfile))
            };
            password = file
                .and_then(|file| hosts.iter().find_map(|host| from_passfile(&file, host, &database, &user)))
                .unwrap_or_default();
        }
        let path = |text: String| (!text.is_empty()).then(|| PathBuf::from(text));
        Ok(Address {
            hosts,
            user,
            password: (!password.is_empty()).then(|| SecretString::from(password)),
            database,
            tls,
            binding,
            root_cert: path(self.root_cert).filter(|file| file != Path::new("system")),
            client_cert: path(self.client_cert).zip(path(self.client_key)),
            connect_timeout: Duration::from_secs(timeout),
            options: (!self.options.is_empty()).then_some(self.options),
            read_write_only,
            application: super::lock::OURS,
            pool: None,
        })
    }
}

/// Pairs hosts with ports; without a host, the usual socket folders and then this machine.
fn hosts(names: Vec<String>, ports: &[String]) -> Result<Vec<Host>> {
    let port = |n: usize| -> Result<u16> {
        let text = ports.get(n).or(if ports.len() == 1 { ports.first() } else { None });
        match text.map(String::as_str).unwrap_or("") {
            "" => Ok(5432),
            text => text.parse().map_err(|_| {
                Error::usage(format!("`{text}` in the database URL is not a port")).help(EXAMPLE)
            }),
        }
    };
    if names.iter().all(String::is_empty) {
        let socket = |folder: &str, port| PathBuf::from(format!("{folder}/.s.PGSQL.{port}"));
        let port = port(0)?;
        let found = ["/var/run/postgresql", "/tmp"].map(|folder| socket(folder, port));
        let found = found.into_iter().find(|socket| socket.exists());
        return Ok(vec![found.map_or_else(|| Host::Tcp("localhost".to_owned(), port), Host::Socket)]);
    }
    names
        .into_iter()
        .enumerate()
        .map(|(n, name)| {
            let port = port(n)?;
            Ok(if name.starts_with('/') {
                Host::Socket(PathBuf::from(name).join(format!(".s.PGSQL.{port}")))
            } else {
                Host::Tcp(if name.is_empty() { "localhost".to_owned() } else { name }, port)
            })
        })
        .collect()
}

/// `host:port`, `[::1]:port`, or a host alone.
fn split_port(place: &str) -> Result<(&str, &str)> {
    if let Some(rest) = place.strip_prefix('[') {
        let (host, tail) = rest.split_once(']').ok_or_else(|| {
            Error::usage("the database URL has `[` without `]`").help("write IPv6 addresses as [::1]")
        })?;
        return Ok((host, tail.strip_prefix(':').unwrap_or("")));
    }
    Ok(place.split_once(':').unwrap_or((place, "")))
}

/// Undoes percent-encoding.
fn decoded(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let digits = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match digits.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => bytes.push(byte),
            // Not even a part of the URL may be quoted here: it can be the password.
            None => {
                return Err(Error::usage(
                    "the database URL has a `%` that is not followed by two hex digits",
                )
                .help("write a percent sign as %25"));
            }
        }
        rest = &tail[2..];
    }
    String::from_utf8(bytes)
        .map_err(|_| Error::usage("the database URL is not UTF-8 after decoding its `%` signs").help(EXAMPLE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn a_socket_folder_is_given_as_the_host_option() {
        let address = Address::parse("postgres://joe@/app?host=/tmp/x&port=5433").unwrap();
        assert_eq!(address.hosts, [Host::Socket("/tmp/x/.s.PGSQL.5433".into())]);
        assert_eq!((address.user.as_str(), address.database.as_str()), ("joe", "app"));
    }

    #[test]
    fn every_libpq_word_for_tls_is_understood_and_others_are_refused() {
        for (word, mode) in [
            ("disable", TlsMode::Disable),
            ("allow", TlsMode::Allow),
            ("prefer", TlsMode::Prefer),
            ("require", TlsMode::Require),
            ("verify-ca", TlsMode::VerifyCa),
            ("verify-full", TlsMode::VerifyFull),
        ] {
            let address = Address::parse(&format!("postgres://joe@db.example/app?sslmode={word}")).unwrap();
            assert_eq!(address.tls, mode);
        }
        let error = Address::parse("postgres://joe@db.example/app?sslmode=on").unwrap_err();
        assert!(error.help.unwrap().contains("verify-full"));
    }

    #[test]
    fn several_hosts_ports_and_percent_signs_are_read() {
        let address = Address::parse("postgresql://j%40e:p%3As@[::1]:6000,db.example/my%20app").unwrap();
        assert_eq!(address.hosts, [Host::Tcp("::1".into(), 6000), Host::Tcp("db.example".into(), 5432)]);
        assert_eq!(address.user, "j@e");
        assert_eq!(address.database, "my app");
        assert_eq!(address.password.unwrap().expose_secret(), "p:s");
    }

    #[test]
    fn a_broken_url_is_refused_without_repeating_it() {
        // W-108
        for url in ["postgres://joe:s3cret%zz@db.example/app", "postgres://joe:s3cret@db.example:x/app"] {
            let error = Address::parse(url).unwrap_err();
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }
}
