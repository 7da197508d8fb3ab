//! Names that PostgreSQL takes: kept exactly where they fit, shortened or told apart where they do not.

use super::options::Names;
use std::collections::BTreeSet;

/// The most bytes of a name.
const MOST: usize = 63;

/// The names that are taken in one place.
#[derive(Debug, Clone, Default)]
pub struct Taken(BTreeSet<String>);

impl Taken {
    /// A name that is free, as near to the wanted one as can be; the reason where it is another one.
    pub fn name(&mut self, wanted: &str) -> (String, Option<String>) {
        let mut name = shortened(wanted);
        let mut reason = None;
        if name != wanted {
            reason = Some(format!("`{wanted}` is longer than {MOST} bytes"));
        }
        let mut n = 1;
        while self.0.contains(&name) {
            n += 1;
            reason = Some(format!("the name `{wanted}` is taken"));
            name = shortened(&format!("{wanted}_{n}"));
        }
        self.0.insert(name.clone());
        (name, reason)
    }
}

/// At most 63 bytes; two long names stay different.
fn shortened(name: &str) -> String {
    if name.len() <= MOST {
        return name.to_owned();
    }
    // FNV-1a: the same on every machine and in every version
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let end = (0..=MOST - 9).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    format!("{}_{:08x}", &name[..end], hash as u32)
}

/// Whether a name is what became of another one that is too long: here, or in PostgreSQL, which cuts it off.
pub fn is_cut_to(wanted: &str, name: &str) -> bool {
    let end = (0..=MOST.min(wanted.len())).rev().find(|at| wanted.is_char_boundary(*at)).unwrap_or(0);
    wanted.len() > MOST
        && [shortened(wanted), shortened(&snake(wanted)), wanted[..end].to_owned()].contains(&name.to_owned())
}

/// As the option says.
pub fn spelled(name: &str, names: Names) -> String {
    match names {
        Names::Keep => name.to_owned(),
        Names::SnakeCase => snake(name),
    }
}

/// In small letters, words joined by `_`.
pub fn snake(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (n, letter) in letters.iter().enumerate() {
        if !letter.is_alphanumeric() {
            if !out.ends_with('_') && !out.is_empty() {
                out.push('_');
            }
            continue;
        }
        let before = n.checked_sub(1).map(|n| letters[n]);
        let next = letters.get(n + 1);
        let begins = letter.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_numeric()
                    || before.is_uppercase() && next.is_some_and(|next| next.is_lowercase())
            });
        if begins && !out.ends_with('_') {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    let out = out.trim_end_matches('_');
    if out.is_empty() { name.to_owned() } else { out.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{Taken, is_cut_to, snake};

    #[test]
    fn long_names_are_shortened_and_stay_different() {
        let mut taken = Taken::default();
        let (a, why) = taken.name(&("c".repeat(70) + "1"));
        let (b, _) = taken.name(&("c".repeat(70) + "2"));
        assert!(a.len() <= 63 && b.len() <= 63 && a != b && why.is_some());
        let wanted = "c".repeat(70) + "1";
        assert!(is_cut_to(&wanted, &a) && !is_cut_to(&wanted, &b) && is_cut_to(&wanted, &"c".repeat(63)));
        assert!(!is_cut_to("c", "c"));
        assert_eq!(taken.name("t"), ("t".to_owned(), None));
        assert_eq!(taken.name("t").0, "t_2");
        assert!(taken.name(&"ä".repeat(40)).0.len() <= 63);
    }

    #[test]
    fn snake_case_is_what_people_expect() {
        for (from, to) in [
            ("orderItems", "order_items"),
            ("First Name", "first_name"),
            ("HTTPServer", "http_server"),
            ("already_so", "already_so"),
            ("ID", "id"),
            ("a-b", "a_b"),
            ("parent2Id", "parent2_id"),
        ] {
            assert_eq!(snake(from), to, "{from}");
        }
    }
}
