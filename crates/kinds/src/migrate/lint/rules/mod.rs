//! The rules, sorted by what they look at. Each looks at one part of a statement in its place.

mod conflicts;
mod design;
mod locks;
mod running;
mod sqlite;
mod transactions;

use super::Engine;
use super::point::{Point, Raised};

/// All that the rules find in one part of a statement.
pub fn judge(point: &Point) -> Vec<Raised> {
    let mut found = Vec::new();
    conflicts::judge(point, &mut found);
    transactions::judge(point, &mut found);
    running::judge(point, &mut found);
    design::judge(point, &mut found);
    match point.course.engine {
        Engine::Postgres => locks::judge(point, &mut found),
        Engine::Sqlite => sqlite::judge(point, &mut found),
    }
    found
}
