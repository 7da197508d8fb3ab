//! Wildcards over paths: `*` and `?` within a name, `**` across folders, `{a,b}` for either.
//!
//! A name is compared byte by byte as it is written; letters of different case are different. There are no
//! escapes: a name with a `*` in it is met by `?`.

/// A pattern.
#[derive(Debug, Clone)]
pub struct Glob {
    alternatives: Vec<Vec<String>>,
}

impl Glob {
    /// Reads a pattern. Every text is one.
    pub fn new(text: &str) -> Glob {
        let split =
            |text: String| text.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        Glob { alternatives: expand(text).into_iter().map(split).collect() }
    }

    /// Whether the path fits.
    pub fn fits(&self, path: &str) -> bool {
        self.alternatives.iter().any(|parts| fits_parts(parts, Some(path)))
    }
}

/// Writes out the first `{a,b}` and what follows; without its end it is an ordinary letter.
fn expand(text: &str) -> Vec<String> {
    let Some((before, rest)) = text.split_once('{') else { return vec![text.to_owned()] };
    let Some((inside, after)) = rest.split_once('}') else { return vec![text.to_owned()] };
    let after = expand(after);
    inside
        .split(',')
        .flat_map(|choice| after.iter().map(move |after| format!("{before}{choice}{after}")))
        .collect()
}

fn fits_parts(parts: &[String], path: Option<&str>) -> bool {
    let Some((first, others)) = parts.split_first() else { return path.is_none() };
    if first == "**" {
        // At its end it stands for whatever is left, but not for nothing.
        if others.is_empty() {
            return path.is_some();
        }
        let mut left = path;
        loop {
            if fits_parts(others, left) {
                return true;
            }
            match left {
                None => return false,
                Some(path) => left = path.split_once('/').map(|(_, below)| below),
            }
        }
    }
    let Some(path) = path else { return false };
    let (name, below) = path.split_once('/').map_or((path, None), |(name, below)| (name, Some(below)));
    fits_name(first.as_bytes(), name) && fits_parts(others, below)
}

/// Goes back to the last `*` when the rest does not fit.
fn fits_name(pattern: &[u8], name: &str) -> bool {
    let text = name.as_bytes();
    let (mut at, mut here) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while here < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, here));
                at += 1;
            }
            Some(b'?') => {
                at += 1;
                here += 1;
                while !name.is_char_boundary(here) {
                    here += 1;
                }
            }
            Some(letter) if *letter == text[here] => {
                at += 1;
                here += 1;
            }
            _ => match star {
                Some((from, taken)) => {
                    at = from + 1;
                    here = taken + 1;
                    star = Some((from, here));
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::Glob;

    #[test]
    fn wildcards_stay_within_a_name_unless_doubled() {
        for (pattern, path) in [
            ("*.pkl", "a.pkl"),
            ("variables/*.pkl", "variables/x.y.pkl"),
            ("**", "a/b/c"),
            ("tmp/**", "tmp/a/b"),
            ("**/*.b64", "x.b64"),
            ("**/*.b64", "a/b/x.b64"),
            ("a/**/z", "a/z"),
            ("a/**/z", "a/b/c/z"),
            ("planner-?", "planner-ü"),
            ("*.{png,jpg}", "x.jpg"),
            ("{a,b}/{c,d}", "b/c"),
            ("*a*b*", "xxaxxbxx"),
        ] {
            assert!(Glob::new(pattern).fits(path), "{pattern} should fit {path}");
        }
        for (pattern, path) in [
            ("*.pkl", "variables/a.pkl"),
            ("variables/*.pkl", "variables/a/b.pkl"),
            ("tmp/**", "tmp"),
            ("planner-?", "planner-12"),
            ("*.pkl", "a.pkl.part"),
            ("*.{png,jpg}", "x.gif"),
        ] {
            assert!(!Glob::new(pattern).fits(path), "{pattern} should not fit {path}");
        }
    }
}
