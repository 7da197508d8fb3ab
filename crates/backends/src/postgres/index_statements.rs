//! The statements that make an index again: what the server itself says of it, and what it leaves out.
//!
//! Its own definition leaves out the tablespace, the comment and the statistics targets of expressions.

use targets::db::{Sql, TableName};

/// The query for them.
pub(super) fn of(index: &TableName) -> Sql {
    Sql::new("with i as materialized (select * from pg_index where indexrelid = to_regclass(")
        .bind(index.quoted())
        .text(STATEMENTS)
}

// The tablespace comes before the condition, which ends the definition. The target is the default one when it is negative, and
// from PostgreSQL 17 on when it is null.
const STATEMENTS: &str = ")),
    d as (
      select i.indexrelid, pg_get_indexdef(i.indexrelid) as whole,
             coalesce(' WHERE ' || pg_get_expr(i.indpred, i.indrelid), '') as condition,
             coalesce(' TABLESPACE ' || quote_ident(s.spcname), '') as place,
             format('%I.%I', n.nspname, c.relname) as name
      from i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
        left join pg_tablespace s on s.oid = c.reltablespace
      where c.relkind = 'i')
    select statement from (
      select 1 as n, 0 as part,
             case when right(whole, length(condition)) = condition
                  then left(whole, length(whole) - length(condition)) || place || condition
                  else whole end as statement
      from d
      union all
      select 2, 0, 'comment on index ' || d.name || ' is ' || quote_literal(t.description)
      from d join pg_description t on t.objoid = d.indexrelid and t.classoid = 'pg_class'::regclass and t.objsubid = 0
      union all
      select 3, a.attnum,
             'alter index ' || d.name || ' alter column ' || a.attnum || ' set statistics ' || a.attstattarget
      from d join pg_attribute a on a.attrelid = d.indexrelid
      where a.attstattarget >= 0 and a.attnum > 0) as s
    order by n, part";

/// The statement, for building the index beside those who write.
pub(super) fn beside(statement: &str) -> String {
    match statement.split_once(" INDEX ") {
        Some((create @ ("CREATE" | "CREATE UNIQUE"), rest)) => format!("{create} INDEX CONCURRENTLY {rest}"),
        _ => statement.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::beside;

    #[test]
    fn only_the_beginning_of_a_definition_is_changed() {
        assert_eq!(
            beside("CREATE UNIQUE INDEX \"a INDEX b\" ON public.t USING btree (x)"),
            "CREATE UNIQUE INDEX CONCURRENTLY \"a INDEX b\" ON public.t USING btree (x)"
        );
        assert_eq!(beside("CREATE INDEX i ON t (x)"), "CREATE INDEX CONCURRENTLY i ON t (x)");
    }
}
