//! The suite that every backend passes: each test runs on all those compiled in.

mod bad_input;
mod cli;
mod laws;
mod models;
mod recurrent;
mod support;
