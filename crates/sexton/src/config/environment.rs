//! The only place that reads the environment: process variables, and a `.env` file beside the configuration.
//!
//! A variable of the process wins over the file (S4-052). Nothing is ever written into the environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the process was started with.
#[derive(Clone, Default)]
pub struct Environment {
    process: BTreeMap<String, String>,
    file: BTreeMap<String, String>,
    /// The folder the process was started in.
    pub folder: PathBuf,
}

impl Environment {
    /// That of this process.
    pub fn of_process() -> Self {
        let process = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { process, file: BTreeMap::new(), folder: std::env::current_dir().unwrap_or_default() }
    }

    /// The command line of this process.
    pub fn arguments() -> Vec<std::ffi::OsString> {
        std::env::args_os().collect()
    }

    /// The same with the variables of `.env` in this folder behind it, if there is one.
    pub fn with_file(&self, folder: &Path) -> Result<Self, String> {
        let path = folder.join(".env");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(self.clone()),
            Err(error) => return Err(format!("cannot read `{}`: {error}", path.display())),
        };
        let mut with = self.clone();
        for (n, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let pair = line.strip_prefix("export ").unwrap_or(line).split_once('=');
            let Some((name, value)) = pair else {
                // The line itself may be half a secret.
                return Err(format!("`{}`, line {}: there is no `=`", path.display(), n + 1));
            };
            with.file.insert(name.trim().to_owned(), unquoted(value.trim()));
        }
        Ok(with)
    }

    /// A variable: of the process, else of the file. An empty one counts as not there.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.process
            .get(name)
            .or_else(|| self.file.get(name))
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Whether output should be without colour, whatever the terminal can do.
    pub fn no_color(&self) -> bool {
        self.process.get("NO_COLOR").is_some_and(|value| !value.is_empty())
            || self.variable("TERM") == Some("dumb")
    }

    /// Who is at work, for the audit trail.
    pub fn actor(&self) -> String {
        ["SEXTON_ACTOR", "SUDO_USER", "USER", "LOGNAME"]
            .iter()
            .find_map(|name| self.variable(name).map(str::to_owned))
            .unwrap_or_else(account)
    }

    /// The name of this machine, for people.
    pub fn host(&self) -> String {
        let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = kernel.trim();
        if host.is_empty() {
            self.variable("HOSTNAME").unwrap_or("this machine").to_owned()
        } else {
            host.to_owned()
        }
    }

    /// Where programs keep their state for this user.
    pub fn state_folder(&self) -> Option<PathBuf> {
        let base = match self.variable("XDG_STATE_HOME") {
            Some(folder) => PathBuf::from(folder),
            None => Path::new(self.variable("HOME")?).join(".local/state"),
        };
        Some(base.join("sexton"))
    }
}

/// The account under which this process runs: its name, else its number. Jobs of a scheduler often have no `USER`.
fn account() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().next());
    let Some(uid) = uid else { return "unknown".to_owned() };
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    named(uid, &accounts).unwrap_or_else(|| format!("uid {uid}"))
}

/// The name of an account: `name:password:uid:…`.
fn named(uid: &str, accounts: &str) -> Option<String> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    })
}

fn unquoted(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner.to_owned();
        }
    }
    // A comment after an unquoted value needs a blank before it: `#` is common in passwords.
    value.split_once(" #").map_or(value, |(value, _)| value.trim_end()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn an_account_is_found_by_its_number() {
        let accounts = "root:x:0:0::/root:/bin/sh\nbroken\njobs:x:42:42::/:/bin/false\n";
        assert_eq!(named("42", accounts).as_deref(), Some("jobs"));
        assert_eq!(named("4", accounts), None);
    }
}
