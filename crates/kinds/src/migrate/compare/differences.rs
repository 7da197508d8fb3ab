//! What differs between two lists of objects.

use super::mend::{self, Mend};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use targets::db::Object;

/// How an object differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It is expected and not there.
    Missing,
    /// It is there and not expected.
    Extra,
    /// It is there, and not as expected.
    Different,
}

/// One object that is not as expected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// How.
    pub what: What,
    /// In the words of SQL: `table`, `foreign key`.
    pub kind: String,
    /// As statements spell it.
    pub name: String,
    /// The table that it goes with.
    pub of: Option<String>,
    /// The facts that differ, where it is there on both sides.
    pub facts: Vec<Changed>,
    /// How many objects of which kind are missing or extra with it.
    pub with: BTreeMap<String, u64>,
    /// What would make it as expected, where that loses no row and is known. Nothing runs it by itself.
    pub statements: Vec<String>,
    /// Why there is none, and what to do instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_hand: Option<String>,
    /// When each statement can run, see [`mend`].
    #[serde(skip)]
    turns: Vec<u8>,
}

/// One fact that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    /// Which.
    pub fact: String,
    /// None: not at all.
    pub expected: Option<String>,
    /// None: not at all.
    pub found: Option<String>,
}

/// All differences, in the order of the objects expected, then of those that are extra.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// How many objects were expected.
    pub expected: u64,
    /// How many were found.
    pub found: u64,
    /// Empty when both are equal.
    pub differences: Vec<Difference>,
}

type Key = (String, String, String);

/// By what an object is known on both sides; names mean the same in capitals where `fold` says so.
fn key(object: &Object, fold: bool) -> Key {
    let spelled = |text: &str| if fold { text.to_lowercase() } else { text.to_owned() };
    (object.kind.clone(), spelled(object.of.as_deref().unwrap_or_default()), spelled(&object.name))
}

pub(super) fn between(expected: &[Object], found: &[Object], fold: bool) -> Comparison {
    let index = |objects: &[Object]| -> HashMap<Key, usize> {
        objects.iter().enumerate().map(|(n, object)| (key(object, fold), n)).collect()
    };
    let (of_expected, of_found) = (index(expected), index(found));
    let only = |objects: &[Object], others: &HashMap<Key, usize>| -> Vec<usize> {
        (0..objects.len()).filter(|n| !others.contains_key(&key(&objects[*n], fold))).collect()
    };
    let mut differences = Vec::new();
    let missing = only(expected, &of_found);
    for family in families(expected, &missing, fold) {
        let mut one = difference(What::Missing, &expected[family[0]], &with(expected, &family));
        one.mended_by(mend::make(&family.iter().map(|n| &expected[*n]).collect::<Vec<_>>()));
        differences.push(one);
    }
    for object in expected {
        let Some(other) = of_found.get(&key(object, fold)).map(|n| &found[*n]) else { continue };
        let facts = changed(object, other, fold);
        if !facts.is_empty() {
            let mends = mend::change(object, other, &facts);
            let mut one = Difference { facts, ..difference(What::Different, object, &BTreeMap::new()) };
            one.mended_by(mends);
            differences.push(one);
        }
    }
    for family in families(found, &only(found, &of_expected), fold) {
        let mut one = difference(What::Extra, &found[family[0]], &with(found, &family));
        one.mended_by(mend::remove(&found[family[0]]));
        differences.push(one);
    }
    Comparison { expected: expected.len() as u64, found: found.len() as u64, differences }
}

/// Objects of one side only: what belongs to a table that is of one side only is with it.
fn families(objects: &[Object], only: &[usize], fold: bool) -> Vec<Vec<usize>> {
    let spelled = |text: &str| if fold { text.to_lowercase() } else { text.to_owned() };
    let mut heads: HashMap<String, usize> = HashMap::new();
    let mut families: Vec<Vec<usize>> = Vec::new();
    for n in only.iter().copied().filter(|n| objects[*n].of.is_none()) {
        heads.insert(spelled(&objects[n].name), families.len());
        families.push(vec![n]);
    }
    for n in only.iter().copied() {
        let Some(of) = &objects[n].of else { continue };
        match heads.get(&spelled(of)) {
            Some(head) => families[*head].push(n),
            None => families.push(vec![n]),
        }
    }
    families
}

fn with(objects: &[Object], family: &[usize]) -> BTreeMap<String, u64> {
    let mut with = BTreeMap::new();
    for n in &family[1..] {
        *with.entry(objects[*n].kind.clone()).or_insert(0) += 1;
    }
    with
}

fn difference(what: What, object: &Object, with: &BTreeMap<String, u64>) -> Difference {
    Difference {
        what,
        kind: object.kind.clone(),
        name: object.name.clone(),
        of: object.of.clone(),
        facts: Vec::new(),
        with: with.clone(),
        statements: Vec::new(),
        by_hand: None,
        turns: Vec::new(),
    }
}

fn changed(expected: &Object, found: &Object, fold: bool) -> Vec<Changed> {
    let names: BTreeSet<&String> = expected.facts.keys().chain(found.facts.keys()).collect();
    let mut changed = Vec::new();
    for fact in names {
        let (mut a, mut b) = (expected.facts.get(fact).cloned(), found.facts.get(fact).cloned());
        if fact == Object::COLUMNS {
            // columns of one side only are told as such: here only the order of the others counts
            let spelled = |text: &Option<String>| -> Vec<String> {
                let text = text.as_deref().unwrap_or_default();
                text.lines().map(|name| if fold { name.to_lowercase() } else { name.to_owned() }).collect()
            };
            let (left, right) = (spelled(&a), spelled(&b));
            let shared = |list: &[String], other: &[String]| -> Vec<String> {
                list.iter().filter(|name| other.contains(name)).cloned().collect()
            };
            let (left, right) = (shared(&left, &right), shared(&right, &left));
            if left == right {
                continue;
            }
            (a, b) = (Some(left.join(", ")), Some(right.join(", ")));
        }
        if a != b {
            let fact = if fact == Object::COLUMNS { "order of columns" } else { fact };
            changed.push(Changed { fact: fact.to_owned(), expected: a, found: b });
        }
    }
    changed
}

impl Difference {
    fn mended_by(&mut self, mends: Vec<Mend>) {
        if mends.is_empty() {
            self.by_hand = Some(mend::by_hand(self));
        }
        (self.turns, self.statements) = mends.into_iter().map(|mend| (mend.turn, mend.sql)).unzip();
    }
}

impl Comparison {
    /// Whether both are equal.
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty()
    }

    /// Every statement that is offered, in an order in which they can run: first what goes, then what comes, what others
    /// refer to before them.
    pub fn statements(&self) -> impl Iterator<Item = &str> {
        let all = self.differences.iter();
        let mut all: Vec<(u8, &str)> = all
            .flat_map(|one| one.turns.iter().copied().zip(one.statements.iter().map(String::as_str)))
            .collect();
        all.sort_by_key(|(turn, _)| *turn);
        all.into_iter().map(|(_, statement)| statement)
    }
}
