//! Which databases a fleet has now: those listed, or those that a query yields at this moment.
//!
//! What comes out of a query is data: it is put into a URL as data, so that no row can lead anywhere else than the
//! configuration says.

use crate::config::{DatabaseSetting, FleetSetting, Members};
use engine::Error;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use targets::db::{Database, Sql, Url, Value};

/// One database of a fleet.
#[derive(Clone)]
pub struct Member {
    /// Its name and where it is.
    pub setting: DatabaseSetting,
}

impl Member {
    /// As it is called.
    pub fn name(&self) -> &str {
        &self.setting.name
    }
}

/// All of them, in order. `database` finds the one that knows the others.
pub fn members(
    fleet: &FleetSetting,
    database: impl FnOnce(&str) -> Result<Arc<dyn Database>, Error>,
) -> Result<Vec<Member>, Error> {
    let settings = match &fleet.members {
        Members::Listed(listed) => listed.clone(),
        Members::Queried { from, query, url, folder } => {
            queried(fleet, database(from)?.as_ref(), query, url, folder)?
        }
    };
    let mut seen = BTreeSet::new();
    for setting in &settings {
        if !seen.insert(setting.name.as_str()) {
            return Err(Error::usage(format!("the fleet `{}` has `{}` twice", fleet.name, setting.name))
                .help("each database must have a name of its own"));
        }
    }
    Ok(settings.into_iter().map(|setting| Member { setting }).collect())
}

fn queried(
    fleet: &FleetSetting,
    from: &dyn Database,
    query: &str,
    url: &SecretString,
    folder: &Path,
) -> Result<Vec<DatabaseSetting>, Error> {
    let rows = from.read()?.rows(&Sql::raw(query)).map_err(|error| {
        error.while_doing(&format!("asking for the databases of the fleet `{}`", fleet.name))
    })?;
    let mut all = Vec::new();
    for row in rows {
        let values: Vec<String> = row.iter().map(text).collect();
        let Some(name) = values.first().filter(|name| !name.is_empty()) else {
            return Err(Error::usage(format!(
                "the query of the fleet `{}` yields a row without a name",
                fleet.name
            ))
            .help("its first column must be the name of each database: add `where … is not null`"));
        };
        let place = filled(url.expose_secret(), &values).map_err(|what| {
            Error::usage(format!("the fleet `{}` cannot have `{name}`: {what}", fleet.name))
                .help("correct the row, or `url` and `query` of the fleet")
        })?;
        let url = match Url::parse(&place)? {
            Url::Sqlite { path } => Url::Sqlite { path: folder.join(path) },
            url => url,
        };
        all.push(DatabaseSetting { name: name.clone(), url, zone: None });
    }
    Ok(all)
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        other => other.as_text().map_or_else(|| other.to_string(), str::to_owned),
    }
}

/// The URL of one row. A column that is the whole URL is taken as it is; a part of one is only ever that part.
fn filled(template: &str, values: &[String]) -> Result<String, String> {
    let is_url = template.contains("://");
    let mut out = String::new();
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        let Some(length) = rest[start..].find('}') else { break };
        out.push_str(&rest[..start]);
        let inner = &rest[start + 1..start + length];
        let number: usize =
            inner.parse().map_err(|_| format!("`{{{inner}}}` is no column: write `{{1}}`"))?;
        let value = number
            .checked_sub(1)
            .and_then(|n| values.get(n))
            .ok_or_else(|| format!("the query has no column {number}, it has {}", values.len()))?;
        if value.is_empty() {
            return Err(format!("column {number} is empty"));
        }
        if is_url {
            out.push_str(&encoded(value));
        } else if template == rest && template.len() == length + 1 {
            out.push_str(value);
        } else if value.contains('/') || value.contains("..") || value.contains('\0') {
            return Err(format!("column {number} would lead to another folder"));
        } else {
            out.push_str(value);
        }
        rest = &rest[start + length + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// As one part of a URL. A port may stand behind the name of a host.
fn encoded(value: &str) -> String {
    value
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_leads_nowhere_else_than_the_configuration_says() {
        let values = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let url = "postgres://app:s@{2}/{1}?sslmode=require";
        assert_eq!(
            filled(url, &values(&["acme", "db1:5433"])).unwrap(),
            "postgres://app:s@db1:5433/acme?sslmode=require"
        );
        let evil = filled(url, &values(&["x?host=evil", "a@evil/b"])).unwrap();
        assert_eq!(evil, "postgres://app:s@a%40evil%2Fb/x%3Fhost%3Devil?sslmode=require");
        assert_eq!(filled("tenants/{1}.db", &values(&["acme"])).unwrap(), "tenants/acme.db");
        for wrong in ["../other", "a/b", ""] {
            assert!(filled("tenants/{1}.db", &values(&[wrong])).is_err(), "{wrong}");
        }
        assert_eq!(filled("{2}", &values(&["a", "/var/a.db"])).unwrap(), "/var/a.db");
        assert!(filled("{3}", &values(&["a", "b"])).is_err() && filled("{x}", &values(&["a"])).is_err());
    }
}
