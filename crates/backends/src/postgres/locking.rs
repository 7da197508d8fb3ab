//! How many rows a statement may choose, and that it locks them.

use targets::db::{Sql, Take};

/// `limit 5 for update of t skip locked`.
pub(super) fn limit_and_lock(take: &Take) -> Sql {
    let limit = take.limit.map(|limit| Sql::new(" limit ").bind(limit.min(i64::MAX as u64) as i64));
    let lock = if take.skip_locked { " for update of t skip locked" } else { " for update of t" };
    limit.unwrap_or_default().text(lock)
}
