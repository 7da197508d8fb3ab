//! References between whole numbers, known from one look at each table: the numbers of a column as bits, so that whether all of one
//! are among those of another is asked of memory and not of the file, row by row.

use super::design::{NewReference, parent_columns};
use super::source::{Source, SourceTable};
use std::collections::HashMap;
use targets::db::Seen;

/// Numbers beyond this one are not kept: a column takes four megabytes at the most.
const MOST: usize = 32 << 20;

/// The whole numbers of a column.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    bits: Vec<u64>,
    /// There is something else, or a number that is too large.
    others: bool,
}

impl Numbers {
    /// Takes one value in.
    pub fn see(&mut self, value: &Seen<'_>) {
        match value {
            Seen::Null => {}
            Seen::Int(number) => match usize::try_from(*number) {
                Ok(number) if number < MOST => self.keep(number),
                _ => self.give_up(),
            },
            _ => self.give_up(),
        }
    }

    fn keep(&mut self, number: usize) {
        if self.others {
            return;
        }
        let word = number / 64;
        if word >= self.bits.len() {
            self.bits.resize((word + 1).next_power_of_two(), 0);
        }
        self.bits[word] |= 1 << (number % 64);
    }

    fn give_up(&mut self) {
        *self = Self { bits: Vec::new(), others: true };
    }

    /// Whether all of the others are among these, for certain.
    fn hold(&self, others: &Self) -> bool {
        let none = &0;
        let ours = self.bits.iter().chain(std::iter::repeat(none));
        !self.others
            && !others.others
            && others.bits.iter().zip(ours).all(|(theirs, ours)| theirs & !ours == 0)
    }
}

/// Those of all columns that refer to another or are referred to, by table and column.
#[derive(Debug, Default)]
pub struct Ids(HashMap<(String, String), Numbers>);

fn place(table: &str, column: &str) -> (String, String) {
    (table.to_owned(), column.to_ascii_lowercase())
}

impl Ids {
    /// For a table: its columns whose numbers are wanted, by their places.
    pub fn wanted(source: &Source, table: &SourceTable) -> Vec<usize> {
        let own = table.references.iter().filter(|reference| reference.columns.len() == 1);
        let mut names: Vec<String> = own.map(|reference| reference.columns[0].clone()).collect();
        for reference in source.tables.iter().flat_map(|other| &other.references) {
            if reference.parent.eq_ignore_ascii_case(table.name()) {
                let keys = parent_columns(reference, table);
                names.extend((keys.len() == 1).then(|| keys[0].clone()));
            }
        }
        let columns = table.table.columns.iter().enumerate();
        let named = |name: &str| names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name));
        columns.filter(|(_, column)| named(&column.name)).map(|(n, _)| n).collect()
    }

    /// Keeps what was seen.
    pub fn add(&mut self, table: &SourceTable, seen: Vec<(usize, Numbers)>) {
        for (n, numbers) in seen {
            self.0.insert(place(table.name(), &table.table.columns[n].name), numbers);
        }
    }

    /// Whether every row that refers is known to have its parent.
    pub fn are_whole(&self, table: &str, reference: &NewReference) -> bool {
        let ([own], [key]) = (reference.columns.as_slice(), reference.parent_columns.as_slice()) else {
            return false;
        };
        match (self.0.get(&place(table, own)), self.0.get(&place(&reference.parent, key))) {
            (Some(own), Some(parents)) => parents.hold(own),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, Numbers};
    use targets::db::Seen;

    fn numbers(values: &[Seen<'_>]) -> Numbers {
        let mut numbers = Numbers::default();
        values.iter().for_each(|value| numbers.see(value));
        numbers
    }

    #[test]
    fn what_is_certain_is_that_all_are_there() {
        let parents = numbers(&[Seen::Int(0), Seen::Int(64), Seen::Int(1_000_000)]);
        assert!(parents.hold(&numbers(&[Seen::Int(64), Seen::Null, Seen::Int(64)])));
        assert!(parents.hold(&numbers(&[])));
        assert!(!parents.hold(&numbers(&[Seen::Int(65)])));
        assert!(!parents.hold(&numbers(&[Seen::Int(2_000_000)])));
        assert!(!numbers(&[]).hold(&numbers(&[Seen::Int(0)])));
    }

    #[test]
    fn what_is_no_such_number_leaves_it_open() {
        for odd in [Seen::Text("64"), Seen::Real(64.0), Seen::Int(-1), Seen::Int(MOST as i64)] {
            assert!(!numbers(&[Seen::Int(64)]).hold(&numbers(&[odd])), "{odd:?}");
            assert!(!numbers(&[odd, Seen::Int(64)]).hold(&numbers(&[Seen::Int(64)])), "{odd:?}");
        }
    }
}
