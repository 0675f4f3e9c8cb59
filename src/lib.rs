//! A model zoo of recurrent networks on [burn](https://burn.dev).
#![warn(missing_docs)]

pub mod backend;
pub mod config;
pub mod error;
pub mod kernel;
pub mod recurrent;

pub use error::{Error, Result};
