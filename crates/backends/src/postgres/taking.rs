//! The statements that delete rows and remember them, in one go where nobody else is at them.

use super::dialect::Spelling;
use targets::db::{AT, BATCH, Sql, Take, UndoTable, gone};

impl Spelling {
    /// Whether the rows are tried first without looking for locks. Locking 200 000 of a million rows before deleting
    /// them took 690 to 725 ms of the server's time where deleting them at once took 570 to 630.
    pub fn is_quick(&self, take: &Take) -> bool {
        take.limit.is_none()
    }

    /// The taking in one go.
    pub fn take_quick(&self, take: &Take) -> Sql {
        self.take_by(take, self.doomed(take))
    }

    /// The taking that goes through a list of places: counted, or passing over rows that others hold.
    pub fn take_careful(&self, take: &Take) -> Sql {
        let places = Sql::new("t.ctid = any (array(select t.ctid ")
            .add(&Self::source(take.table))
            .text(" where ")
            .add(&self.doomed(take))
            .add(&limit_and_lock(take))
            .text("))");
        self.take_by(take, places)
    }

    fn take_by(&self, take: &Take, condition: Sql) -> Sql {
        let delete = Sql::new("delete ").add(&Self::source(take.table)).text(" where ").add(&condition);
        let Some(undo) = take.into else { return delete };
        let mut parts = vec![Self::moved(0, &delete, undo, take.batch)];
        for (n, below) in take.below.iter().enumerate() {
            let delete =
                Sql::new("delete ").add(&Self::source(below.table)).text(" where ").add(&below.condition);
            parts.push(Self::moved(n + 1, &delete, below.into, take.batch));
        }
        // Triggers of foreign keys fire after all of it, so none of them finds a row that goes here.
        let counted: Vec<Sql> = (0..parts.len())
            .map(|n| {
                Sql::new("(select count(*) from ")
                    .table(&gone(n))
                    .text(&format!("), (select count(*) from kept_{n})"))
            })
            .collect();
        Sql::new("with ").add(&Sql::join(&parts, ", ")).text(" select ").add(&Sql::join(&counted, ", "))
    }

    /// Two parts of a `with`: what goes, and its way into the undo table.
    fn moved(n: usize, delete: &Sql, undo: &UndoTable, batch: i64) -> Sql {
        let columns = Self::listed(&[AT], "", &undo.columns);
        Sql::default()
            .table(&gone(n))
            .text(" (")
            .add(&columns)
            .text(") as (")
            .add(delete)
            .text(" returning ")
            .add(&Self::listed(&["t.ctid"], "t.", &undo.columns))
            .text(&format!("), kept_{n} as (insert into "))
            .table(&undo.name)
            .text(&format!(" ({BATCH}, "))
            .add(&columns)
            .text(") select ")
            .bind(batch)
            .text("::bigint, ")
            .add(&columns)
            .text(" from ")
            .table(&gone(n))
            .text(" returning 1)")
    }
}

/// `limit 5 for update of t skip locked`.
pub(super) fn limit_and_lock(take: &Take) -> Sql {
    let limit = take.limit.map(|limit| Sql::new(" limit ").bind(limit.min(i64::MAX as u64) as i64));
    let lock = if take.skip_locked { " for update of t skip locked" } else { " for update of t" };
    limit.unwrap_or_default().text(lock)
}
