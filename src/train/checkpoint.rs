//! Checkpoints: all that a run needs to go on as if it had never stopped.
//!
//! | file | what |
//! |---|---|
//! | `state.mpk` | where the run stands: step, epoch, batches done in it, sums, epochs so far, early stopping |
//! | `model.mpk`, `optimizer.mpk` | weights and what the update rule remembers of each, by the parameters' identities |
//! | `average.mpk`, `best.mpk`, `carried.mpk` | where there are: the average of the weights, the best epoch's model, the hidden state that the next window goes on with |
//! | `manifest.json` | the SHA-256 of each of them, and of the configuration |
//!
//! What is drawn in training (order, noise, dropout) is drawn from the seed, the epoch and the step, which is why no
//! generator has to be stored. A checkpoint is a folder, `checkpoint/step-N`, that appears by a rename after all that is
//! in it is on disk; the last [`KEPT`] are kept.

use super::Epoch;
use super::learner::Trainee;
use super::score::Tally;
use super::strategy::Components;
use crate::artifact::{digest, moments_are_sound, restore, restore_identified, tensors_are_sound, write_mpk};
use crate::backend::TrainBackend;
use crate::config::{CellKind, Config, OptimizerKind};
use crate::error::{Error, Result};
use crate::file::{DRAFT, FolderDraft, read_bytes};
use crate::model::Model;
use crate::recurrent::RecurrentState;
use burn::module::{AutodiffModule, Module, ModuleVisitor, Param};
use burn::record::{FullPrecisionSettings, NamedMpkBytesRecorder, Record, Recorder};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use burn::train::checkpoint::{
    AsyncCheckpointer, Checkpointer, CheckpointerError, CheckpointingAction, CheckpointingStrategy,
};
use burn::train::metric::store::EventStoreClient;
use burn::train::{Learner, LearningCheckpointer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Checkpoints kept.
pub const KEPT: usize = 2;

/// The format of checkpoints that this version writes and reads.
const FORMAT: u32 = 1;

/// Bytes of the largest file of a checkpoint.
const MAX_BYTES: u64 = 64 << 30;

/// Where a run stands, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Standing {
    /// Steps taken.
    pub step: u64,
    /// The epoch that it is in, from 1.
    pub epoch: usize,
    /// Batches of that epoch that are done.
    pub iteration: usize,
    /// Of those batches.
    pub tally: Tally,
    /// Valid steps of those batches.
    pub n_steps: usize,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Epochs that are done.
    pub epochs: Vec<Epoch>,
    /// Which of them is the best.
    pub best: Option<Epoch>,
    /// Epochs since that one.
    pub since_best: usize,
    /// SHA-256 of the data.
    pub data: String,
    /// Steps that the average has taken.
    pub average_steps: u32,
    /// Wall time of the epoch so far, seconds.
    pub epoch_seconds: f64,
    /// Wall time of the run so far, seconds.
    pub seconds: f64,
}

/// What a checkpoint's numbers have to go with.
pub(super) struct Frame<'a> {
    pub config: &'a Config,
    /// Samples of the training split.
    pub n_samples: usize,
}

impl Frame<'_> {
    fn check(&self, standing: &Standing) -> std::result::Result<(), String> {
        let Standing {
            step, epoch, iteration, epochs, best, since_best, average_steps, n_steps, tally, ..
        } = standing;
        let train = &self.config.train;
        let n_batches = self.n_samples.div_ceil(train.batch_size);
        let done = epoch.checked_sub(1).filter(|&done| done == epochs.len() && done <= train.epochs);
        let all = epochs.iter().chain(best).flat_map(|epoch| [epoch.steps, epoch.tally.largest()]);
        // They are added up.
        let mut counts = all.chain([*n_steps, tally.largest()]);
        let whole = best.is_some() != epochs.is_empty()
            && counts.all(|n| (n as u64) < 1 << 40)
            && *since_best <= epochs.len()
            && u64::from(*average_steps) <= *step
            && *iteration <= n_batches
            && done.is_some_and(|done| *step == (done * n_batches + iteration) as u64);
        if whole { Ok(()) } else { Err(format!("step {step}, {iteration} of epoch {epoch}, cannot be")) }
    }

    /// The shape of the state that is carried on: layers, rows of the batch before, features.
    fn carried(&self, standing: &Standing) -> [usize; 3] {
        let (model, size) = (&self.config.model, self.config.train.batch_size);
        let before = standing.iteration.saturating_sub(1) * size;
        [model.n_layers, size.min(self.n_samples.saturating_sub(before)), model.d_hidden]
    }
}

type Inner<B> = <B as AutodiffBackend>::InnerBackend;
type OptimizerRecord<B> = <super::strategy::Rule<B> as burn::optim::Optimizer<Trainee<B>, B>>::Record;

/// A run at some step.
pub(super) struct Snapshot<B: TrainBackend> {
    pub standing: Standing,
    pub model: Trainee<B>,
    pub optimizer: OptimizerRecord<B>,
    pub average: Option<Trainee<Inner<B>>>,
    pub best: Option<Model<Inner<B>>>,
    pub carried: Option<RecurrentState<Inner<B>>>,
}

/// Takes what burn's learner hands to a checkpointer, in place of a file; `None`: does without.
struct Stash<R>(Option<SyncSender<R>>);

impl<B: Backend, R: Record<B> + 'static> Checkpointer<R, B> for Stash<R> {
    fn save(&self, _: usize, record: R) -> std::result::Result<(), CheckpointerError> {
        let Some(sender) = &self.0 else { return Ok(()) };
        sender.send(record).map_err(|e| CheckpointerError::Unknown(e.to_string()))
    }

    fn delete(&self, _: usize) -> std::result::Result<(), CheckpointerError> {
        Ok(())
    }

    fn restore(&self, _: usize, _: &B::Device) -> std::result::Result<R, CheckpointerError> {
        Err(CheckpointerError::Unknown("nothing is restored from here".into()))
    }
}

/// Saves whenever it is asked.
struct Always;

impl CheckpointingStrategy for Always {
    fn checkpointing(&mut self, _: usize, _: &EventStoreClient) -> Vec<CheckpointingAction> {
        vec![CheckpointingAction::Save]
    }
}

/// Gets at the optimizer's state, which burn's learner shows to checkpointers alone.
pub(super) struct Insight<B: TrainBackend> {
    checkpointer: LearningCheckpointer<Components<B>>,
    optimizer: Receiver<OptimizerRecord<B>>,
}

impl<B: TrainBackend> Insight<B> {
    pub fn new() -> Self {
        let (sender, optimizer) = sync_channel(1);
        let checkpointer = LearningCheckpointer::new(
            AsyncCheckpointer::new(Stash(None)),
            AsyncCheckpointer::new(Stash(Some(sender))),
            AsyncCheckpointer::new(Stash(None)),
            Box::new(Always),
        );
        Self { checkpointer, optimizer }
    }

    /// The optimizer's state.
    pub fn optimizer(
        &mut self,
        learner: &Learner<Components<B>>,
        store: &EventStoreClient,
    ) -> OptimizerRecord<B> {
        self.checkpointer.checkpoint(learner, 1, store);
        self.optimizer.recv().expect("the checkpointer's thread lives as long as it")
    }
}

/// A recurrent state on disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredState {
    hidden: TensorData,
    cell: Option<TensorData>,
}

/// What a checkpoint says of itself.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    /// SHA-256 of the run's `config.toml`.
    config: String,
    /// SHA-256 of each file.
    files: BTreeMap<String, String>,
}

fn record<B: Backend, R: Record<B>>(draft: &mut FolderDraft, name: &str, record: R) -> Result<()> {
    draft.write_by(name, |out| write_mpk::<B, R, FullPrecisionSettings>(record, out))
}

fn plain(draft: &mut FolderDraft, name: &str, value: &impl Serialize) -> Result<()> {
    draft.write_by(name, |mut out| rmp_serde::encode::write_named(&mut out, value).map_err(|e| e.to_string()))
}

/// The folder of a run's checkpoints.
pub(super) fn folder(run: &Path) -> PathBuf {
    run.join("checkpoint")
}

impl<B: TrainBackend> Snapshot<B> {
    /// Writes a checkpoint of `run`, and removes those that are no longer kept.
    pub fn write(self, run: &Path, config: &str) -> Result<PathBuf> {
        let folder = folder(run);
        let path = folder.join(format!("step-{}", self.standing.step));
        // What is there of later steps, or of this one, was passed over as damaged.
        for (_, damaged) in list(run)?.into_iter().filter(|(step, _)| *step >= self.standing.step) {
            fs::remove_dir_all(&damaged).map_err(|e| Error::io(&damaged, e))?;
        }
        // One file after the other: what each is written from takes as much memory as the weights.
        let mut draft = FolderDraft::new(&path)?;
        plain(&mut draft, "state.mpk", &self.standing)?;
        record::<B, _>(&mut draft, "model.mpk", self.model.into_record())?;
        record::<B, _>(&mut draft, "optimizer.mpk", self.optimizer)?;
        if let Some(average) = self.average {
            record::<Inner<B>, _>(&mut draft, "average.mpk", average.into_record())?;
        }
        if let Some(best) = self.best {
            record::<Inner<B>, _>(&mut draft, "best.mpk", best.into_record())?;
        }
        if let Some(RecurrentState { hidden, cell }) = self.carried {
            let state = StoredState { hidden: hidden.into_data(), cell: cell.map(Tensor::into_data) };
            plain(&mut draft, "carried.mpk", &state)?;
        }
        let manifest = Manifest { format: FORMAT, config: config.into(), files: draft.digests().clone() };
        draft.write("manifest.json", &crate::artifact::json(&manifest))?;
        draft.finish()?;
        for (_, old) in list(run)?.into_iter().rev().skip(KEPT) {
            fs::remove_dir_all(&old).map_err(|e| Error::io(&old, e))?;
        }
        Ok(path)
    }
}

/// SHA-256 of a run's configuration.
pub(super) fn config_digest(run: &Path) -> Result<String> {
    Ok(digest(&read_bytes(&run.join("config.toml"), MAX_BYTES)?))
}

/// The checkpoints of a run by their steps, the oldest first.
pub(super) fn list(run: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let folder = folder(run);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io(&folder, e)),
    };
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| Error::io(&folder, e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if let Some(step) = name.strip_prefix("step-").and_then(|step| step.parse().ok()) {
            all.push((step, path));
        }
    }
    all.sort();
    Ok(all)
}

/// Removes what a process that was killed while it saved has left.
pub(super) fn tidy(run: &Path) {
    let folders = [run.to_path_buf(), folder(run)];
    let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(DRAFT)) {
            fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path)).ok();
        }
    }
}

/// What the newest whole checkpoint of a run knows of its data; `None`: there is none.
pub(super) fn data(run: &Path) -> Option<String> {
    let whole = |path: &Path| Files::open(path)?.standing();
    let mut newest_first = list(run).ok()?.into_iter().rev();
    newest_first.find_map(|(_, path)| whole(&path).ok()).map(|standing| standing.data)
}

/// The files of a checkpoint, each held against the manifest when it is read.
struct Files<'a> {
    path: &'a Path,
    manifest: Manifest,
}

impl<'a> Files<'a> {
    fn open(path: &'a Path) -> Result<Self> {
        let file = path.join("manifest.json");
        let bytes = read_bytes(&file, 1 << 20)?;
        let manifest: Manifest =
            serde_json::from_slice(&bytes).map_err(|e| damaged(path, "manifest.json", &e))?;
        if manifest.format != FORMAT {
            let message = format!("is of format {}, and this version reads {FORMAT}", manifest.format);
            return Err(Error::file(file, message));
        }
        Ok(Self { path, manifest })
    }

    /// `None`: the checkpoint has no such file.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(known) = self.manifest.files.get(name) else { return Ok(None) };
        let bytes = read_bytes(&self.path.join(name), MAX_BYTES)?;
        match digest(&bytes) == *known {
            true => Ok(Some(bytes)),
            false => Err(damaged(self.path, name, &"its SHA-256 is not the manifest's")),
        }
    }

    fn needed(&self, name: &str) -> Result<Vec<u8>> {
        let missing = || damaged(self.path, "manifest.json", &format!("it has no {name}"));
        self.read(name)?.ok_or_else(missing)
    }

    fn standing(&self) -> Result<Standing> {
        rmp_serde::from_slice(&self.needed("state.mpk")?).map_err(|e| damaged(self.path, "state.mpk", &e))
    }
}

fn damaged(checkpoint: &Path, name: &str, message: &dyn std::fmt::Display) -> Error {
    Error::file(checkpoint.join(name), format!("is damaged ({message})"))
}

/// The newest checkpoint of a run that is whole, and what is wrong with those after it; `None`: there is none.
///
/// # Errors
/// Checkpoints of which none can be read.
pub(super) fn latest<B: TrainBackend>(
    run: &Path,
    digest: &str,
    frame: &Frame,
    fresh: &Trainee<B>,
    device: &B::Device,
) -> Result<(Option<Snapshot<B>>, Vec<String>)> {
    let mut faults = Vec::new();
    let all = list(run)?;
    let manifests: Vec<Manifest> =
        all.iter().filter_map(|(_, path)| Some(Files::open(path).ok()?.manifest)).collect();
    if !manifests.is_empty() && manifests.iter().all(|manifest| manifest.config != digest) {
        let message = "is not the one that the checkpoints were written with: put it back";
        return Err(Error::file(run.join("config.toml"), message));
    }
    for (_, path) in all.into_iter().rev() {
        match read(&path, digest, frame, fresh, device) {
            Ok(snapshot) => return Ok((Some(snapshot), faults)),
            Err(error) => faults.push(error.to_string()),
        }
    }
    match faults.is_empty() {
        true => Ok((None, faults)),
        false => Err(Error::Training(format!(
            "no checkpoint of {} can be read: {}; train it again into another folder, or remove {} to begin anew",
            run.display(),
            faults.join("; "),
            folder(run).display()
        ))),
    }
}

/// The shape of each parameter, by its identity.
fn parameters<B: Backend>(module: &impl Module<B>) -> BTreeMap<String, Vec<usize>> {
    struct Shapes(BTreeMap<String, Vec<usize>>);
    impl<B: Backend> ModuleVisitor<B> for Shapes {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
            self.0.insert(param.id.serialize(), param.lazy_shape().to_vec());
        }
    }
    let mut shapes = Shapes(BTreeMap::new());
    module.visit(&mut shapes);
    shapes.0
}

fn read<B: TrainBackend>(
    path: &Path,
    digest: &str,
    frame: &Frame,
    fresh: &Trainee<B>,
    device: &B::Device,
) -> Result<Snapshot<B>> {
    let files = Files::open(path)?;
    if files.manifest.config != digest {
        return Err(damaged(path, "manifest.json", &"it is of another configuration"));
    }
    let standing = files.standing()?;
    frame.check(&standing).map_err(|e| damaged(path, "state.mpk", &e))?;
    let carried = files
        .read("carried.mpk")?
        .map(|bytes| {
            tensors_are_sound(&bytes).map_err(|e| damaged(path, "carried.mpk", &e))?;
            let StoredState { hidden, cell } =
                rmp_serde::from_slice(&bytes).map_err(|e| damaged(path, "carried.mpk", &e))?;
            let wanted = frame.carried(&standing);
            let is_known = |data: &TensorData| data.shape.iter().copied().eq(wanted);
            let has_cell = frame.config.model.cell == CellKind::Lstm;
            if cell.is_some() != has_cell || !is_known(&hidden) || !cell.as_ref().is_none_or(is_known) {
                return Err(damaged(path, "carried.mpk", &format!("its shape is not {wanted:?}")));
            }
            let tensor = |data: TensorData| Tensor::from_data(data, device);
            Ok(RecurrentState { hidden: tensor(hidden), cell: cell.map(tensor) })
        })
        .transpose()?;
    let model = restore_identified(fresh.clone(), &files.needed("model.mpk")?)
        .map_err(|e| damaged(path, "model.mpk", &e))?;
    let bytes = files.needed("optimizer.mpk")?;
    let rule = match frame.config.train.optimizer {
        OptimizerKind::Adamw => "AdamW",
        OptimizerKind::Adam => "Adam",
        OptimizerKind::Sgd => "Sgd",
        OptimizerKind::Rmsprop => "RmsProp",
    };
    let recorder = NamedMpkBytesRecorder::<FullPrecisionSettings>::new();
    let optimizer = moments_are_sound(&bytes, rule, &parameters(&model))
        .and_then(|()| Recorder::<B>::load(&recorder, bytes, device).map_err(|e| e.to_string()))
        .map_err(|e| damaged(path, "optimizer.mpk", &e))?;
    fn part<B: Backend, M: Module<B>>(files: &Files, name: &str, like: M) -> Result<Option<M>> {
        let Some(bytes) = files.read(name)? else { return Ok(None) };
        restore(like, &bytes).map(Some).map_err(|e| damaged(files.path, name, &e))
    }
    // With the identities of the model: the average is taken by them.
    let like = model.valid();
    let best = part(&files, "best.mpk", like.model.clone())?;
    let average = part(&files, "average.mpk", like)?;
    for (name, there, wanted) in [
        ("carried.mpk", carried.is_some(), frame.config.train.carry_state && standing.iteration > 0),
        ("average.mpk", average.is_some(), frame.config.train.average > 0.0),
        ("best.mpk", best.is_some(), standing.best.is_some()),
    ] {
        if there != wanted {
            let message = if wanted { "is missing" } else { "should not be there" };
            return Err(damaged(path, name, &message));
        }
    }
    Ok(Snapshot { standing, model, optimizer, average, best, carried })
}
