//! A database URL: `postgres://user:password@host/db`, `sqlite:///path`, or simply a path.
//!
//! Parsing decides which back end is meant; the password is kept apart and cannot be printed.

use super::{Error, Result};
use secrecy::{ExposeSecret, SecretString};

/// Where a database is.
#[derive(Clone)]
pub enum Url {
    /// A SQLite file.
    Sqlite {
        /// Its path.
        path: std::path::PathBuf,
    },
    /// A PostgreSQL database; the whole URL, which may hold a password.
    Postgres {
        /// As given.
        url: SecretString,
    },
}

impl Url {
    /// Reads a URL or a path.
    pub fn parse(text: &str) -> Result<Self> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Url::Postgres { url: SecretString::from(text.to_owned()) });
        }
        let path = match text.split_once(':') {
            Some(("sqlite", rest)) => rest.strip_prefix("//").unwrap_or(rest),
            Some(("file", rest)) => rest.strip_prefix("//").unwrap_or(rest),
            Some((scheme, rest)) if rest.starts_with("//") => {
                return Err(Error::usage(format!("databases of the kind `{scheme}` are not supported"))
                    .help("use postgres://user@host/database, or the path of a SQLite file"));
            }
            _ => text,
        };
        if path.is_empty() {
            return Err(Error::usage("the database URL is empty")
                .help("use postgres://user@host/database, or the path of a SQLite file"));
        }
        Ok(Url::Sqlite { path: path.into() })
    }

    /// The server, as far as the URL tells it apart from others; empty for a file.
    pub fn server(&self) -> String {
        let Url::Postgres { .. } = self else { return String::new() };
        let shown = self.to_string();
        let (_, rest) = shown.split_once("://").unwrap_or(("", &shown));
        let (main, options) = rest.split_once('?').unwrap_or((rest, ""));
        let place = main.rsplit_once('@').map_or(main, |(_, place)| place);
        let named =
            |key: &str| options.split('&').find_map(|option| option.strip_prefix(key)?.strip_prefix('='));
        let host = place.split_once('/').map_or(place, |(host, _)| host);
        match (host, named("host")) {
            ("", Some(host)) => format!("{host}:{}", named("port").unwrap_or("5432")),
            (host, _) if host.contains(':') => host.to_owned(),
            (host, _) => format!("{host}:{}", named("port").unwrap_or("5432")),
        }
    }

    /// The whole URL with its password, for the driver only.
    pub fn expose(&self) -> String {
        match self {
            Url::Sqlite { path } => path.display().to_string(),
            Url::Postgres { url } => url.expose_secret().to_owned(),
        }
    }
}

/// Without the password.
impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Url::Sqlite { path } => write!(f, "{}", path.display()),
            Url::Postgres { url } => f.write_str(&without_secrets(url.expose_secret())),
        }
    }
}

impl std::fmt::Debug for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Url({self})")
    }
}

/// The URL without password: neither in the user part nor among the options.
fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (main, options) = rest.split_once('?').map_or((rest, None), |(main, options)| (main, Some(options)));
    let main = match main.rsplit_once('@') {
        Some((who, place)) => {
            let user = who.split_once(':').map_or(who, |(user, _)| user);
            format!("{user}@{place}")
        }
        None => main.to_owned(),
    };
    let options: Vec<&str> = options
        .into_iter()
        .flat_map(|options| options.split('&'))
        .filter(|option| !option.starts_with("password=") && !option.starts_with("sslpassword="))
        .collect();
    let tail = if options.is_empty() { String::new() } else { format!("?{}", options.join("&")) };
    format!("{scheme}://{main}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        // W-108
        for url in
            ["postgres://joe:s3cret@db.example/app", "postgres://joe@db.example/app?password=s3cret&x=1"]
        {
            let url = Url::parse(url).unwrap();
            assert!(!format!("{url} {url:?}").contains("s3cret"), "{url}");
        }
    }

    #[test]
    fn databases_of_one_server_have_the_same_server() {
        for (url, server) in [
            ("postgres://joe:s3cret@db.example/app?sslmode=require", "db.example:5432"),
            ("postgres://ann@db.example:5433/other", "db.example:5433"),
            ("postgres://ann@/other?host=/run/pg&port=5433", "/run/pg:5433"),
            ("app.db", ""),
        ] {
            assert_eq!(Url::parse(url).unwrap().server(), server);
        }
    }

    #[test]
    fn a_path_is_a_sqlite_file() {
        for (text, path) in
            [("app.db", "app.db"), ("sqlite:///var/app.db", "/var/app.db"), ("sqlite:app.db", "app.db")]
        {
            assert_eq!(Url::parse(text).unwrap().to_string(), path);
        }
        assert!(Url::parse("mysql://x/y").is_err());
    }
}
