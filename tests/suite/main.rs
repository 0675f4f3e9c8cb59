//! The suite that every backend passes: each test runs on all those compiled in.

mod bad_input;
mod cli;
mod encoder_decoder;
mod language_model;
mod laws;
mod models;
mod multi_task;
mod onnx;
mod pytorch;
mod recurrent;
mod report;
mod resume;
mod strokes;
mod support;
mod sweep;
mod texts;
mod untrusted;
mod wrong_calls;
