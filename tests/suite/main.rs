//! The suite that every backend passes: each test runs on all those compiled in.

mod bad_input;
mod cli;
mod language_model;
mod laws;
mod models;
mod multi_task;
mod recurrent;
mod support;
mod untrusted;
