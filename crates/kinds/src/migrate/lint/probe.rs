//! Questions to the rows that are there: how many break a new rule, how many a statement would change.
//!
//! Each question is bounded where it can be; it runs on a session that cannot write, and one that fails is left out.

use super::course::Course;
use super::point::Raised;
use super::stated::{Demand, Does, NewConstraint, RowDeed, Stated};
use super::surroundings::Surroundings;
use targets::db::{Facts, Sql, TableKind, TableName};

/// No more offenders than this are counted.
const MOST: u64 = 1_000;
/// Tables beyond this are not walked through for an answer.
const LARGEST: u64 = 20 << 30;

/// Who can be asked.
pub struct Probe<'a> {
    facts: &'a mut dyn Facts,
    around: &'a Surroundings,
}

impl<'a> Probe<'a> {
    /// Asks this session.
    pub fn new(facts: &'a mut dyn Facts, around: &'a Surroundings) -> Self {
        Self { facts, around }
    }

    /// About how many rows a statement changes.
    pub fn hit(&mut self, parts: &[Stated]) -> Option<u64> {
        let (table, condition) = parts.iter().find_map(|part| match &part.does {
            Does::Rows { table, deed, condition, .. } if *deed != RowDeed::Insert => Some((table, condition)),
            _ => None,
        })?;
        let name = self.name(table)?;
        let Some(condition) = condition else { return self.around.traffic(table)?.rows };
        let sql = Sql::new("select 1 from ").table(&name).text(" where ").add(&Sql::raw(condition));
        self.facts.access(&sql).ok()?.rows
    }

    /// Rows that break what a part of a statement demands, as they are now.
    pub fn offenders(&mut self, part: &Stated, course: &Course) -> Vec<Raised> {
        let mut found = Vec::new();
        match &part.does {
            Does::SetNotNull { table, column } => {
                let sql = null_in(std::slice::from_ref(column));
                found.extend(self.rows(part, table, &sql, &format!("have NULL in `{column}`")));
            }
            Does::AddConstraint { table, constraint }
                if !constraint.not_valid && !constraint.not_enforced =>
            {
                found.extend(self.of_constraint(part, table, constraint, course));
            }
            Does::ValidateConstraint { table, name } => {
                let check = self.around.checks.iter().find(|check| check.name == *name).cloned();
                if let Some(check) = check.filter(|check| check.table.name == table.name) {
                    let sql = Sql::new("not (").add(&Sql::raw(&check.expression)).text(")");
                    found.extend(self.rows(part, table, &sql, &format!("break `{name}`")));
                }
            }
            Does::CreateIndex { table, index } if index.unique => {
                let columns: Option<Vec<String>> = index.columns.iter().cloned().collect();
                if let Some(columns) = columns {
                    found.extend(self.alike(part, table, &columns, index.condition.as_deref()));
                }
            }
            _ => {}
        }
        found
    }

    fn of_constraint(
        &mut self,
        part: &Stated,
        table: &TableName,
        constraint: &NewConstraint,
        course: &Course,
    ) -> Vec<Raised> {
        match &constraint.demands {
            Demand::Check(expression) => {
                let sql = Sql::new("not (").add(&Sql::raw(expression)).text(")");
                self.rows(part, table, &sql, "break the check").into_iter().collect()
            }
            Demand::NotNull(column) => {
                let what = format!("have NULL in `{column}`");
                self.rows(part, table, &null_in(std::slice::from_ref(column)), &what).into_iter().collect()
            }
            Demand::Unique { columns, index: None } => {
                self.alike(part, table, columns, None).into_iter().collect()
            }
            Demand::Primary { columns, index: None } => {
                let nulls = self.rows(part, table, &null_in(columns), "have NULL in the key");
                nulls.into_iter().chain(self.alike(part, table, columns, None)).collect()
            }
            Demand::ForeignKey { columns, parent, parent_columns } => {
                self.parentless(part, table, columns, parent, parent_columns, course).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// The table as the catalogue spells it, if its rows can be asked.
    fn name(&self, table: &TableName) -> Option<TableName> {
        let found = self.around.schema.find(&table.to_string()).ok()?;
        let small =
            self.around.traffic(table).and_then(|traffic| traffic.bytes).is_none_or(|bytes| bytes <= LARGEST);
        (small && found.kind != TableKind::View && found.rights.select).then(|| found.name.clone())
    }

    fn count(&mut self, from: &Sql) -> Option<u64> {
        let sql = Sql::new("select count(*) from (")
            .add(from)
            .text(" limit ")
            .bind(MOST as i64)
            .text(") as offending");
        self.facts.count(&sql).ok().filter(|count| *count > 0)
    }

    fn rows(&mut self, part: &Stated, table: &TableName, condition: &Sql, what: &str) -> Option<Raised> {
        let name = self.name(table)?;
        let sql = Sql::new("select 1 from ").table(&name).text(" as t where ").add(condition);
        let count = self.count(&sql)?;
        Some(raised(part, table, count, "rows", what, &sql))
    }

    fn alike(
        &mut self,
        part: &Stated,
        table: &TableName,
        columns: &[String],
        condition: Option<&str>,
    ) -> Option<Raised> {
        let name = self.name(table)?;
        let listed = || columns.iter().map(String::as_str);
        let mut sql = Sql::new("select ").names("", listed()).text(" from ").table(&name).text(" where ");
        let filled: Vec<Sql> =
            columns.iter().map(|column| Sql::default().name(column).text(" is not null")).collect();
        sql = sql.add(&Sql::join(&filled, " and "));
        if let Some(condition) = condition {
            sql = sql.text(" and (").add(&Sql::raw(condition)).text(")");
        }
        sql = sql.text(" group by ").names("", listed()).text(" having count(*) > 1");
        let count = self.count(&sql)?;
        let what = format!("of `{}` are there more than once", columns.join("`, `"));
        Some(raised(part, table, count, "values", &what, &sql))
    }

    fn parentless(
        &mut self,
        part: &Stated,
        table: &TableName,
        columns: &[String],
        parent: &TableName,
        parent_columns: &[String],
        course: &Course,
    ) -> Option<Raised> {
        // A parent that the migration makes is empty.
        if course.is_new(parent) {
            return None;
        }
        let (child, parent_name) = (self.name(table)?, self.name(parent)?);
        let known = self.around.schema.find(&parent.to_string()).ok()?;
        let key = known.key.as_ref().map(|key| key.columns.clone()).unwrap_or_default();
        let parent_columns = if parent_columns.is_empty() { key } else { parent_columns.to_vec() };
        if parent_columns.len() != columns.len() {
            return None;
        }
        let pairs: Vec<Sql> = columns
            .iter()
            .zip(&parent_columns)
            .map(|(own, other)| Sql::new("p.").name(other).text(" = t.").name(own))
            .collect();
        let filled: Vec<Sql> =
            columns.iter().map(|own| Sql::new("t.").name(own).text(" is not null")).collect();
        let sql = Sql::new("select 1 from ")
            .table(&child)
            .text(" as t where ")
            .add(&Sql::join(&filled, " and "))
            .text(" and not exists (select 1 from ")
            .table(&parent_name)
            .text(" as p where ")
            .add(&Sql::join(&pairs, " and "))
            .text(")");
        let count = self.count(&sql)?;
        Some(raised(part, table, count, "rows", &format!("refer to nothing in `{parent}`"), &sql))
    }
}

fn null_in(columns: &[String]) -> Sql {
    let each: Vec<Sql> = columns.iter().map(|column| Sql::new("t.").name(column).text(" is null")).collect();
    Sql::join(&each, " or ")
}

fn raised(part: &Stated, table: &TableName, count: u64, of: &str, what: &str, sql: &Sql) -> Raised {
    let more = if count >= MOST { "at least " } else { "" };
    let show = sql.shown().replacen("select 1 from", "select * from", 1);
    Raised {
        code: "rows-offend",
        at: part.at.clone(),
        text: format!("{more}{count} {of} in `{table}` {what}, so this fails"),
        help: Some(format!("look at them: {show} limit 10")),
    }
}
