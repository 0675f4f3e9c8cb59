//! The suite that every backend passes: each test runs on all those compiled in.

mod recurrent;
mod support;
