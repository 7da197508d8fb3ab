//! `transfer`: a SQLite database moves to PostgreSQL, whole or with an account of what did not.

mod choose;
mod convert;
mod profile;
