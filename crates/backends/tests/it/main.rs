//! Conformance: what the contract in `targets` promises, on both back ends, on real databases.

mod conformance_places;
