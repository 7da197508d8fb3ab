//! A database with nothing in it, and a whole database as statements, by `pg_dump`.
//!
//! The text is for a transaction that others share: what `pg_dump` sets is set for that transaction only, lines that only
//! `psql` knows are left out, and nobody's role is named as the owner of anything.

use super::Postgres;
use super::address::Address;
use super::copies::beside;
use super::tools::{Tools, command, complaint};
use std::fmt::Write;
use std::process::Stdio;
use std::sync::Arc;
use targets::db::{Database, Error, Result, Sql, TableName, Url, Value, quote};
use targets::files::failed;

impl Postgres {
    /// With encoding and locale of this one.
    pub(super) fn make_blank(&self, name: &str) -> Result<Arc<dyn Database>> {
        let rows = self.read()?.rows(&Sql::new(
            "select pg_encoding_to_char(encoding), datcollate::text, datctype::text
             from pg_database where datname = current_database()",
        ))?;
        let text = |n: usize| {
            let value = rows.first().and_then(|row| row.get(n)).and_then(Value::as_text).unwrap_or_default();
            format!("'{}'", value.replace('\'', "''"))
        };
        self.tell(&format!(
            "create database {} template template0 encoding {} lc_collate {} lc_ctype {}",
            quote(name),
            text(0),
            text(1),
            text(2)
        ))
        .map_err(|error| error.while_doing(&format!("making the database `{name}`")))?;
        Ok(Arc::new(Postgres::new(
            &format!("{} (empty)", self.label),
            Url::parse(&beside(&self.url.expose(), name))?,
        )))
    }

    pub(super) fn whole_script(&self, tools: &Tools, without: &[TableName]) -> Result<String> {
        let address = Address::parse(&self.url.expose())?;
        let mut dump = command(&tools.dump, &address);
        dump.args(["--no-password", "--lock-wait-timeout=60s", "--format=plain", "--inserts", "--no-owner"]);
        dump.args(["--exclude-schema=sexton", "--column-inserts"]);
        for table in without {
            let schema = table.schema.as_deref().unwrap_or("*");
            dump.arg(format!("--exclude-table={}.{}", pattern(schema), quote(&table.name)));
        }
        let said =
            dump.stdin(Stdio::null()).output().map_err(|error| failed("cannot start `pg_dump`", error))?;
        if !said.status.success() {
            return Err(complaint("pg_dump", &self.label, &String::from_utf8_lossy(&said.stderr)));
        }
        let text = String::from_utf8(said.stdout)
            .map_err(|error| Error::system("`pg_dump` wrote text that is no UTF-8").because(error))?;
        Ok(for_a_transaction(&text))
    }
}

/// A name as `pg_dump` takes it in a pattern; a star stays one.
fn pattern(name: &str) -> String {
    if name == "*" { name.to_owned() } else { quote(name) }
}

/// The same text without what would outlive the transaction or is for `psql` only. `pg_dump` writes its settings one a line,
/// and none of them inside of a body.
fn for_a_transaction(text: &str) -> String {
    let mut out = String::new();
    let mut quoted: Option<String> = None;
    for line in text.lines() {
        let outside = quoted.is_none();
        follow(line, &mut quoted);
        if outside {
            if line.starts_with('\\') || line.starts_with("--") {
                continue;
            }
            if let Some(setting) = line.strip_prefix("SET ").filter(|_| line.ends_with(';')) {
                // Time limits are whose transaction it is.
                let limit = setting.contains("_timeout = ");
                let of_client = setting.starts_with("client_encoding") || setting.starts_with("row_security");
                if !limit && !of_client {
                    let _ = writeln!(out, "SET LOCAL {setting}");
                }
                continue;
            }
            if line.starts_with("SELECT pg_catalog.set_config('search_path'") {
                out.push_str("SELECT pg_catalog.set_config('search_path', '', true);\n");
                continue;
            }
        }
        if !(line.is_empty() && (out.is_empty() || out.ends_with("\n\n")) && quoted.is_none()) {
            let _ = writeln!(out, "{line}");
        }
    }
    let mut out = out.trim_end().to_owned();
    out.push_str("\n\nSET LOCAL search_path TO DEFAULT;\n");
    out
}

/// Whether the next line begins inside of a text in quotes, and of which.
fn follow(line: &str, quoted: &mut Option<String>) {
    let mut rest = line;
    loop {
        match quoted.as_deref() {
            Some(end) => match rest.find(end) {
                Some(at) => {
                    rest = &rest[at + end.len()..];
                    *quoted = None;
                }
                None => return,
            },
            None => {
                let Some(at) = rest.find(['\'', '$', '"', '-']) else { return };
                let found = &rest[at..];
                if found.starts_with("--") {
                    return;
                }
                let dollars = found
                    .strip_prefix('$')
                    .and_then(|tail| tail.find('$'))
                    .map(|end| &found[..end + 2])
                    .filter(|tag| tag[1..tag.len() - 1].chars().all(|c| c.is_alphanumeric() || c == '_'));
                match (found.as_bytes().first(), dollars) {
                    (Some(b'\''), _) => *quoted = Some("'".to_owned()),
                    (Some(b'"'), _) => *quoted = Some("\"".to_owned()),
                    (_, Some(tag)) => *quoted = Some(tag.to_owned()),
                    _ => {}
                }
                rest = &found[dollars.map_or(1, str::len)..];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_outlive_the_transaction_is_left_out_and_bodies_stay_as_they_are() {
        let text = "\\restrict abc\n-- PostgreSQL database dump\n\nSET statement_timeout = 0;\nSET check_function_bodies = false;\n\
            SELECT pg_catalog.set_config('search_path', '', false);\n\nCREATE FUNCTION f() AS $_$\nSET x = 1;\n-- stays\n\n\n\
            $_$;\nCOMMENT ON TABLE t IS 'it''s\n-- so\n';\nSET default_tablespace = '';\n\\unrestrict abc\n";
        assert_eq!(
            for_a_transaction(text),
            "SET LOCAL check_function_bodies = false;\nSELECT pg_catalog.set_config('search_path', '', true);\n\n\
             CREATE FUNCTION f() AS $_$\nSET x = 1;\n-- stays\n\n\n$_$;\nCOMMENT ON TABLE t IS 'it''s\n-- so\n';\n\
             SET LOCAL default_tablespace = '';\n\nSET LOCAL search_path TO DEFAULT;\n"
        );
    }
}
