//! The surfaces of the real binary.

mod crash;
