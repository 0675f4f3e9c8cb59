//! The configuration file: its tables, how it is read and what it refuses.
//!
//! A file is TOML. It is read by [`Config::from_file`], which takes `--set key=value` overrides as
//! well, refuses keys and values that it does not know, and ends with [`Config::check`]: what comes
//! out of it can be built. A [`ModelConfig`] made by hand is checked by [`ModelConfig::check`].

mod check;
mod load;
mod schema;

pub(crate) use check::{MAX_SIDE, duplicate};
pub use schema::*;
