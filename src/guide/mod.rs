//! The guide: what the library is about, a chapter a module.
//!
//! | chapter | what it is about |
//! |---|---|
//! | [`axes`] | the letters that shapes are written in; inputs, outputs, states, lengths, masks |
//! | [`cells`] | the cells and their options, with their equations and where they come from; what PyTorch has otherwise |
//! | [`modes`] | the six I/O modes, each with a drawing and a program |
//! | [`own_cell`] | a cell of your own |
//! | [`own_backend`] | a backend of your own |
//! | [`own_data`] | data of your own |
//! | [`determinism`] | what is the same from run to run, and what is not |
//!
//! The Rust programs in it are compiled and run with the tests; that of the README is compiled. How to build, the command
//! line and the configuration file are in the README.

#[doc = include_str!("axes.md")]
pub mod axes {}

#[doc = include_str!("cells.md")]
pub mod cells {}

#[doc = include_str!("modes.md")]
pub mod modes {}

#[doc = include_str!("own_cell.md")]
pub mod own_cell {}

#[doc = include_str!("own_backend.md")]
pub mod own_backend {}

#[doc = include_str!("own_data.md")]
pub mod own_data {}

#[doc = include_str!("determinism.md")]
pub mod determinism {}
