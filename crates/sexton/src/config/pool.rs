//! Sessions that a process keeps which stays: how many, and for how long.

use super::document::Node;
use super::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sessions of `sexton serve` to each PostgreSQL database. A command of its own keeps none, and opens as few as it needs: four at
/// most, where it is not told to do more at once.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PoolSection {
    /// So many are open from the start.
    #[schemars(range(min = 0, max = 1000))]
    pub min: usize,
    /// So many are kept open at most.
    #[schemars(range(min = 1, max = 1000))]
    pub size: usize,
    /// So many more are opened while they are needed.
    #[schemars(range(min = 0, max = 1000))]
    pub overflow: usize,
    /// So many seconds are waited for one that is given back; then the request fails.
    #[schemars(range(min = 0.0, max = 3600.0))]
    pub wait_timeout: f64,
    /// None is kept for longer than so many seconds.
    #[schemars(range(min = 1.0, max = 86_400.0))]
    pub recycle: f64,
}

impl Default for PoolSection {
    fn default() -> Self {
        Self { min: 5, size: 20, overflow: 30, wait_timeout: 30.0, recycle: 3600.0 }
    }
}

/// What no schema says.
pub fn check(pool: &Node, problems: &mut Vec<Problem>) {
    let number = |name: &str, usual: usize| {
        pool.entry(name).and_then(|node| node.json().as_u64()).map_or(usual, |number| number as usize)
    };
    let usual = PoolSection::default();
    let (min, size) = (number("min", usual.min), number("size", usual.size));
    if min > size
        && let Some(node) = pool.entry("min").or_else(|| pool.entry("size"))
    {
        let what = format!("`min` is {min}, but no more than `size` are kept, which is {size}");
        problems.push(
            Problem::new(&node.path, node.span.clone(), what).help("make `min` smaller, or `size` larger"),
        );
    }
}
