//! The newest rows of each group: ranked once, then walked group by group.
//!
//! Ranks need the whole table, which no batch may cost. They are kept in a list of the session, with the rows that stay
//! as well: a row of the list goes only if it and all the newest of its group are still what they were. Whoever comes
//! later can only push it further down, and where one of those that stay is gone or changed, the group is left to the
//! last pass, which ranks anew. It does not decide anything else about a row: the rest of the rule is asked as ever.

use serde::{Deserialize, Serialize};
use targets::db::{Dialect, Row, Sql, Table, TableName, Value};

/// How many rows stay for each group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Newest {
    /// This many.
    pub keep: u64,
    /// Whose rows.
    pub table: Table,
    /// The columns that make a group.
    pub per: Vec<String>,
    /// The age, over `t`; none where the key says what is newer.
    pub age: Option<Sql>,
    /// The key.
    pub key: Vec<String>,
    /// The rest of the rule, over `t`.
    pub rest: Sql,
    /// The least size of a batch where no list can be kept, so that each ranks anew.
    pub at_least: u64,
}

impl Newest {
    /// The same with one more condition, over `t`.
    pub fn and(self, condition: &Sql) -> Self {
        let rest = Sql::new("(").add(&self.rest).text(") and ").add(condition);
        Self { rest, ..self }
    }

    /// The ranks of all rows of the table: `r` within the group, and the columns `more` says.
    fn ranked(&self, columns: &[Sql], more: &str) -> Sql {
        let newest: Vec<Sql> = self
            .age
            .iter()
            .cloned()
            .chain(self.key.iter().map(|column| Sql::new("t.").name(column)))
            .map(|value| value.text(" desc"))
            .collect();
        let ranked = Sql::new("select ")
            .add(&Sql::join(columns, ", "))
            .text(", row_number() over (partition by ")
            .names("t.", self.per.iter().map(String::as_str))
            .text(" order by ")
            .add(&Sql::join(&newest, ", "))
            .text(") as sexton_rank")
            .text(more)
            .text(" from ")
            .table(&self.table.name)
            .text(" as t");
        match &self.age {
            Some(age) => ranked.text(" where ").add(age).text(" is not null"),
            None => ranked,
        }
    }

    /// The condition, over `t`, that a row is beyond the newest of its group.
    pub fn condition(&self) -> Sql {
        let columns: Vec<Sql> = self.key.iter().map(|column| Sql::new("t.").name(column)).collect();
        self.key_of_t()
            .text(" in (select ")
            .names("r.", self.key.iter().map(String::as_str))
            .text(" from (")
            .add(&self.ranked(&columns, ""))
            .text(") as r where r.sexton_rank > ")
            .bind(self.keep as i64)
            .text(")")
    }

    /// What the list holds: all rows of the groups that have too many.
    pub fn list(&self) -> Sql {
        let own = |names: &[String], letter: &str| -> Vec<Sql> {
            let each = names.iter().enumerate();
            each.map(|(n, name)| Sql::new("t.").name(name).text(&format!(" as {letter}{n}"))).collect()
        };
        let mut columns = own(&self.key, "k");
        columns.extend(own(&self.per, "p"));
        columns.extend(self.age.iter().map(|age| age.clone().text(" as a")));
        let per = Sql::default().names("t.", self.per.iter().map(String::as_str)).shown();
        let more = format!(
            ", dense_rank() over (order by {per}) as sexton_group, count(*) over (partition by {per}) as sexton_size"
        );
        Sql::new("select * from (")
            .add(&self.ranked(&columns, &more))
            .text(") as r where r.sexton_size > ")
            .bind(self.keep as i64)
    }

    /// The columns by which the list is walked.
    pub fn order() -> [&'static str; 2] {
        ["sexton_group", "sexton_rank"]
    }

    /// The query for the end (exclusive) of the next `rows` rows of the list.
    pub fn end(&self, list: &TableName, from: Option<&Row>, rows: u64) -> Sql {
        let select = Sql::new("select l.sexton_group, l.sexton_rank from ").table(list).text(" as l where ");
        select
            .add(&self.between(from, None))
            .text(" order by l.sexton_group, l.sexton_rank limit 1 offset ")
            .bind(i64::try_from(rows.max(1)).unwrap_or(i64::MAX))
    }

    /// The condition, over `t`, that a row stands in this part of the list and is beyond the newest of its group still.
    pub fn still(
        &self,
        list: &TableName,
        from: Option<&Row>,
        to: Option<&Row>,
        dialect: &dyn Dialect,
    ) -> Sql {
        let keys: Vec<String> = (0..self.key.len()).map(|n| format!("l.k{n}")).collect();
        let from_list = Sql::new(" from ").table(list).text(" as l cross join ").table(&self.table.name);
        let from_list = from_list.text(" as t where ").add(&self.unchanged(dialect)).text(" and ");
        let mut condition = self
            .key_of_t()
            .text(&format!(" in (select {}", keys.join(", ")))
            .add(&from_list)
            .add(&self.between(from, to));
        if self.keep > 0 {
            // `to` is exclusive, but its group may begin before it
            let mut groups = Sql::new("l.sexton_rank <= ").bind(self.keep as i64);
            for (row, than) in [(from, " >= "), (to, " <= ")] {
                if let Some(group) = row.and_then(|row| row.first()) {
                    groups = groups.text(" and l.sexton_group").text(than).bind(group.clone());
                }
            }
            condition = condition
                .text(" and l.sexton_group in (select l.sexton_group")
                .add(&from_list)
                .add(&groups)
                .text(" group by l.sexton_group having count(*) = ")
                .bind(self.keep as i64)
                .text(")");
        }
        let condition = condition.text(")");
        condition.text(" and (").add(&self.rest).text(")")
    }

    fn between(&self, from: Option<&Row>, to: Option<&Row>) -> Sql {
        let mut condition = Sql::new("l.sexton_rank > ").bind(self.keep as i64);
        for (row, than) in [(from, ">="), (to, "<")] {
            let Some([group, rank]) = row.map(Vec::as_slice) else { continue };
            condition = condition
                .text(&format!(" and (l.sexton_group, l.sexton_rank) {than} ("))
                .bind(group.clone())
                .text(", ")
                .bind(rank.clone())
                .text(")");
        }
        condition
    }

    /// The row `t` is that of the list's row `l`, in the same group and of the same age.
    fn unchanged(&self, dialect: &dyn Dialect) -> Sql {
        let mut same: Vec<Sql> = Vec::new();
        for (n, column) in self.key.iter().enumerate() {
            same.push(Sql::new("t.").name(column).text(&format!(" = l.k{n}")));
        }
        for (n, column) in self.per.iter().enumerate() {
            same.push(dialect.same(&Sql::new("t.").name(column), &Sql::new(&format!("l.p{n}"))));
        }
        same.extend(self.age.iter().map(|age| dialect.same(age, &Sql::new("l.a"))));
        Sql::join(&same, " and ")
    }

    fn key_of_t(&self) -> Sql {
        let own = Sql::default().names("t.", self.key.iter().map(String::as_str));
        if self.key.len() > 1 { Sql::new("(").add(&own).text(")") } else { own }
    }
}

/// The place in the list, as `Newest::end` gives it.
pub fn place(rows: Vec<Row>) -> Option<Row> {
    rows.into_iter().next().filter(|row| matches!(row.as_slice(), [Value::Int(_), Value::Int(_)]))
}
