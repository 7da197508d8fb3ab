//! Indexes that a rebuild left behind when it failed.
//!
//! Rebuilding `x` beside its readers makes `x_ccnew` and turns the old one into `x_ccold`, with a number where the name is
//! taken, and `x` cut where it would be too long. What is called so, is not valid and has an `x` beside it is such an
//! index, unless somebody builds one on this table just now: it may be his.

use targets::db::{IndexUpkeep, TableName};

/// The longest name of the server, in bytes.
const LONGEST: usize = 63;

/// Says of each index whether it was left behind, and by what.
pub(super) fn mark(indexes: &mut [IndexUpkeep]) {
    let known: Vec<(TableName, TableName)> =
        indexes.iter().map(|index| (index.name.clone(), index.table.clone())).collect();
    for index in indexes.iter_mut() {
        if index.valid || index.busy.as_ref().is_some_and(|busy| busy.builds) {
            continue;
        }
        let Some((prefix, ending)) = parts(&index.name.name) else { continue };
        let by = known.iter().find(|(name, table)| {
            *table == index.table
                && name.schema == index.name.schema
                && *name != index.name
                && cut(&name.name, LONGEST - ending.len()) == prefix
        });
        index.left_by = by.map(|(name, _)| name.clone());
    }
}

/// `x` and `_ccnew1`.
fn parts(name: &str) -> Option<(&str, &str)> {
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let prefix = bare.strip_suffix("_ccnew").or_else(|| bare.strip_suffix("_ccold"))?;
    Some((prefix, &name[prefix.len()..]))
}

/// The first bytes of a name, in whole letters.
fn cut(name: &str, most: usize) -> &str {
    let mut end = name.len().min(most);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use targets::db::Busy;

    fn index(name: &str, valid: bool) -> IndexUpkeep {
        IndexUpkeep {
            name: TableName::within("public", name),
            table: TableName::within("public", "t"),
            valid,
            exclusion: false,
            method: "btree".to_owned(),
            bytes: 0,
            bloat_percent: None,
            node: 0,
            left_by: None,
            busy: None,
            may: true,
        }
    }

    fn left(indexes: Vec<IndexUpkeep>) -> Vec<String> {
        let mut indexes = indexes;
        mark(&mut indexes);
        indexes.into_iter().filter(|index| index.left_by.is_some()).map(|index| index.name.name).collect()
    }

    #[test]
    fn only_what_a_rebuild_left_is_a_leftover() {
        // W-049
        let long = "a".repeat(62);
        let of_long = format!("{}_ccnew", "a".repeat(57));
        let all = vec![
            index("t_a", true),
            index("t_a_ccnew", false),
            index("t_a_ccold2", false),
            index("t_b_ccnew", false), // there is no `t_b`
            index("t_c", true),
            index("t_c_ccnew", true), // valid: somebody likes the name
            index("t_d", false),      // a build that failed, not a rebuild
            index(&long, true),
            index(&of_long, false),
        ];
        assert_eq!(left(all), ["t_a_ccnew", "t_a_ccold2", of_long.as_str()]);
    }

    #[test]
    fn what_somebody_builds_just_now_is_not_a_leftover() {
        // W-049
        let busy = Some(Busy { pid: 1, work: "create index".to_owned(), builds: true });
        let building = IndexUpkeep { busy, ..index("t_a_ccnew", false) };
        assert_eq!(left(vec![index("t_a", true), building]), Vec::<String>::new());
    }

    #[test]
    fn names_are_cut_between_letters() {
        assert_eq!(cut("äöü", 3), "ä");
        assert_eq!(parts("x_ccnew12"), Some(("x", "_ccnew12")));
        assert_eq!(parts("x_ccnewer"), None);
    }
}
