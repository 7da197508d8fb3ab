//! What a URL leaves out: the account this process runs as, and the password file.
//!
//! libpq's format and its caution: a file that others can read is not used.

use super::address::Host;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The account this process runs as, from the system's user list.
pub(super) struct Account {
    pub name: String,
    pub home: PathBuf,
}

impl Account {
    pub fn ours() -> Option<Self> {
        // SAFETY: takes nothing, cannot fail.
        let uid = unsafe { libc::geteuid() }.to_string();
        let list = std::fs::read_to_string("/etc/passwd").ok()?;
        list.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            (fields.len() > 5 && fields[2] == uid)
                .then(|| Self { name: fields[0].to_owned(), home: PathBuf::from(fields[5]) })
        })
    }
}

/// The password that a password file has for this connection. A file that others can read is not used, as libpq does.
pub(super) fn from_passfile(file: &Path, host: &Host, database: &str, user: &str) -> Option<String> {
    let known = std::fs::metadata(file).ok()?;
    if !known.is_file() || known.permissions().mode() & 0o077 != 0 {
        return None;
    }
    let (names, port) = match host {
        Host::Tcp(name, port) => (vec![name.clone()], port.to_string()),
        Host::Socket(socket) => {
            let folder = socket.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
            let port = socket.extension().map(|port| port.to_string_lossy().into_owned()).unwrap_or_default();
            (vec![folder, "localhost".to_owned()], port)
        }
    };
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = unescaped(line);
        let matches = |n: usize, value: &str| fields[n] == "*" || fields[n] == value;
        (fields.len() == 5
            && names.iter().any(|name| matches(0, name))
            && matches(1, &port)
            && matches(2, database)
            && matches(3, user))
        .then(|| fields[4].clone())
    })
}

/// The fields of a line, `\:` and `\\` undone.
fn unescaped(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        match char {
            ':' if fields.len() < 5 => fields.push(String::new()),
            '\\' => fields.last_mut().into_iter().for_each(|field| field.extend(chars.next())),
            _ => fields.last_mut().into_iter().for_each(|field| field.push(char)),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::super::address::Address;
    use secrecy::ExposeSecret;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_password_file_is_used_only_when_private() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pass");
        std::fs::write(&file, "# ours\nelse:*:*:*:no\ndb.example:5432:app:joe:a\\:b\n").unwrap();
        let url = format!("postgres://joe@db.example/app?passfile={}", file.display());
        let password =
            |url: &str| Address::parse(url).unwrap().password.map(|it| it.expose_secret().to_owned());
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(password(&url), None);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(password(&url).as_deref(), Some("a:b"));
    }
}
