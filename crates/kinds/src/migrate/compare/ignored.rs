//! Which objects do not count: patterns over what an object is called.

use engine::{Error, Result};
use targets::db::Object;

/// Patterns, and two sorts that count only when they are asked for.
#[derive(Debug, Clone, Default)]
pub struct Ignored {
    patterns: Vec<String>,
    /// Whether rights count.
    pub grants: bool,
    /// Whether comments count.
    pub comments: bool,
}

impl Ignored {
    /// `public.cache_*`, or with the kind before it: `index public.tmp_*`. A star stands for anything.
    pub fn new(patterns: &[String]) -> Result<Self> {
        if patterns.iter().any(|pattern| pattern.trim().trim_matches('*').is_empty()) {
            return Err(Error::usage("a pattern of what to ignore covers everything")
                .help("write which objects: `index public.tmp_*`"));
        }
        let patterns = patterns.iter().map(|pattern| pattern.trim().to_lowercase()).collect();
        Ok(Self { patterns, grants: false, comments: false })
    }

    /// Rights and comments count too.
    pub fn nothing() -> Self {
        Self { patterns: Vec::new(), grants: true, comments: true }
    }

    /// Whether this object does not count. What belongs to an ignored table does not count either.
    pub fn covers(&self, object: &Object) -> bool {
        if object.kind == "grant" && !self.grants || object.kind == "comment" && !self.comments {
            return true;
        }
        let whole = match &object.of {
            Some(of) if !object.name.contains('.') => format!("{of}.{}", object.name),
            _ => object.name.clone(),
        };
        let whole = whole.to_lowercase();
        let kind_and_name = format!("{} {whole}", object.kind);
        let of = object.of.as_deref().map(str::to_lowercase);
        self.patterns.iter().any(|pattern| {
            matches(pattern, &whole)
                || matches(pattern, &kind_and_name)
                || of.as_deref().is_some_and(|of| {
                    matches(pattern, of) || matches(pattern.strip_prefix("table ").unwrap_or("\0"), of)
                })
        })
    }
}

/// A star stands for any letters.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str, of: Option<&str>, name: &str) -> Object {
        Object { kind: kind.into(), name: name.into(), of: of.map(str::to_owned), ..Object::default() }
    }

    #[test]
    fn patterns_name_objects_with_what_belongs_to_them() {
        let ignored = |pattern: &str, object: &Object| {
            Ignored::new(&[pattern.to_owned()]).map(|ignored| ignored.covers(object)).unwrap()
        };
        let (table, column) = (object("table", None, "public.t"), object("column", Some("public.t"), "a"));
        let index = object("index", Some("public.t"), "public.tmp_1");
        for (pattern, expected) in [
            ("public.t", [true, true, true]),
            ("table public.t", [true, true, true]),
            ("public.t.a", [false, true, false]),
            ("public.tmp_*", [false, false, true]),
            ("index public.*", [false, false, true]),
            ("index public.*2", [false, false, false]),
            ("public.tm", [false, false, false]),
            ("*.t.*", [false, true, false]),
        ] {
            let found = [&table, &column, &index].map(|object| ignored(pattern, object));
            assert_eq!(found, expected, "{pattern}");
        }
        assert!(Ignored::new(&["**".to_owned()]).is_err());
        assert!(Ignored::default().covers(&object("grant", Some("public.t"), "to x")));
    }
}
