//! Sorts what the server and the network report by what to do about it.

use std::collections::HashMap;
use targets::db::{Class, Error, quote};

/// What the server sent as an error or a notice, by field letter.
#[derive(Debug, Clone, Default)]
pub(super) struct Report(HashMap<u8, String>);

impl Report {
    /// Reads the body of an `ErrorResponse` or a `NoticeResponse`.
    pub fn read(body: &[u8]) -> Self {
        let fields = body.split(|byte| *byte == 0).filter_map(|field| {
            let (letter, text) = field.split_first()?;
            Some((*letter, String::from_utf8_lossy(text).into_owned()))
        });
        Self(fields.collect())
    }

    /// The SQLSTATE.
    pub fn code(&self) -> &str {
        self.field(b'C')
    }

    /// The message alone.
    pub fn message(&self) -> &str {
        self.field(b'M')
    }

    fn field(&self, letter: u8) -> &str {
        self.0.get(&letter).map(String::as_str).unwrap_or("")
    }

    /// The error a caller sees.
    pub fn into_error(self) -> Error {
        let code = self.code().to_owned();
        let mut what = self.message().to_owned();
        lower_first(&mut what);
        if !self.field(b'D').is_empty() {
            what = format!("{what}: {}", self.field(b'D').trim_end_matches('.'));
        }
        let mut error = Error::new(class(&code), what);
        if let Some(help) = self.help(&code) {
            error = error.help(help);
        }
        error.code(code)
    }

    fn help(&self, code: &str) -> Option<String> {
        let table = self.field(b't');
        if code == "42501"
            && let Some(named) = missing_right(self.message())
        {
            return named;
        }
        let own = match code {
            "42501" if table.is_empty() => {
                "grant the missing right to this role, for example `grant select, insert, update, delete on TABLE to \
                 ROLE`; Sexton's own tables need `grant create on database DATABASE to ROLE`"
            }
            "42501" => "grant the missing right to this role with `grant … on … to …`",
            "28P01" | "28000" => {
                "check user, password and sslmode in the database URL, and pg_hba.conf on the server"
            }
            "3D000" => "check the name of the database in the URL; `psql -l` lists those that exist",
            "53100" => "the server's disk is full: free space there, then run again",
            "53200" => "the server is out of memory: lower its work_mem, or make batches smaller",
            "53300" => "the server has no free connections: raise max_connections or close some",
            "55P03" => "somebody holds a lock on these rows or this table; the batch can be tried again",
            "57014" => {
                "the statement took longer than allowed: allow more with `--statement-timeout`, make batches smaller with \
                 `--batch-size`, or run it in quieter hours"
            }
            "57P01" => {
                "an administrator ended this session, or the server was restarted; go on with `sexton resume`"
            }
            "57P03" => "the server is starting up or shutting down; try again in a moment",
            "25006" => "this session or this server is read-only; use the primary server",
            _ => "",
        };
        let hint = self.field(b'H');
        [own, hint].into_iter().find(|help| !help.is_empty()).map(str::to_owned)
    }
}

/// What would grant the right that a message says is missing, where the server speaks English and Sexton's own tables are
/// not the matter: then whoever asks knows better which rights those take, and there is no help here.
fn missing_right(message: &str) -> Option<Option<String>> {
    let (sort, name) = message.strip_prefix("permission denied for ")?.split_once(' ')?;
    if name == super::dialect::OWN {
        return Some(None);
    }
    let rights = match sort {
        "schema" => format!("usage on schema {}", quote(name)),
        "table" | "view" => format!("select, insert, update, delete on {}", quote(name)),
        _ => return None,
    };
    Some(Some(format!("let someone who may run `grant {rights} to ROLE`")))
}

/// The class of a SQLSTATE.
fn class(code: &str) -> Class {
    match code {
        "40001" | "40P01" | "55P03" | "57014" | "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "55006" => {
            Class::Transient
        }
        // Raised by a trigger or a function of the application.
        "P0001" | "P0004" | "44000" => Class::Data,
        "42501" | "3D000" | "25006" | "55000" | "0LP01" => Class::System,
        // Most often a `$1` in a condition that a person wrote. Trying again would not help.
        "08P01" => Class::Usage,
        _ => match code.get(..2).unwrap_or("") {
            "08" => Class::Transient,
            "22" | "23" | "09" | "27" | "2B" | "21" => Class::Data,
            "42" | "0A" | "26" | "34" | "3F" | "2F" => Class::Usage,
            _ => Class::System,
        },
    }
}

/// The server is gone in the middle of something: the whole transaction may be tried on a new connection.
pub(super) fn lost(error: std::io::Error) -> Error {
    Error::transient("the connection to the server was lost").code("08006").because(error)
}

/// Nobody answers. Not transient: a server that is not there yet when a run begins is a matter for a person.
pub(super) fn unreachable(place: &str, error: std::io::Error) -> Error {
    Error::system(format!("no connection to the server at `{place}`"))
        .help("check that PostgreSQL runs there and that host and port in the database URL are right")
        .code("08001")
        .because(error)
}

/// The server says something that this program does not understand.
pub(super) fn protocol(what: &str) -> Error {
    Error::system(format!("the server does not speak as PostgreSQL does: {what}"))
        .help("check that host and port in the database URL belong to PostgreSQL 10 or newer")
        .code("08P01")
}

/// `Relation x…` reads badly in the middle of a line; `SSL …` does not.
fn lower_first(text: &mut String) {
    let mut chars = text.chars();
    if let (Some(first), Some(second)) = (chars.next(), chars.next())
        && first.is_uppercase()
        && second.is_lowercase()
    {
        let lowered: String = first.to_lowercase().chain(std::iter::once(second)).chain(chars).collect();
        *text = lowered;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_by_what_to_do() {
        for (code, expected) in [
            ("40001", Class::Transient),
            ("40P01", Class::Transient),
            ("55P03", Class::Transient),
            ("57014", Class::Transient),
            ("57P01", Class::Transient),
            ("08006", Class::Transient),
            ("23503", Class::Data),
            ("22P02", Class::Data),
            ("P0001", Class::Data),
            ("42501", Class::System),
            ("53100", Class::System),
            ("28P01", Class::System),
            ("42P01", Class::Usage),
            ("42601", Class::Usage),
            ("08P01", Class::Usage),
        ] {
            assert_eq!(class(code), expected, "{code}");
        }
    }
}
