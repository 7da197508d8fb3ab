//! Sequences of the target: which column each counts for, what lets it go on where the source was, and whether it does.

use engine::{Finding, Result};
use serde_json::{Value as Json, json};
use targets::db::{Facts, Row, Sql, TableName, Value, quote};

/// A column of whole numbers that a sequence counts for.
#[derive(Debug, Clone, PartialEq)]
pub struct Counter {
    /// The table.
    pub table: TableName,
    /// The column.
    pub column: String,
    /// The sequence, quoted for a statement.
    pub sequence: String,
    /// The sequence belongs to the column; else it is only named by the column's default, and may count for others too.
    pub is_own: bool,
}

/// The columns of a table that sequences count for: their own ones, and those that their defaults ask.
pub fn of(table: &TableName, target: &mut dyn Facts) -> Result<Vec<Counter>> {
    let oid = Sql::new("").bind(table.quoted()).text("::text::regclass");
    let sql = Sql::new(
        "select a.attname::text, s.oid::regclass::text, bool_or(d.is_own) from ( \
           select refobjsubid as attnum, objid as sequence, true as is_own from pg_depend where classid = 'pg_class'::regclass \
             and refclassid = 'pg_class'::regclass and deptype in ('a', 'i') and refobjid = ",
    )
    .add(&oid)
    .text(
        " union all select e.adnum, p.refobjid, false from pg_attrdef e join pg_depend p on p.classid = 'pg_attrdef'::regclass \
           and p.objid = e.oid and p.refclassid = 'pg_class'::regclass where e.adrelid = ",
    )
    .add(&oid)
    .text(
        ") as d join pg_class s on s.oid = d.sequence and s.relkind = 'S' join pg_attribute a on a.attnum = d.attnum \
           join pg_type t on t.oid = a.atttypid \
           where case t.typtype when 'd' then t.typbasetype else t.oid end in (20, 21, 23) and a.attrelid = ",
    )
    .add(&oid)
    .text(" group by a.attnum, 1, 2 order by a.attnum, 2");
    let counter = |row: &Row| Counter {
        table: table.clone(),
        column: row[0].as_text().unwrap_or_default().to_owned(),
        sequence: row[1].as_text().unwrap_or_default().to_owned(),
        is_own: row[2] == Value::Bool(true),
    };
    Ok(target.rows(&sql)?.iter().map(counter).collect())
}

impl Counter {
    /// What lets it go on behind the greatest number that is there, or that the source ever gave. Who counts for others as well never
    /// goes back.
    pub fn go_on(&self, given: i64) -> String {
        let (column, name) = (quote(&self.column), super::translate::expression::string(&self.sequence));
        let before = match self.is_own {
            true => String::new(),
            false => format!(", pg_sequence_last_value({name})"),
        };
        format!(
            "select setval({name}, greatest(coalesce(max({column}), 0), {given}, 1{before}), \
             greatest(coalesce(max({column}), 0), {given}{before}) > 0) from {}",
            self.table.quoted()
        )
    }
}

/// How far the sequences of these tables are, which are named as a plan tells them.
pub fn told(tables: &[&str], target: &mut dyn Facts) -> Result<Vec<Json>> {
    let schema = target.schema()?;
    let mut told = Vec::new();
    for table in schema.tables.iter().filter(|table| tables.contains(&table.name.to_string().as_str())) {
        for counter in of(&table.name, target)? {
            let name = || Sql::new("").bind(counter.sequence.as_str()).text("::text::regclass");
            let sql = Sql::new("select coalesce(max(")
                .name(&counter.column)
                .text("), 0)::bigint, case when has_sequence_privilege(")
                .add(&name())
                .text(", 'usage, select') then coalesce(pg_sequence_last_value(")
                .add(&name())
                .text("), 0) end from ")
                .table(&table.name);
            let rows = target.rows(&sql)?;
            let number = |n: usize| rows.first().and_then(|row: &Row| row.get(n)).and_then(Value::as_int);
            // who may not look at it cannot tell
            let (Some(greatest), Some(last)) = (number(0), number(1)) else { continue };
            told.push(json!({
                "table": table.name.to_string(), "column": counter.column, "sequence": counter.sequence,
                "last": last, "greatest": greatest, "same": last >= greatest,
            }));
        }
    }
    Ok(told)
}

/// What is told of a sequence that is behind: the next row would get a number that is there.
pub fn behind(told: &[Json]) -> Vec<Finding> {
    let behind = told.iter().filter(|one| one["same"] == json!(false));
    let finding = |one: &Json| {
        let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
        Finding::warning(
            "sequence_behind",
            format!("{}.{}", text("table"), text("column")),
            format!(
                "the sequence `{}` is at {}, and {} is there already",
                text("sequence"),
                one["last"],
                one["greatest"]
            ),
            format!(
                "set it: `select setval('{}', {})`",
                text("sequence").replace('\'', "''"),
                one["greatest"]
            ),
        )
    };
    behind.map(finding).collect()
}
