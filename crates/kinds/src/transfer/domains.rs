//! Domains of the target: the types below them, and what they demand of a value.

use super::demands::Asked;
use engine::Result;
use std::collections::{HashMap, HashSet};
use targets::db::{Facts, Row, Sql, TableName, Value};

/// All of them, by their names.
#[derive(Debug, Clone, Default)]
pub struct Domains {
    bases: HashMap<String, String>,
    without_null: HashSet<String>,
    with_default: HashSet<String>,
}

fn text(row: &Row, n: usize) -> String {
    row.get(n).and_then(Value::as_text).unwrap_or_default().to_owned()
}

impl Domains {
    /// Those that are there.
    pub fn read(target: &mut dyn Facts) -> Result<Self> {
        let sql = "with recursive base (name, typid, typmod, refuses, fills) as ( \
                     select format_type(t.oid, null), t.typbasetype, t.typtypmod, t.typnotnull, t.typdefault is not null \
                     from pg_type t where t.typtype = 'd' \
                     union all \
                     select b.name, t.typbasetype, t.typtypmod, b.refuses or t.typnotnull, b.fills \
                     from base b join pg_type t on t.oid = b.typid where t.typtype = 'd') \
                   select b.name, format_type(b.typid, b.typmod), b.refuses, b.fills from base b join pg_type t on t.oid = b.typid \
                   where t.typtype <> 'd'";
        let mut domains = Self::default();
        for row in target.rows(&Sql::new(sql))? {
            let name = text(&row, 0).trim_matches('"').to_owned();
            let is = |n: usize| row.get(n).and_then(Value::as_bool) == Some(true);
            if is(2) {
                domains.without_null.insert(name.clone());
            }
            if is(3) {
                domains.with_default.insert(name.clone());
            }
            domains.bases.insert(name, text(&row, 1));
        }
        Ok(domains)
    }

    /// The type below this one, which is itself where it is no domain.
    pub fn base<'d>(&'d self, declared: &'d str) -> &'d str {
        self.bases.get(declared.trim_matches('"')).map_or(declared, String::as_str)
    }

    /// Whether it is a domain that takes no NULL.
    pub fn refuses_null(&self, declared: &str) -> bool {
        self.without_null.contains(declared.trim_matches('"'))
    }

    /// Whether it is a domain that gives a value by itself.
    pub fn has_default(&self, declared: &str) -> bool {
        self.with_default.contains(declared.trim_matches('"'))
    }
}

/// The conditions of the domains of a table's columns, and of those below them.
pub fn checks(table: &TableName, target: &mut dyn Facts) -> Result<Vec<Asked>> {
    let sql = Sql::new(
        "with recursive below (name, typid) as ( \
           select a.attname::text, a.atttypid from pg_attribute a \
           where a.attnum > 0 and not a.attisdropped and a.attrelid = ",
    )
    .bind(table.quoted())
    .text(
        "::text::regclass union all \
           select b.name, t.typbasetype from below b join pg_type t on t.oid = b.typid where t.typtype = 'd') \
         select c.conname::text, pg_get_expr(c.conbin, 0), b.name \
         from below b join pg_constraint c on c.contypid = b.typid where c.contype = 'c' order by 3, 1",
    );
    let asked = |row: &Row| Asked {
        name: text(row, 0),
        expression: text(row, 1),
        columns: vec![text(row, 2)],
        // what the domain calls it
        called: Some("value".to_owned()),
    };
    Ok(target.rows(&sql)?.iter().map(asked).collect())
}
