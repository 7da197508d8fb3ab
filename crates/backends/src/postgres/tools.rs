//! PostgreSQL's own programs: which of those on this machine fit the server, and how they are started.
//!
//! They get address and password through the environment, which only this user can read; the command line, which
//! everybody can, holds nothing but options and names. What the environment says of another server is taken away first.

use super::address::{Address, Host, TlsMode};
use secrecy::ExposeSecret;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use targets::db::{Error, Result};

/// The programs of one version.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tools {
    pub dump: PathBuf,
    pub restore: PathBuf,
    /// As the program spells it.
    pub version: String,
}

/// What libpq would read from the environment and what the database URL says better.
const FOREIGN: [&str; 19] = [
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGDATABASE",
    "PGUSER",
    "PGPASSWORD",
    "PGPASSFILE",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGSSLMODE",
    "PGSSLROOTCERT",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGOPTIONS",
    "PGAPPNAME",
    "PGCONNECT_TIMEOUT",
    "PGTARGETSESSIONATTRS",
    "PGREQUIRESSL",
    "PGCLIENTENCODING",
];

impl Tools {
    /// Those that fit a server of this major version: of the same one, else the next newer. With a folder only those in it.
    pub fn find(server: u32, folder: Option<&Path>) -> Result<Self> {
        let mut best: Option<(u32, Self)> = None;
        let mut seen = Vec::new();
        for place in places(server, folder) {
            let dump = place.join("pg_dump");
            let Some((major, version)) = version_of(&dump) else { continue };
            seen.push(format!("{major} in {}", shown(&place)));
            let closer = best.as_ref().is_none_or(|(known, _)| major < *known);
            if major >= server && closer {
                best = Some((major, Self { dump, restore: place.join("pg_restore"), version }));
            }
            if major == server {
                break;
            }
        }
        match best {
            Some((_, tools)) => Ok(tools),
            None if seen.is_empty() => Err(Error::system(format!("there is no `pg_dump` {}", match folder {
                Some(folder) => format!("in `{}`", folder.display()),
                None => "on this machine".to_owned(),
            }))
            .help(format!(
                "install it: apt-get install postgresql-client-{server}; or say where it is: `[backup]` with `programs = \"…\"`"
            ))),
            None => Err(Error::system(format!(
                "`pg_dump` is older than the server: the server is {server}, found {}",
                seen.join(", ")
            ))
            .help(format!(
                "install the one of the server: apt-get install postgresql-client-{server}; or say where it is: `[backup]` with `programs = \"…\"`"
            ))),
        }
    }
}

fn places(server: u32, folder: Option<&Path>) -> Vec<PathBuf> {
    if let Some(folder) = folder {
        return vec![folder.to_owned()];
    }
    // The empty one stands for the search path.
    let mut all = vec![PathBuf::new()];
    for major in server..server + 8 {
        for pattern in [
            "/usr/lib/postgresql/N/bin",
            "/usr/pgsql-N/bin",
            "/opt/homebrew/opt/postgresql@N/bin",
            "/usr/local/opt/postgresql@N/bin",
        ] {
            let place = PathBuf::from(pattern.replace('N', &major.to_string()));
            if place.join("pg_dump").exists() {
                all.push(place);
            }
        }
    }
    all
}

fn shown(place: &Path) -> String {
    if place.as_os_str().is_empty() { "the search path".to_owned() } else { place.display().to_string() }
}

/// `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn version_of(program: &Path) -> Option<(u32, String)> {
    let said = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    let number = text.split(' ').find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let major = number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    Some((major, text))
}

/// One of the programs, told where the server is.
pub(super) fn command(program: &Path, address: &Address) -> Command {
    let mut command = Command::new(program);
    for name in FOREIGN {
        command.env_remove(name);
    }
    let host = |host: &Host| match host {
        Host::Tcp(name, port) => (name.clone(), port.to_string()),
        Host::Socket(file) => (
            file.parent().map(|folder| folder.display().to_string()).unwrap_or_default(),
            file.extension().map(|port| port.to_string_lossy().into_owned()).unwrap_or_default(),
        ),
    };
    let (names, ports): (Vec<String>, Vec<String>) = address.hosts.iter().map(host).unzip();
    let mode = match address.tls {
        TlsMode::Disable => "disable",
        TlsMode::Allow => "allow",
        TlsMode::Prefer => "prefer",
        TlsMode::Require => "require",
        TlsMode::VerifyCa => "verify-ca",
        TlsMode::VerifyFull => "verify-full",
    };
    command
        .env("PGHOST", names.join(","))
        .env("PGPORT", ports.join(","))
        .env("PGUSER", &address.user)
        .env("PGDATABASE", &address.database)
        .env("PGSSLMODE", mode)
        .env("PGCONNECT_TIMEOUT", address.connect_timeout.as_secs().max(2).to_string())
        .env("PGAPPNAME", "sexton backup")
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    if let Some(password) = &address.password {
        command.env("PGPASSWORD", password.expose_secret());
    }
    if let Some(file) = &address.root_cert {
        command.env("PGSSLROOTCERT", file);
    }
    if let Some((certificate, key)) = &address.client_cert {
        command.env("PGSSLCERT", certificate).env("PGSSLKEY", key);
    }
    if let Some(options) = &address.options {
        command.env("PGOPTIONS", options);
    }
    command
}

/// What a program that failed said, as an error of ours.
pub(super) fn complaint(program: &str, label: &str, said: &str) -> Error {
    let mut lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.truncate(6);
    let lower = said.to_ascii_lowercase();
    let what = format!("`{program}` failed on database `{label}`");
    let has = |texts: &[&str]| texts.iter().any(|text| lower.contains(text));
    let error = if has(&["does not exist", "cache lookup failed", "could not open relation"])
        && has(&["relation"])
    {
        Error::transient(what).help("a table went while it was being dumped; try again")
    } else if has(&["lock timeout", "canceling statement due to lock"]) {
        Error::transient(what).help("somebody holds a lock on a table; try again in quieter hours")
    } else if has(&["permission denied"]) {
        Error::system(what)
            .help("this role must be able to read everything: `grant pg_read_all_data to ROLE`")
    } else if has(&["no space left"]) {
        Error::system(what).help("the disk is full: make room there, then run it again")
    } else if has(&["server version mismatch"]) {
        Error::system(what).help("install the `pg_dump` of the server's version, or name its folder: `[backup]` with `programs = \"…\"`")
    } else if has(&["could not connect", "connection to server", "server closed the connection"]) {
        Error::transient(what).help("see whether the server answers: `pg_isready`")
    } else {
        Error::system(what).help("look at what it said, and at the log of the server")
    };
    match lines.is_empty() {
        true => error.because("it said nothing"),
        false => error.because(lines.join("; ")),
    }
}
