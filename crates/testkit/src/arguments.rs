//! What a benchmark was told. Benchmarks are programs of their own, and each is one test for test runners that ask.

use std::io::Write as _;
use std::str::FromStr;

/// The arguments of a benchmark.
pub struct Arguments(Vec<String>);

impl Arguments {
    /// Those of this process; none where a test runner asked for the tests, which was answered.
    pub fn of(test: &str) -> Option<Self> {
        let all = Self(std::env::args().skip(1).collect());
        if !all.has("--list") {
            return Some(all);
        }
        if !all.has("--ignored") {
            let _ = writeln!(std::io::stdout(), "{test}: test");
        }
        None
    }

    /// All of them.
    pub fn all(&self) -> &[String] {
        &self.0
    }

    /// Whether this one is among them.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|argument| argument == name)
    }

    /// What follows this one.
    pub fn text(&self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|argument| argument == name)?;
        self.0.get(at + 1).cloned()
    }

    /// The number that follows this one; `_` may stand between its digits.
    pub fn number<N: FromStr>(&self, name: &str) -> Option<N> {
        self.text(name)?.replace('_', "").parse().ok()
    }
}
