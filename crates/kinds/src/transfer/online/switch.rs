//! The application is sent to another database: by a line of its `.env`, by a file that holds nothing but the URL, or by a command.
//!
//! A file is written beside and renamed, with the owner and the rights that it had, so that nobody reads half of it. Sending twice is the same as
//! sending once; commands must be so too.

use super::super::options::Switch;
use engine::{Clock, Error, Result};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How often to look whether a command has ended.
const STEP: Duration = Duration::from_millis(10);

/// Where the application is sent.
pub enum Place<'a> {
    /// To the target, at this URL.
    There(&'a str),
    /// To where it was, as its file said.
    Back(Option<&'a str>),
}

/// What cannot work, before anything is begun.
pub fn check(switch: &Switch) -> Result<()> {
    if switch.file.is_none() && switch.command.is_empty() {
        return Err(Error::usage("`switch` says neither `file` nor `command`")
            .help("write `switch = { file = \".env\", variable = \"DATABASE_URL\" }`"));
    }
    let Some(file) = &switch.file else { return Ok(()) };
    let text = read(file)?;
    std::fs::OpenOptions::new().append(true).open(file).map_err(|error| told(file, "written", error))?;
    rewritten(&text, switch.variable.as_deref(), "").ok_or_else(|| unset(file, switch)).map(drop)
}

fn read(file: &str) -> Result<String> {
    std::fs::read_to_string(file).map_err(|error| told(file, "read", error))
}

fn told(file: &str, what: &str, error: std::io::Error) -> Error {
    Error::usage(format!("the file `{file}`, which sends the application to its database, cannot be {what}"))
        .because(error)
        .help("correct `switch.file`, or its rights")
}

fn unset(file: &str, switch: &Switch) -> Error {
    let variable = switch.variable.as_deref().unwrap_or_default();
    Error::usage(format!("`{file}` has no line `{variable}=…`"))
        .help("correct `switch.variable`, or write the line as it is now")
}

/// What the application's file says now.
pub fn said(switch: &Switch) -> Result<Option<String>> {
    let Some(file) = &switch.file else { return Ok(None) };
    Ok(rewritten(&read(file)?, switch.variable.as_deref(), "").map(|(_, said)| said))
}

/// Sends the application; what its file said before.
pub fn send(switch: &Switch, to: &Place, clock: &dyn Clock, limit: Duration) -> Result<Option<String>> {
    let mut was = None;
    if let Some(file) = &switch.file {
        let text = read(file)?;
        let value = match to {
            Place::There(url) => {
                let template = switch.value.as_deref().unwrap_or("{url}");
                Some(template.replace("{url}", url))
            }
            Place::Back(was) => was.map(str::to_owned),
        };
        if let Some(value) = value {
            let value = match to {
                Place::There(_) if switch.variable.is_some() => like(&text, switch, &value),
                _ => value,
            };
            let (new, old) =
                rewritten(&text, switch.variable.as_deref(), &value).ok_or_else(|| unset(file, switch))?;
            if new != text {
                write(file, &new)?;
            }
            was = Some(old);
        }
    }
    if !switch.command.is_empty() {
        run(&switch.command, to, clock, limit)?;
    }
    Ok(was)
}

/// The value in the quotes of the one before it, or in quotes where it needs some.
fn like(text: &str, switch: &Switch, value: &str) -> String {
    let old = rewritten(text, switch.variable.as_deref(), "").map(|(_, old)| old).unwrap_or_default();
    let needs = value.contains(|letter: char| letter.is_whitespace() || "#$'\"\\`;&|<>()".contains(letter));
    let quote = match old.chars().next() {
        Some(quote @ ('"' | '\'')) if !value.contains(quote) => Some(quote),
        _ if needs && !value.contains('\'') => Some('\''),
        _ if needs => Some('"'),
        _ => None,
    };
    quote.map_or_else(|| value.to_owned(), |quote| format!("{quote}{value}{quote}"))
}

/// The text with another value, and the value that it had; none where it has no such line.
fn rewritten(text: &str, variable: Option<&str>, value: &str) -> Option<(String, String)> {
    let Some(variable) = variable else {
        let end = if text.ends_with('\n') { "\n" } else { "" };
        return Some((format!("{value}{end}"), text.trim_end().to_owned()));
    };
    let mut old = None;
    let mut new = String::with_capacity(text.len() + value.len());
    for line in text.split_inclusive('\n') {
        let body = line.trim_end_matches(['\n', '\r']);
        let (name, rest) = body.split_once('=').unwrap_or((body, ""));
        let bare = name.trim();
        let bare = bare.strip_prefix("export ").map_or(bare, str::trim_start);
        if bare != variable || !body.contains('=') {
            new.push_str(line);
            continue;
        }
        old.get_or_insert_with(|| rest.to_owned());
        new.push_str(name);
        new.push('=');
        new.push_str(value);
        new.push_str(&line[body.len()..]);
    }
    old.map(|old| (new, old))
}

fn write(file: &str, text: &str) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let path = std::fs::canonicalize(file)?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let beside = folder.join(format!(".{name}.sexton"));
        let about = std::fs::metadata(&path)?;
        let _ = std::fs::remove_file(&beside);
        let mut new = std::fs::OpenOptions::new().write(true).create_new(true).open(&beside)?;
        let own = new.metadata()?;
        if (own.uid(), own.gid()) != (about.uid(), about.gid())
            && fchown(&new, Some(about.uid()), Some(about.gid())).is_err()
        {
            // a file that the application cannot read any more is worse than one that is half written for a moment
            std::fs::remove_file(&beside)?;
            let mut same = std::fs::OpenOptions::new().write(true).truncate(true).open(&path)?;
            same.write_all(text.as_bytes())?;
            return same.sync_all();
        }
        new.set_permissions(about.permissions())?;
        new.write_all(text.as_bytes())?;
        new.sync_all()?;
        std::fs::rename(&beside, &path)?;
        std::fs::File::open(folder)?.sync_all()
    };
    write().map_err(|error| told(file, "written", error))
}

fn run(command: &[String], to: &Place, clock: &dyn Clock, limit: Duration) -> Result<()> {
    let shown = command.join(" ");
    let failed = |why: String| {
        Error::system(format!("the command `{shown}`, which sends the application to its database, {why}"))
            .help("run it by hand to see why; it may be run more than once")
    };
    let (program, arguments) = command.split_first().ok_or_else(|| failed("is empty".to_owned()))?;
    let mut child = Command::new(program);
    child.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    match to {
        Place::There(url) => child.env("SEXTON_DATABASE_URL", url).env("SEXTON_DIRECTION", "there"),
        Place::Back(_) => child.env("SEXTON_DIRECTION", "back"),
    };
    let mut child = child.spawn().map_err(|error| failed("cannot be run".to_owned()).because(error))?;
    let mut said = child.stderr.take();
    // read aside, so that one that says much does not wait for us
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(said) = &mut said {
            let _ = said.take(1 << 16).read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    });
    let began = clock.tick();
    loop {
        match child.try_wait().map_err(|error| failed("was lost".to_owned()).because(error))? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => {
                let text = reader.join().unwrap_or_default();
                let mut last = text.trim().lines().last().unwrap_or_default().to_owned();
                if let Place::There(url) = to {
                    // it may hold a password
                    last = last.replace(url, "…");
                }
                let said = if last.is_empty() { String::new() } else { format!(": {last}") };
                return Err(failed(format!("failed ({status}){said}")));
            }
            None if clock.tick().duration_since(began) > limit => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed(format!("took longer than {} s", limit.as_secs())).code(super::LIMIT));
            }
            None => clock.sleep(STEP),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, check, rewritten, send};
    use crate::transfer::options::Switch;
    use engine::SystemClock;
    use std::time::Duration;

    #[test]
    fn only_the_line_of_the_variable_changes_and_comes_back_as_it_was() {
        // S4-038
        let text = "# DATABASE_URL=old\nexport DATABASE_URL=\"sqlite:///app.db\"\r\nOTHER_DATABASE_URL=x\nDATABASE_URL = y";
        let (new, old) = rewritten(text, Some("DATABASE_URL"), "z").unwrap();
        assert_eq!(new, "# DATABASE_URL=old\nexport DATABASE_URL=z\r\nOTHER_DATABASE_URL=x\nDATABASE_URL =z");
        assert_eq!(old, "\"sqlite:///app.db\"");
        assert_eq!(rewritten("A=1\n", Some("B"), "z"), None);
        assert_eq!(rewritten("old\n", None, "new"), Some(("new\n".to_owned(), "old".to_owned())));
    }

    #[test]
    fn a_file_keeps_its_rights_and_the_quotes_that_it_has() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".env");
        std::fs::write(&file, "A=1\nURL='old' # here\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        let switch = Switch {
            file: Some(file.display().to_string()),
            variable: Some("URL".to_owned()),
            value: Some("{url}?x=1".to_owned()),
            ..Switch::default()
        };
        check(&switch).unwrap();
        let long = Duration::from_secs(5);
        let was = send(&switch, &Place::There("postgres://a"), &SystemClock, long).unwrap();
        assert_eq!(was.as_deref(), Some("'old' # here"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "A=1\nURL='postgres://a?x=1'\n");
        send(&switch, &Place::Back(was.as_deref()), &SystemClock, long).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "A=1\nURL='old' # here\n");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_stays_that_of_its_owner() {
        // S4-038: as root, as the daemon may run
        use std::os::unix::fs::{MetadataExt, chown};
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pointer");
        std::fs::write(&file, "old\n").unwrap();
        let own = std::fs::metadata(&file).unwrap();
        let others = if own.uid() == 0 { (12_345, 12_346) } else { (own.uid(), own.gid()) };
        chown(&file, Some(others.0), Some(others.1)).unwrap();
        let switch = Switch { file: Some(file.display().to_string()), ..Switch::default() };
        send(&switch, &Place::There("new"), &SystemClock, Duration::from_secs(5)).unwrap();
        let about = std::fs::metadata(&file).unwrap();
        assert_eq!((about.uid(), about.gid()), others);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "new\n");
    }

    #[test]
    fn a_command_that_fails_or_takes_too_long_is_told_with_what_it_said() {
        let run = |text: &str, limit| {
            let switch =
                Switch { command: ["sh", "-c", text].map(str::to_owned).to_vec(), ..Switch::default() };
            let sent = send(&switch, &Place::There("postgres://a"), &SystemClock, limit);
            sent.map(drop).map_err(|error| error.to_string())
        };
        let long = Duration::from_secs(5);
        assert_eq!(
            run("test \"$SEXTON_DATABASE_URL $SEXTON_DIRECTION\" = 'postgres://a there'", long),
            Ok(())
        );
        assert!(run("echo no such host >&2; exit 3", long).unwrap_err().contains("no such host"));
        assert!(run("sleep 60", Duration::from_millis(50)).unwrap_err().contains("took longer"));
        assert!(check(&Switch::default()).is_err());
    }
}
