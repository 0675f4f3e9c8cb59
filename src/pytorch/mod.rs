//! Weights from and to PyTorch: [`import()`] reads the `state_dict` of `torch.nn` modules, [`export()`] writes one, and the
//! Python that builds its modules.
//!
//! Gates are packed and ordered as in PyTorch; only linear layers lie transposed. What goes there and back is bit for bit
//! the same; values of 64 bits alone are rounded as they are read.

mod export;
mod import;
mod layout;
mod matching;
mod module;

pub use export::export;
pub use import::{Imported, import, load};

use burn::tensor::TensorData;

/// A matrix of floats, its rows as columns.
fn transposed(data: &TensorData) -> TensorData {
    let (rows, columns) = (data.shape[0], data.shape[1]);
    let values = data.as_slice::<f32>().expect("weights are f32");
    let turned = (0..columns).flat_map(|c| (0..rows).map(move |r| values[r * columns + c])).collect();
    TensorData::new::<f32, _>(turned, [columns, rows])
}
