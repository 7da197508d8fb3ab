//! Every rule by its code: how bad it is to break it, and what it is about. Codes are a promise to configurations and
//! comments: they never change their meaning.

use super::Engine;
use serde::{Deserialize, Serialize};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Worth knowing.
    Note,
    /// Likely to hurt.
    Warning,
    /// Fails, or certainly hurts.
    Error,
}

impl Level {
    /// `note`, `warning`, `error`.
    pub fn word(self) -> &'static str {
        match self {
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// One rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// What comments and configurations call it.
    pub code: &'static str,
    /// How bad it is.
    pub level: Level,
    /// Whether how bad it is depends on how long somebody waits: of small and quiet tables it is only a note.
    pub waits: bool,
    /// Where it holds; none for both.
    pub engine: Option<Engine>,
    /// What other linters call it, so that their comments are understood.
    pub also: &'static [&'static str],
    /// What it is about.
    pub about: &'static str,
}

/// The rule of this code, or of the code that another linter has for it.
pub fn rule(code: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.code == code)
}

/// The rules that a comment means: one of ours by its code, or those to which another linter gives this name.
pub fn meant(code: &str) -> Vec<&'static str> {
    RULES.iter().filter(|rule| rule.code == code || rule.also.contains(&code)).map(|rule| rule.code).collect()
}

const fn rule_of(
    code: &'static str,
    level: Level,
    waits: bool,
    engine: Option<Engine>,
    also: &'static [&'static str],
    about: &'static str,
) -> Rule {
    Rule { code, level, waits, engine, also, about }
}

use Level::{Error, Note, Warning};
const BOTH: Option<Engine> = None;
const PG: Option<Engine> = Some(Engine::Postgres);
const LITE: Option<Engine> = Some(Engine::Sqlite);

/// All rules, sorted by what they are about.
#[rustfmt::skip] // one line a rule, so that it reads as the table it is
pub const RULES: &[Rule] = &[
    // reading
    rule_of("syntax", Error, false, BOTH, &["syntax-error"], "the database will not understand the statement"),
    // locks and the work under them
    rule_of("index-not-concurrent", Warning, true, PG, &["require-concurrent-index-creation"], "`create index` keeps writers out while it builds"),
    rule_of("index-drop-not-concurrent", Warning, true, PG, &["require-concurrent-index-deletion"], "`drop index` waits for everybody, and everybody for it"),
    rule_of("reindex-not-concurrent", Warning, true, PG, &["require-concurrent-reindex"], "`reindex` keeps writers out while it builds"),
    rule_of("foreign-key-not-valid", Warning, true, PG, &["adding-foreign-key-constraint", "constraint-missing-not-valid"], "a new foreign key looks at every row while writers of both tables wait"),
    rule_of("check-not-valid", Warning, true, PG, &["constraint-missing-not-valid"], "a new check looks at every row while everybody waits"),
    rule_of("unique-not-using-index", Warning, true, PG, &["disallowed-unique-constraint"], "a new unique constraint builds its index while everybody waits"),
    rule_of("primary-key-not-using-index", Warning, true, PG, &["adding-serial-primary-key-field"], "a new primary key builds its index while everybody waits"),
    rule_of("exclusion-constraint", Warning, true, PG, &[], "an exclusion constraint builds its index while everybody waits, and there is no other way"),
    rule_of("set-not-null-scan", Warning, true, PG, &["adding-not-nullable-field"], "`set not null` looks at every row while everybody waits"),
    rule_of("column-type-rewrite", Warning, true, PG, &["changing-column-type"], "a new type writes the table anew while everybody waits"),
    rule_of("default-rewrite", Warning, true, PG, &["adding-field-with-default"], "a new column whose default differs by row writes the table anew while everybody waits"),
    rule_of("generated-rewrite", Warning, true, PG, &["adding-field-with-default", "ban-alter-generated-expression"], "a stored generated column writes the table anew while everybody waits"),
    rule_of("identity-rewrite", Warning, true, PG, &["adding-serial-primary-key-field"], "a new numbered column writes the table anew while everybody waits"),
    rule_of("table-rewrite", Warning, true, PG, &["prefer-repack"], "the table is written anew while everybody waits"),
    rule_of("refresh-not-concurrent", Warning, true, PG, &[], "`refresh materialized view` keeps readers out while it computes"),
    rule_of("detach-not-concurrent", Warning, true, PG, &["require-concurrent-partition-detach"], "`detach partition` waits for everybody, and everybody for it"),
    rule_of("attach-scan", Warning, true, PG, &[], "`attach partition` looks at every row of the partition unless a check proves its bounds"),
    rule_of("partition-of-lock", Note, false, PG, &[], "`create table … partition of` locks the parent; attaching it afterwards does not"),
    rule_of("domain-constraint", Warning, true, PG, &["ban-alter-domain-with-add-constraint"], "a rule of a domain looks at every table that uses it"),
    rule_of("lock-table", Warning, false, PG, &[], "an explicit lock keeps others out until the end of the transaction"),
    rule_of("trigger-off", Warning, false, PG, &["ban-disable-trigger"], "a trigger that is off misses what happens meanwhile"),
    rule_of("long-write", Warning, true, LITE, &[], "nobody else can write to the file while the statement runs"),
    rule_of("many-rows", Warning, true, BOTH, &[], "changing very many rows in one statement holds them all until its end"),
    // transactions
    rule_of("outside-transaction", Error, false, BOTH, &["ban-concurrent-index-creation-in-transaction"], "the database refuses the statement in a transaction"),
    rule_of("split-transaction", Warning, false, BOTH, &["ban-concurrent-index-creation-in-transaction"], "one statement that cannot be in a transaction splits the whole migration: what stands before it stays when it fails"),
    rule_of("transaction-control", Error, false, BOTH, &["transaction-nesting", "ban-uncommitted-transaction"], "the migration has a transaction already, and this ends or nests it"),
    rule_of("validate-in-transaction", Warning, true, PG, &[], "validating in the transaction that added the constraint keeps the strong lock meanwhile"),
    rule_of("work-under-lock", Warning, true, PG, &[], "slow work in a transaction that keeps others out of a table"),
    rule_of("several-locks", Warning, false, PG, &[], "strong locks on several tables in one transaction: everybody waits for the slowest, and two may wait for each other"),
    rule_of("data-and-schema", Warning, true, PG, &[], "rows and schema of a table are changed in one transaction"),
    rule_of("several-alters", Note, false, PG, &[], "one `alter table` with several parts locks and scans once"),
    rule_of("lock-timeout", Note, false, PG, &["require-timeout-settings"], "a statement that waits for a strong lock makes everybody behind it wait; Sexton sets a limit by itself"),
    rule_of("session-setting", Warning, false, PG, &[], "a setting without `local` stays for the migrations after this one"),
    rule_of("not-repeatable", Note, false, BOTH, &["prefer-robust-stmts"], "what runs outside a transaction may fail half-way, and should be able to run again"),
    rule_of("invalid-index-kept", Note, false, PG, &[], "`if not exists` takes an index that a failed build has left behind for the real one"),
    rule_of("enum-value-used", Error, false, PG, &[], "a new enum value cannot be used before its transaction has ended"),
    rule_of("attach-in-migration", Error, false, LITE, &[], "another file is no part of this database"),
    // what the running application is used to
    rule_of("drop-table", Warning, false, BOTH, &["ban-drop-table"], "what is dropped is gone, and who still uses it fails"),
    rule_of("drop-column", Warning, false, BOTH, &["ban-drop-column"], "what is dropped is gone, and who still uses it fails"),
    rule_of("drop-object", Warning, false, BOTH, &["ban-drop-schema", "ban-drop-sequence", "ban-drop-domain", "ban-drop-extension", "ban-drop-type", "ban-drop-function", "ban-drop-view", "ban-drop-trigger", "ban-drop-policy", "ban-drop-database"], "who still uses it fails"),
    rule_of("drop-constraint", Note, false, BOTH, &["ban-drop-constraint"], "nothing keeps bad rows out any more, and putting it back may fail"),
    rule_of("drop-cascade", Warning, false, BOTH, &["ban-truncate-cascade"], "`cascade` takes along what the statement does not name"),
    rule_of("truncate", Warning, false, PG, &["ban-truncate"], "every row is gone"),
    rule_of("rename-table", Warning, false, BOTH, &["renaming-table"], "who uses the old name fails from one moment to the next"),
    rule_of("rename-column", Warning, false, BOTH, &["renaming-column"], "who uses the old name fails from one moment to the next"),
    rule_of("rename-object", Warning, false, BOTH, &["renaming-object", "ban-set-schema"], "who uses the old name fails from one moment to the next"),
    rule_of("column-type-change", Warning, false, PG, &["changing-column-type"], "a running application may send or expect the old type"),
    rule_of("required-column", Error, false, BOTH, &["adding-required-field", "adding-not-nullable-field"], "a NOT NULL column without a default cannot be added where there are rows, and breaks inserts that do not know it"),
    rule_of("not-null-breaks-writers", Note, false, PG, &[], "an application that still writes NULL fails from this moment on"),
    rule_of("drop-not-null", Note, false, BOTH, &["ban-drop-not-null"], "who reads the column may not expect NULL"),
    rule_of("drop-default", Note, false, PG, &["ban-drop-default"], "inserts that relied on the default write NULL, or fail"),
    rule_of("all-rows", Warning, false, BOTH, &[], "an update or delete without `where` is often a mistake"),
    rule_of("revoke", Note, false, PG, &["ban-revoke"], "who used the right fails from this moment on"),
    rule_of("replaced", Note, false, PG, &["ban-replace-view-function"], "what is replaced is another one for everybody at once"),
    // what the rows that are there say
    rule_of("rows-offend", Error, false, BOTH, &[], "rows that are there break the new rule, so the statement fails"),
    rule_of("rows-may-offend", Note, false, BOTH, &[], "the statement fails when rows that are there break the new rule"),
    rule_of("already-there", Error, false, BOTH, &[], "there is something of this name already"),
    rule_of("not-there", Error, false, BOTH, &[], "there is nothing of this name"),
    // design
    rule_of("small-key", Warning, false, PG, &["prefer-big-int", "prefer-bigint-over-int", "prefer-bigint-over-smallint"], "a key of 32 bits runs out"),
    rule_of("serial", Note, false, PG, &["prefer-identity"], "identity columns are what serial wanted to be"),
    rule_of("char-type", Warning, false, PG, &["ban-char-field"], "`char(n)` pads with blanks and is never faster"),
    rule_of("varchar-limit", Note, false, PG, &["prefer-text-field"], "a limit in the type is hard to change; a check is not"),
    rule_of("timestamp-without-zone", Warning, false, PG, &["prefer-timestamptz"], "a time without a zone means another moment to each session"),
    rule_of("json-type", Warning, false, PG, &[], "`json` has no equality: `distinct`, `group by` and `union` fail; `jsonb` has"),
    rule_of("money-type", Warning, false, PG, &[], "`money` means another currency to each session"),
    rule_of("no-primary-key", Warning, false, BOTH, &[], "without a key rows cannot be told apart: no undo of updates, no logical replication"),
    rule_of("foreign-key-without-index", Warning, false, BOTH, &[], "each delete of a parent reads all of the referring table"),
    rule_of("duplicate-index", Warning, false, BOTH, &[], "another index does the same; each one costs every write"),
    rule_of("wide-index", Note, false, BOTH, &[], "an index over more than three columns seldom helps more than one over the first"),
    rule_of("quoted-name", Note, false, PG, &[], "a name that needs quotes needs them everywhere and always"),
    rule_of("reserved-name", Warning, false, BOTH, &[], "the name is a word of the language and needs quotes everywhere"),
    rule_of("long-name", Warning, false, PG, &["identifier-too-long"], "PostgreSQL cuts names after 63 bytes without a word"),
    rule_of("enum-order", Note, false, PG, &["require-enum-value-ordering"], "a new enum value sorts last unless it says otherwise"),
    rule_of("numeric-affinity", Warning, false, LITE, &[], "SQLite takes what looks like a number for a number in a column of this type"),
    rule_of("unknown-strict-type", Error, false, LITE, &[], "a strict table takes only INT, INTEGER, REAL, TEXT, BLOB and ANY"),
    rule_of("text-in-double-quotes", Warning, false, LITE, &[], "double quotes are for names; SQLite takes them for text only where no name fits"),
    rule_of("trigger-recursion", Warning, false, LITE, &[], "the trigger changes the rows that fire it, without anything that ends it"),
    // what SQLite's alter table cannot do
    rule_of("cannot-add-column", Error, false, LITE, &[], "SQLite cannot add such a column"),
    rule_of("cannot-drop-column", Error, false, LITE, &[], "SQLite cannot drop such a column"),
    rule_of("needs-newer-sqlite", Error, false, LITE, &[], "this SQLite does not know the statement yet"),
    rule_of("rebuild-order", Error, false, LITE, &[], "renaming the old table away takes all references to it along"),
    rule_of("rebuild-enforced", Error, false, LITE, &[], "dropping a table deletes its rows first, and their children with them, while foreign keys are enforced"),
    rule_of("rebuild-loses", Warning, false, LITE, &[], "indexes and triggers go with the old table"),
    rule_of("rebuild-unchecked", Note, false, LITE, &[], "nothing looks whether all references still hold"),
    // about comments
    rule_of("unused-ignore", Note, false, BOTH, &[], "the comment allows what nothing here does"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_is_there_once_and_reads_as_a_word() {
        let codes: BTreeSet<&str> = RULES.iter().map(|rule| rule.code).collect();
        assert_eq!(codes.len(), RULES.len());
        for rule in RULES {
            assert!(
                rule.code.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-'),
                "{}",
                rule.code
            );
            assert!(!rule.about.is_empty() && !rule.about.ends_with('.'), "{}", rule.code);
        }
    }

    #[test]
    fn names_of_another_linter_are_understood() {
        assert_eq!(meant("ban-drop-column"), ["drop-column"]);
        assert_eq!(meant("constraint-missing-not-valid"), ["foreign-key-not-valid", "check-not-valid"]);
        assert!(meant("no-such-rule").is_empty());
    }
}
