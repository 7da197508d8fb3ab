//! Integration tests of the engine.

mod archive;
