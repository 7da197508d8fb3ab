//! The binary as users meet it: what it prints, where, and how it ends.
//!
//! Every test runs the real program in a folder and an environment of its own.

mod backup;
mod bad_input;
mod config_faults;
mod config_rules;
mod convert;
mod coverage;
mod crash;
mod doctor;
mod documents;
mod examples;
mod examples_accounts;
mod examples_folders;
mod examples_maintenance;
mod examples_orphans;
mod examples_queue;
mod examples_retention;
mod files;
mod footprint;
mod guides;
mod history;
mod index;
mod init;
mod killed_chores;
mod kit;
mod manners_of_speech;
mod migrate;
mod migrate_lint;
mod policy;
mod profiles_and_secrets;
mod recovery;
mod reference;
mod rights;
mod run;
mod schema;
mod signals;
mod terminal;
mod tidy;
mod transfer;
mod undo;
mod verify_after;
