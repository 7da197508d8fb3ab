//! References in the configuration to what must not stand in it: `${NAME}` and `${file:/path}`.
//!
//! They are replaced in the URLs and secret keys only. In the user part of a URL the inserted text is percent-encoded, so
//! that a password may hold any character. Nothing that is missing is ever replaced by nothing.

use super::environment::Environment;
use std::path::Path;

/// Replaces all references in `text`. The error says what is missing.
pub fn expand(text: &str, environment: &Environment, folder: &Path) -> Result<String, Missing> {
    let user_part =
        text.find("://").map(|start| start + 3).zip(text.rfind('@')).filter(|(start, end)| start < end);
    let mut all = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else {
            return Err(Missing {
                what: "a `${` has no `}`".to_owned(),
                help: "write `${NAME}` or `${file:/path}`".to_owned(),
            });
        };
        all.push_str(&rest[..start]);
        let place = text.len() - rest.len() + start;
        let value = look_up(&rest[start + 2..start + length], environment, folder)?;
        if user_part.is_some_and(|(from, to)| from <= place && place < to) {
            all.push_str(&percent_encoded(&value));
        } else {
            all.push_str(&value);
        }
        rest = &rest[start + length + 1..];
    }
    all.push_str(rest);
    Ok(all)
}

/// A secret key may also be a bare `file:/path`; URLs may not, because `file:` begins the URL of a SQLite file.
pub fn expand_secret(text: &str, environment: &Environment, folder: &Path) -> Result<String, Missing> {
    if text.starts_with("file:") {
        return look_up(text, environment, folder);
    }
    expand(text, environment, folder)
}

/// What a reference refers to is not there.
pub struct Missing {
    /// What is missing.
    pub what: String,
    /// What to do.
    pub help: String,
}

fn look_up(reference: &str, environment: &Environment, folder: &Path) -> Result<String, Missing> {
    if let Some(path) = reference.strip_prefix("file:") {
        let path = folder.join(path);
        return std::fs::read_to_string(&path)
            .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
            .map_err(|error| Missing {
                what: format!("the secret file `{}` cannot be read: {error}", path.display()),
                help: "create it, readable for this user only".to_owned(),
            });
    }
    environment.variable(reference).map(str::to_owned).ok_or_else(|| Missing {
        what: format!("the variable `{reference}` is not set"),
        help: format!(
            "set it: `export {reference}=…`, or write it into a file `.env` beside the configuration"
        ),
    })
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => (byte as char).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
