//! A model as PyTorch's modules.

use super::layout::{check, parts};
use super::{module, transposed};
use crate::artifact::{NamedTensor, json};
use crate::error::{Error, Result};
use crate::file::FolderDraft;
use crate::model;
use crate::predict::Predictor;
use burn::tensor::TensorData;
use safetensors::tensor::{Dtype, TensorView};
use std::collections::BTreeMap;
use std::path::Path;

/// Writes a model to a new folder, which appears whole or not at all: `model.safetensors`, which
/// `load_state_dict(strict=True)` reads, `model.py`, whose modules of `torch.nn` it fits and which runs them, and
/// `schema.json`, which names labels, tokens and scales.
///
/// # Errors
/// A model with layer norm, zoneout or a reset before the product, which `torch.nn` has not; a folder that is there; what
/// the system refuses.
pub fn export(model: &dyn Predictor, out: &Path) -> Result<()> {
    let folder = model.folder();
    let mut config = folder.config.clone();
    model::resolve(&mut config.model, &folder.schema)?;
    check(&config.model)?;
    let weights: BTreeMap<String, TensorData> =
        model.weights().into_iter().map(|NamedTensor { name, data }| (name, data.convert::<f32>())).collect();
    let mut tensors = Vec::new();
    for part in parts(&config.model) {
        for slot in part.slots {
            let data = &weights[&slot.zoo];
            let data = if slot.transposed { transposed(data) } else { data.clone() };
            tensors.push((format!("{}.{}", part.torch, slot.torch), data));
        }
    }
    let views = tensors.iter().map(|(name, data)| {
        let view = TensorView::new(Dtype::F32, data.shape.to_vec(), data.as_bytes());
        (name.as_str(), view.expect("a tensor's bytes are those of its shape"))
    });
    let bytes = safetensors::serialize(views, None)
        .map_err(|e| Error::file(out, format!("cannot be written as safetensors: {e}")))?;
    let mut draft = FolderDraft::new(out)?;
    draft.write("model.safetensors", &bytes)?;
    draft.write("model.py", module::source(&config).as_bytes())?;
    draft.write("schema.json", &json(&folder.schema))?;
    draft.finish()
}
