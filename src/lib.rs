//! A model zoo of recurrent networks on [burn](https://burn.dev).
#![warn(missing_docs)]

pub mod artifact;
pub mod backend;
pub mod cli;
pub mod config;
pub mod data;
pub mod error;
mod file;
pub mod guide;
pub mod kernel;
pub mod model;
pub mod onnx;
pub mod plot;
pub mod predict;
pub mod pytorch;
pub mod recurrent;
pub mod report;
pub mod train;

pub use error::{Error, Result};

/// The README, whose Rust program is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
