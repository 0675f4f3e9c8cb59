//! Weights on disk, in burn's record formats and in safetensors.
//!
//! Whatever the format, a record becomes a list of named tensors first, is held against the model's
//! own names and shapes, and only then touches the model: burn's loaders check neither.

use super::tree::Tree;
use crate::backend::return_freed_memory;
use crate::error::{Error, Result};
use crate::kernel::RecurrentBackend;
use crate::model::Model;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::record::{
    BinBytesRecorder, BurnRecord, FullPrecisionSettings, HalfPrecisionSettings, NamedMpkBytesRecorder,
    PrecisionSettings, PrettyJsonFileRecorder, Record, Recorder,
};
use burn::tensor::backend::Backend;
use burn::tensor::{AllocationProperty, Bytes, DType, Tensor, TensorData, f16};
use burn_store::{BurnpackStore, BurnpackWriter, ModuleStore, TensorSnapshot};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

/// How weights are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordFormat {
    /// burn's named MessagePack.
    Mpk,
    /// burn's bincode.
    Bin,
    /// burn's burnpack, with the module's own names.
    Burnpack,
    /// burn's JSON: a number a byte, four times the size.
    Json,
    /// safetensors, with the module's own names.
    Safetensors,
}

impl RecordFormat {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Mpk, Self::Bin, Self::Burnpack, Self::Json, Self::Safetensors];

    /// Its name, that of `--format`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mpk => "mpk",
            Self::Bin => "bin",
            Self::Burnpack => "burnpack",
            Self::Json => "json",
            Self::Safetensors => "safetensors",
        }
    }

    /// The record's name in a model folder.
    pub fn file_name(self) -> String {
        match self {
            Self::Burnpack => "record.bpk".into(),
            _ => format!("record.{}", self.name()),
        }
    }
}

/// The floats of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32 bits: the weights as they are.
    #[default]
    Full,
    /// 16 bits (IEEE 754 binary16): half the size, weights rounded to 11 significant bits.
    Half,
}

impl Precision {
    pub(super) fn is_full(&self) -> bool {
        *self == Self::Full
    }

    fn dtype(self) -> DType {
        match self {
            Self::Full => DType::F32,
            Self::Half => DType::F16,
        }
    }
}

/// A tensor of a model or a record.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// Its place in the model: `stack.layers.0.weight_ih`.
    pub name: String,
    /// Its values.
    pub data: TensorData,
}

/// The weights of a model, in their order.
pub fn named_tensors<B: Backend>(model: &Model<B>) -> Vec<NamedTensor> {
    let mut tensors = Vec::new();
    each_weight(model, &mut |name, _, data| tensors.push(NamedTensor { name, data: data() }));
    tensors
}

/// The names and shapes of a module's weights, in their order; weights that are not there yet stay so.
pub(crate) fn shapes<B: Backend>(module: &impl Module<B>) -> Vec<(String, Vec<usize>)> {
    let mut shapes = Vec::new();
    each_weight(module, &mut |name, shape, _| shapes.push((name, shape)));
    shapes
}

/// Takes a weight's name, its shape and what reads its values.
type Weight<'a> = dyn FnMut(String, Vec<usize>, &dyn Fn() -> TensorData) + 'a;

/// Visits the weights of a module.
fn each_weight<B: Backend>(module: &impl Module<B>, weight: &mut Weight) {
    struct Each<'a, 'b> {
        path: Place,
        weight: &'a mut Weight<'b>,
    }
    impl<B: Backend> ModuleVisitor<B> for Each<'_, '_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.enter(name);
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.exit();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
            let values = || param.val().into_data();
            (self.weight)(self.path.name(), param.lazy_shape().to_vec(), &values);
        }
    }
    module.visit(&mut Each { path: Place::default(), weight });
}

/// Where a visit stands. The first part says nothing: a model's is its kind, which the configuration knows.
#[derive(Default)]
struct Place(Vec<String>);

impl Place {
    fn enter(&mut self, name: &str) {
        self.0.push(name.into());
    }

    fn exit(&mut self) {
        self.0.pop();
    }

    fn name(&self) -> String {
        self.0[1..].join(".")
    }
}

/// Writes the record of a model, which is taken apart for it: where nobody else has its weights, they are not copied.
/// MessagePack and JSON are written piece by piece; the other formats have a copy of the record in memory first.
///
/// # Errors
/// Those of `out`.
pub(super) fn write<B: RecurrentBackend>(
    model: Model<B>,
    format: RecordFormat,
    precision: Precision,
    out: &mut dyn Write,
) -> Result<(), String> {
    match precision {
        Precision::Full => write_as::<B, FullPrecisionSettings>(model, format, out),
        Precision::Half => write_as::<B, HalfPrecisionSettings>(model, format, out),
    }
}

/// That a record of `precision` can hold the weights of a model.
///
/// # Errors
/// A weight that is too large for 16 bits.
pub(super) fn check_fits<B: Backend>(model: &Model<B>, precision: Precision) -> Result<()> {
    if precision == Precision::Half {
        let mut wide = TooWide::default();
        model.visit(&mut wide);
        if let Some(name) = wide.found {
            return Err(Error::Input(format!(
                "the record cannot be written: weights of {name} are too large for 16 bits: use full precision"
            )));
        }
    }
    Ok(())
}

/// Values that are looked at together.
const CHECKED: usize = 1 << 18;

/// Looks for a weight that 16 bits do not hold, a few rows at a time: a copy of all would be the largest thing in memory.
#[derive(Default)]
struct TooWide {
    path: Place,
    found: Option<String>,
}

impl<B: Backend> ModuleVisitor<B> for TooWide {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let weight = param.val();
        let [n, size] = [weight.dims()[0], weight.shape().num_elements()];
        let step = (CHECKED * n / size.max(1)).max(1);
        let mut starts = (0..n).step_by(step);
        let fits = |from: usize| fits_half(&weight.clone().narrow(0, from, step.min(n - from)).into_data());
        if self.found.is_none() && !starts.all(fits) {
            self.found = Some(self.path.name());
        }
    }
}

fn write_as<B: RecurrentBackend, S: PrecisionSettings>(
    model: Model<B>,
    format: RecordFormat,
    out: &mut dyn Write,
) -> Result<(), String> {
    let tensors = |model| {
        named_tensors(&model).into_iter().map(|t| (t.name, t.data.convert::<S::FloatElem>())).collect()
    };
    let bytes = match format {
        RecordFormat::Mpk => return write_mpk::<B, _, S>(model.into_record(), out),
        // As burn's recorder has it, without its line a byte.
        RecordFormat::Json => {
            let item =
                BurnRecord::<_, B>::new::<PrettyJsonFileRecorder<S>>(model.into_record().into_item::<S>());
            return serde_json::to_writer(out, &item).map_err(|e| e.to_string());
        }
        RecordFormat::Bin => Recorder::<B>::record(&BinBytesRecorder::<S>::new(), model.into_record(), ())
            .map_err(|e| e.to_string())?,
        RecordFormat::Burnpack => {
            let tensors: Vec<(String, TensorData)> = tensors(model);
            let snapshots = tensors.into_iter().enumerate().map(|(k, (name, data))| {
                let path = name.split('.').map(String::from).collect();
                TensorSnapshot::from_data(data, path, Vec::new(), ParamId::from(k as u64))
            });
            let bytes = BurnpackWriter::new(snapshots.collect()).to_bytes();
            bytes.map(|bytes| bytes.to_vec()).map_err(|e| e.to_string())?
        }
        RecordFormat::Safetensors => {
            let tensors: Vec<(String, TensorData)> = tensors(model);
            let views = tensors.iter().map(|(name, data)| {
                let dtype = if data.dtype == DType::F16 { Dtype::F16 } else { Dtype::F32 };
                let view = TensorView::new(dtype, data.shape.to_vec(), data.as_bytes());
                (name.as_str(), view.expect("a tensor's bytes are those of its shape"))
            });
            safetensors::serialize(views, None).map_err(|e| e.to_string())?
        }
    };
    out.write_all(&bytes).map_err(|e| e.to_string())
}

/// Writes a record as burn's recorder of MessagePack does, without a copy of it.
pub(crate) fn write_mpk<B: Backend, R: Record<B>, S: PrecisionSettings>(
    record: R,
    mut out: &mut dyn Write,
) -> Result<(), String> {
    let item = BurnRecord::<_, B>::new::<NamedMpkBytesRecorder<S>>(record.into_item::<S>());
    rmp_serde::encode::write_named(&mut out, &item).map_err(|e| e.to_string())
}

/// Whether each value is finite in 16 bits, or was not finite before.
pub(crate) fn fits_half(data: &TensorData) -> bool {
    data.iter::<f32>().all(|value| !value.is_finite() || f16::from_f32(value).is_finite())
}

/// `model`, its weights rounded to what a record of half precision holds.
pub fn rounded<B: RecurrentBackend>(model: Model<B>) -> Model<B> {
    struct Round;
    impl<B: Backend> ModuleMapper<B> for Round {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
            param.map(|value| {
                let device = value.device();
                let type_ = value.dtype();
                Tensor::from_data(value.into_data().convert::<f16>().convert_dtype(type_), &device)
            })
        }
    }
    model.map(&mut Round)
}

/// `model` with the weights of a record, which is not trusted: names, shapes, types and lengths are
/// held against the model's before any of it is used.
///
/// # Errors
/// A record that is damaged, of another architecture or precision, or with a weight that is not finite.
pub fn load_record<B: RecurrentBackend>(
    model: Model<B>,
    mut record: Vec<u8>,
    format: RecordFormat,
    precision: Precision,
) -> Result<Model<B>, String> {
    let tensors = match format {
        RecordFormat::Mpk => Tree::from_mpk(&record).and_then(tensors_of),
        RecordFormat::Json => Tree::from_json(&record).and_then(tensors_of),
        RecordFormat::Bin => decode_bin(&model, &record, precision),
        RecordFormat::Burnpack => decode_burnpack(std::mem::take(&mut record)),
        RecordFormat::Safetensors => decode_safetensors(&record, |_| true),
    };
    // Before the model takes as much again.
    drop(record);
    return_freed_memory();
    let tensors = tensors.and_then(|tensors| check_values(&tensors, precision).map(|()| tensors));
    let tensors = tensors.map_err(|message| {
        format!("{message}: the record is damaged or of another kind; export or copy it again")
    })?;
    apply(model, tensors)
}

/// That each tensor has the floats of `precision`, and that all of them are finite.
fn check_values(tensors: &BTreeMap<String, TensorData>, precision: Precision) -> Result<(), String> {
    for (name, data) in tensors {
        let (found, wanted) = (data.dtype, precision.dtype());
        if found != wanted {
            return Err(format!("`{name}` is of type {found:?}, and the manifest says {wanted:?}"));
        }
        let bytes = data.as_bytes();
        let finite = match precision {
            Precision::Full => {
                bytes.chunks_exact(4).all(|b| f32::from_ne_bytes([b[0], b[1], b[2], b[3]]).is_finite())
            }
            Precision::Half => bytes.chunks_exact(2).all(|b| f16::from_ne_bytes([b[0], b[1]]).is_finite()),
        };
        if !finite {
            return Err(format!("`{name}` has a weight that is not finite"));
        }
    }
    Ok(())
}

pub(crate) type Decoded = Result<BTreeMap<String, TensorData>, String>;

/// Reads bincode without decoding it: the architecture alone says where each byte of such a record lies. A record of
/// the same architecture, but of tensors with one value, shows what stands between the weights; all but identities,
/// lengths and shapes is held against it.
fn decode_bin<B: RecurrentBackend>(model: &Model<B>, bytes: &[u8], precision: Precision) -> Decoded {
    // Two records that differ in every byte of every value and identity, and nowhere else.
    let frame = |fill: u8, id: u64| {
        let value = match precision {
            Precision::Full => f32::from_le_bytes([fill; 4]),
            Precision::Half => f16::from_le_bytes([fill; 2]).to_f32(),
        };
        let marked = model.clone().map(&mut Mark { value, id: id.into() });
        let mut bytes = Vec::new();
        write(marked, RecordFormat::Bin, precision, &mut bytes).map(|()| bytes)
    };
    let (frame, other) = (frame(0x11, 0)?, frame(0x22, u64::MAX)?);
    let mut at = 0;
    // What comes up to the next run of bytes that differ, and that run's length.
    let mut next = || {
        let is_free = |&k: &usize| frame[k] != other[k];
        let from = (at..frame.len()).find(is_free).unwrap_or(frame.len());
        let to = (from..frame.len()).find(|k| !is_free(k)).unwrap_or(frame.len());
        let fixed = &frame[at..from];
        at = to;
        (fixed, to - from)
    };
    let dtype = precision.dtype();
    let mut rest = Cursor { bytes, at: 0 };
    let mut tensors = BTreeMap::new();
    // What follows a tensor's values in the frame: its shape of ones.
    let mut n_ones = 0;
    for (name, shape) in shapes(model) {
        let (fixed, n_id) = next();
        rest.expect(&fixed[n_ones..])?;
        rest.take(n_id)?;
        let (fixed, _) = next();
        let n_bytes = n_bytes_of(&shape, dtype).ok_or_else(|| format!("`{name}` is too large"))?;
        // Its last byte is the length of one value.
        rest.expect(&fixed[..fixed.len() - 1])?;
        rest.expect(&varint(n_bytes as u64))?;
        let values = Bytes::from_bytes_vec(rest.take(n_bytes)?.to_vec());
        rest.expect(&varint(shape.len() as u64))?;
        shape.iter().try_for_each(|&size| rest.expect(&varint(size as u64)))?;
        n_ones = 1 + shape.len();
        tensors.insert(name.clone(), floats(&name, values, shape, dtype)?);
    }
    let (fixed, _) = next();
    rest.expect(&fixed[n_ones..])?;
    match bytes.len() - rest.at {
        0 => Ok(tensors),
        n => Err(format!("{n} bytes follow its end")),
    }
}

/// A whole number as bincode writes it.
fn varint(n: u64) -> Vec<u8> {
    let (tag, size) = match n {
        0..=250 => return vec![n as u8],
        251..=0xffff => (251, 2),
        0x1_0000..=0xffff_ffff => (252, 4),
        _ => (253, 8),
    };
    [&[tag][..], &n.to_le_bytes()[..size]].concat()
}

/// Where the reading of a record stands.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let taken = self.bytes[self.at..].get(..n).ok_or("it ends before this architecture's does")?;
        self.at += n;
        Ok(taken)
    }

    fn expect(&mut self, wanted: &[u8]) -> Result<(), String> {
        let from = self.at;
        match self.take(wanted.len())?.iter().zip(wanted).position(|(a, b)| a != b) {
            None => Ok(()),
            Some(k) => {
                Err(format!("its byte {} is not that of this architecture and burn version", from + k))
            }
        }
    }
}

/// Gives each weight one value.
struct Mark {
    value: f32,
    id: ParamId,
}

impl<B: Backend> ModuleMapper<B> for Mark {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        Param::initialized(self.id, Tensor::full([1; D], self.value, &param.lazy_device()))
    }
}

/// Bytes of burnpack's description of its tensors at most; burn reads up to 100 MiB, and takes a multiple of that.
const MAX_BURNPACK_HEADER: u32 = 1 << 20;

fn decode_burnpack(bytes: Vec<u8>) -> Decoded {
    // The description's length, after the format's name and version.
    if let Some(&[a, b, c, d]) = bytes.get(6..10) {
        let length = u32::from_le_bytes([a, b, c, d]);
        if length > MAX_BURNPACK_HEADER {
            return Err(format!(
                "its header says to be {length} bytes long, and {MAX_BURNPACK_HEADER} are read at most"
            ));
        }
    }
    let n_bytes = bytes.len();
    // Shared: the store copies what it reads from, for each tensor.
    let shared = Bytes::from_shared(bytes.into(), AllocationProperty::Other);
    let mut store = BurnpackStore::from_bytes(Some(shared));
    let snapshots = store.get_all_snapshots().map_err(|e| format!("it is not burnpack ({e})"))?;
    // The format lets tensors lie over each other.
    let sizes = snapshots.values().map(|s| n_bytes_of(&s.shape, s.dtype));
    if sizes.into_iter().try_fold(0usize, |sum, n| sum.checked_add(n?)).is_none_or(|sum| sum > n_bytes) {
        return Err("its tensors are larger than it".into());
    }
    snapshots
        .iter()
        .map(|(name, snapshot)| {
            if !matches!(snapshot.dtype, DType::F64 | DType::F32 | DType::F16 | DType::BF16) {
                return Err(format!("`{name}` is not of a float type"));
            }
            let data = snapshot.to_data().map_err(|e| format!("`{name}` cannot be read ({e:?})"))?;
            let TensorData { bytes, shape, dtype } = data;
            Ok((name.clone(), floats(name, Bytes::from_bytes_vec(bytes.to_vec()), shape.to_vec(), dtype)?))
        })
        .collect()
}

/// Tensors of a record at most; a model has some hundred.
const MAX_TENSORS: usize = 1 << 16;

/// Bytes of the header of a safetensors file at most; a tensor takes about a hundred.
const MAX_HEADER: u64 = 2 << 20;

/// Dimensions of a tensor at most; those of models have up to three.
const MAX_RANK: usize = 8;

/// A safetensors file whose header cannot take much memory.
pub(crate) fn open_safetensors(bytes: &[u8]) -> Result<SafeTensors<'_>, String> {
    if let Some(length) = bytes.first_chunk::<8>().map(|length| u64::from_le_bytes(*length))
        && length > MAX_HEADER
    {
        return Err(format!("its header says to be {length} bytes long, and {MAX_HEADER} are read at most"));
    }
    let file = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    if file.len() > MAX_TENSORS {
        return Err(format!("it has {} tensors, and {MAX_TENSORS} are read at most", file.len()));
    }
    if let Some((name, view)) = file.iter().find(|(_, view)| view.shape().len() > MAX_RANK) {
        return Err(format!("`{name}` has {} dimensions, over {MAX_RANK}", view.shape().len()));
    }
    Ok(file)
}

/// The tensors of a safetensors file, of the names that are `wanted`.
pub(crate) fn decode_safetensors(bytes: &[u8], mut wanted: impl FnMut(&str) -> bool) -> Decoded {
    let file = open_safetensors(bytes).map_err(|e| format!("it is not safetensors ({e})"))?;
    file.iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, view)| {
            let dtype = match view.dtype() {
                Dtype::F64 => DType::F64,
                Dtype::F32 => DType::F32,
                Dtype::F16 => DType::F16,
                Dtype::BF16 => DType::BF16,
                other => return Err(format!("`{name}` is of type {other:?}, not of a float type")),
            };
            Ok((
                name.to_string(),
                floats(name, Bytes::from_bytes_vec(view.data().to_vec()), view.shape().to_vec(), dtype)?,
            ))
        })
        .collect()
}

/// The tensors of a record of burn's: maps and lists with parameters as leaves.
fn tensors_of(mut record: Tree) -> Decoded {
    let mut tensors = BTreeMap::new();
    each_parameter(&mut record, &mut |name, parameter| {
        let data = leaf(&name, parameter.entry_mut("param").expect("a parameter has one"))?;
        match tensors.entry(name) {
            Entry::Vacant(place) => {
                place.insert(data);
                Ok(())
            }
            Entry::Occupied(place) => Err(format!("`{}` is there twice", place.key())),
        }
    })?;
    Ok(tensors)
}

/// Takes a parameter's name and what the record has of it.
type Parameter<'a> = dyn FnMut(String, &mut Tree) -> Result<(), String> + 'a;

/// Visits the parameters of a record of burn's. The first part of a name is left out, as in [`Place`].
fn each_parameter(record: &mut Tree, parameter: &mut Parameter) -> Result<(), String> {
    fn walk(value: &mut Tree, path: &mut Vec<String>, parameter: &mut Parameter) -> Result<(), String> {
        let mut part = |name: String, value: &mut Tree| {
            path.push(name);
            let walked = walk(value, path, parameter);
            path.pop();
            walked
        };
        match value {
            Tree::Map(_) if value.entry("id").is_some() && value.entry("param").is_some() => {
                parameter(path.join("."), value)
            }
            Tree::Map(entries) => entries.iter_mut().try_for_each(|(key, value)| part(key.clone(), value)),
            Tree::List(values) => {
                values.iter_mut().enumerate().try_for_each(|(k, value)| part(k.to_string(), value))
            }
            // Constants and absent parts.
            _ => Ok(()),
        }
    }
    if !matches!(record, Tree::Map(_)) {
        return Err("it is not a record".into());
    }
    let Some(Tree::Map(kinds)) = record.entry_mut("item") else {
        return Err("its item is not a model".into());
    };
    kinds.iter_mut().try_for_each(|(_, model)| walk(model, &mut Vec::new(), parameter))
}

/// `module` with the weights of a record in MessagePack, which is held against it; its identities stay.
pub(crate) fn restore<B: Backend, M: Module<B>>(module: M, bytes: &[u8]) -> Result<M, String> {
    apply_as(module, restorable(Tree::from_mpk(bytes)?)?, BTreeMap::new())
}

fn restorable(record: Tree) -> Decoded {
    let tensors = tensors_of(record)?;
    check_values(&tensors, Precision::Full).map(|()| tensors)
}

/// Like [`restore`], and with the record's identities. burn's own loader panics at another architecture, and at an
/// identity that is none.
pub(crate) fn restore_identified<B: Backend, M: Module<B>>(module: M, bytes: &[u8]) -> Result<M, String> {
    let mut record = Tree::from_mpk(bytes)?;
    let mut identities = BTreeMap::new();
    each_parameter(&mut record, &mut |name, parameter| {
        let id = parameter.entry("id").and_then(Tree::text).and_then(identity);
        let id = id.ok_or_else(|| format!("the identity of `{name}` is none"))?;
        identities.insert(name, id);
        Ok(())
    })?;
    let n = identities.len();
    let distinct: BTreeSet<ParamId> = identities.values().copied().collect();
    if distinct.len() < n {
        return Err("two parameters have one identity".into());
    }
    apply_as(module, restorable(record)?, identities)
}

/// What the text of an identity, 8 bytes in base 32, says.
fn identity(text: &str) -> Option<ParamId> {
    // The length first: at more bytes burn panics.
    if text.len() == 13 { ParamId::try_deserialize(text) } else { None }
}

/// That every tensor in MessagePack of burn's has as many bytes as its shape says, which burn does not look at.
pub(crate) fn tensors_are_sound(bytes: &[u8]) -> Result<(), String> {
    tensors_fit(&mut Tree::from_mpk(bytes)?, None)
}

/// That a value's tensors are sound, and of `shape`.
fn tensors_fit(value: &mut Tree, shape: Option<&[usize]>) -> Result<(), String> {
    const FIELDS: [&str; 3] = ["bytes", "shape", "dtype"];
    match value {
        // What has but some of these names, or others as well, could hide a tensor from us that serde finds.
        Tree::Map(entries) if entries.iter().any(|(name, _)| FIELDS.contains(&name.as_str())) => {
            if entries.len() != FIELDS.len() {
                return Err("it has a tensor with more, or less, than bytes, shape and type".into());
            }
            let data = leaf("a tensor", value)?;
            match shape.is_none_or(|shape| data.shape.iter().eq(shape)) {
                true => Ok(()),
                false => Err(format!("it has a tensor of shape {:?}", data.shape.to_vec())),
            }
        }
        Tree::Map(entries) => entries.iter_mut().try_for_each(|(_, value)| tensors_fit(value, shape)),
        // Of what has names, serde takes the values alone as well; burn writes none of it here.
        Tree::List(_) => Err("it has a list of what needs names".into()),
        // Steps, which are counted on; burn computes with them in 32 bits.
        Tree::Number(n) if *n >= i32::MAX as u64 => Err(format!("{n} is no number of steps")),
        _ => Ok(()),
    }
}

/// That each state of an optimizer's record, in MessagePack of burn's, is of one of `parameters`, which are shapes by
/// identity, by the update rule `rule`, in tensors of the parameter's shape: burn takes it for that unseen.
pub(crate) fn moments_are_sound(
    bytes: &[u8],
    rule: &str,
    parameters: &BTreeMap<String, Vec<usize>>,
) -> Result<(), String> {
    let mut tree = Tree::from_mpk(bytes)?;
    let Some(Tree::Map(states)) = tree.entry_mut("item") else { return Err("it has no `item`".into()) };
    for (id, state) in states {
        let shape = parameters.get(id).ok_or_else(|| format!("the model has no parameter `{id}`"))?;
        let rank = format!("Rank{}", shape.len());
        state
            .entry_mut("V1")
            .and_then(|state| state.entry_mut(&rank)?.entry_mut(rule))
            .ok_or_else(|| "it is of another rule or rank".to_string())
            .and_then(|state| tensors_fit(state, Some(shape)))
            .map_err(|message| {
                format!("what `{rule}` remembers of parameter `{id}`, {shape:?}: {message}")
            })?;
    }
    Ok(())
}

/// A serialised [`TensorData`], whose bytes are taken out of it.
fn leaf(name: &str, value: &mut Tree) -> Result<TensorData, String> {
    let field = |key: &str| value.entry(key).ok_or_else(|| format!("`{name}` has no `{key}`"));
    let shape = field("shape")?.sizes().ok_or_else(|| format!("`{name}` has no proper shape"))?;
    let dtype = match field("dtype")?.text() {
        Some("F64") => DType::F64,
        Some("F32") => DType::F32,
        Some("F16") => DType::F16,
        Some("BF16") => DType::BF16,
        _ => return Err(format!("`{name}` is not of a float type")),
    };
    let Some(Tree::Bytes(bytes)) = value.entry_mut("bytes") else {
        return Err(format!("the bytes of `{name}` are not bytes"));
    };
    floats(name, Bytes::from_bytes_vec(std::mem::take(bytes)), shape, dtype)
}

/// Bytes of a tensor; `None`: more than can be counted.
fn n_bytes_of(shape: &[usize], dtype: DType) -> Option<usize> {
    shape.iter().try_fold(dtype.size(), |n, &d| n.checked_mul(d))
}

/// A tensor, after its bytes' number was held against its shape.
fn floats(name: &str, bytes: Bytes, shape: Vec<usize>, dtype: DType) -> Result<TensorData, String> {
    if n_bytes_of(&shape, dtype) != Some(bytes.len()) {
        return Err(format!("`{name}` of shape {shape:?} has {} bytes", bytes.len()));
    }
    Ok(TensorData::from_bytes(bytes, shape, dtype))
}

/// `model` with `tensors` as its weights, if they are those that it has.
pub(crate) fn apply<B: RecurrentBackend>(
    model: Model<B>,
    tensors: BTreeMap<String, TensorData>,
) -> Result<Model<B>, String> {
    apply_as(model, tensors, BTreeMap::new())
}

/// Like [`apply`]; a parameter that `identities` has gets that one.
fn apply_as<B: Backend, M: Module<B>>(
    model: M,
    mut tensors: BTreeMap<String, TensorData>,
    identities: BTreeMap<String, ParamId>,
) -> Result<M, String> {
    let mut wrong = Vec::new();
    let mut taken = BTreeMap::new();
    for (name, shape) in shapes(&model) {
        match tensors.remove(&name) {
            None => wrong.push(format!("{name} is missing")),
            Some(data) if data.shape.to_vec() != shape => {
                wrong.push(format!("{name} is {:?}, the model's is {shape:?}", data.shape.to_vec()));
            }
            Some(data) => {
                taken.insert(name, data);
            }
        }
    }
    wrong.extend(tensors.into_keys().map(|name| format!("{name} is left over")));
    if !wrong.is_empty() {
        let more = wrong.len().saturating_sub(4);
        wrong.truncate(4);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        return Err(format!(
            "holds another architecture than config.toml describes: {}{more}; put back the files that were written together",
            wrong.join("; ")
        ));
    }
    Ok(model.map(&mut Apply { path: Place::default(), tensors: taken, identities }))
}

struct Apply {
    path: Place,
    tensors: BTreeMap<String, TensorData>,
    identities: BTreeMap<String, ParamId>,
}

impl<B: Backend> ModuleMapper<B> for Apply {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let name = self.path.name();
        let data = self.tensors.remove(&name).expect("every name was checked").convert::<f32>();
        let id = self.identities.remove(&name).unwrap_or(param.id);
        let device = param.lazy_device();
        param.transform_for_load(Tensor::from_data(data, &device), id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A safetensors file whose header is `text`.
    fn headed(text: &str) -> Vec<u8> {
        [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
    }

    #[test]
    fn headers_that_would_take_memory_are_refused() {
        let says = |bytes: &[u8], text: &str| {
            let error = open_safetensors(bytes).unwrap_err();
            assert!(error.contains(text), "{error}");
        };
        let shaped = |rank: usize| {
            let shape = vec!["0"; rank].join(",");
            headed(&format!("{{\"a\":{{\"dtype\":\"F32\",\"shape\":[{shape}],\"data_offsets\":[0,0]}}}}"))
        };
        assert_eq!(open_safetensors(&shaped(8)).unwrap().len(), 1);
        says(&shaped(9), "`a` has 9 dimensions, over 8");
        says(&headed(&format!("{{{}}}", " ".repeat(2 << 20))), "2097154 bytes long, and 2097152 are read");
        says(&u64::MAX.to_le_bytes(), "are read at most");
        assert!(open_safetensors(&[0; 7]).is_err());

        let burnpack = |length: u32| [b"NRUB\x01\0".as_slice(), &length.to_le_bytes()].concat();
        let most = MAX_BURNPACK_HEADER;
        for (length, says) in
            [(most, "it is not burnpack ("), (most + 1, "1048577 bytes long, and 1048576 are read")]
        {
            let error = decode_burnpack(burnpack(length)).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn values_of_another_precision_and_none_are_refused() {
        let data = |values: &[f32]| TensorData::new(values.to_vec(), [values.len()]);
        let check =
            |data: TensorData, precision| check_values(&BTreeMap::from([("a".to_string(), data)]), precision);
        let good = [1.0, -2.5, 6.0e4];
        assert_eq!(check(data(&good), Precision::Full), Ok(()));
        assert_eq!(check(data(&good).convert::<f16>(), Precision::Half), Ok(()));
        for (data, precision) in [
            (data(&good), Precision::Half),
            (data(&good).convert::<f16>(), Precision::Full),
            (data(&good).convert::<f64>(), Precision::Full),
        ] {
            assert!(check(data, precision).unwrap_err().starts_with("`a` is of type "));
        }
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let says = Err("`a` has a weight that is not finite".to_string());
            assert_eq!(check(data(&[1.0, wrong]), Precision::Full), says);
            assert_eq!(check(data(&[1.0, wrong]).convert::<f16>(), Precision::Half), says);
        }
    }

    #[test]
    fn what_burn_would_take_unseen_is_refused() {
        use serde_json::json;
        let mpk = |value: &serde_json::Value| rmp_serde::to_vec_named(value).unwrap();
        let tensor = |n: usize| json!({"bytes": vec![0; n], "shape": [2], "dtype": "F32"});
        assert_eq!(tensors_are_sound(&mpk(&json!({"w": tensor(8), "none": null}))), Ok(()));
        let mut hidden = tensor(8);
        hidden["more"] = tensor(7);
        for (value, text) in [
            (tensor(7), "`a tensor` of shape [2] has 7 bytes"),
            (hidden, "more, or less, than bytes, shape and type"),
            (json!({"w": {"shape": [2], "more": tensor(7)}}), "more, or less, than bytes, shape and type"),
            // serde takes values without their names as well.
            (json!([[0, 0], [2], "F32"]), "a list of what needs names"),
            (json!({"w": [tensor(8)]}), "a list of what needs names"),
        ] {
            let error = tensors_are_sound(&mpk(&value)).unwrap_err();
            assert!(error.contains(text), "{error}");
        }

        let id = ParamId::from(7).serialize();
        let parameters = BTreeMap::from([(id.clone(), vec![2])]);
        let moments = |rank: &str, state: serde_json::Value| {
            let record = json!({"item": {&id: {"V1": {rank: {"Adam": state}}}}});
            moments_are_sound(&mpk(&record), "Adam", &parameters)
        };
        assert_eq!(moments("Rank1", json!({"momentum": {"time": 3, "moment_1": tensor(8)}})), Ok(()));
        let other = json!({"bytes": [], "shape": [0], "dtype": "F32"});
        for (rank, state, text) in [
            ("Rank2", json!({"momentum": tensor(8)}), "another rule or rank"),
            ("Rank1", json!({"momentum": other}), "a tensor of shape [0]"),
            ("Rank1", json!({"momentum": other, "shape": [2]}), "more, or less, than"),
            ("Rank1", json!({"time": u64::MAX}), "no number of steps"),
            ("Rank1", json!([tensor(8)]), "a list of what needs names"),
        ] {
            let error = moments(rank, state).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn identities_are_held_against_burns_form() {
        let text = ParamId::from(u64::MAX).serialize();
        assert_eq!(identity(&text), Some(u64::MAX.into()));
        let long = "a".repeat(48);
        for text in ["", "no identity", &text[1..], &long, "aaaaaaaaaaaaa!", "ÄÖÜÄÖÜa", "0000000000001"]
        {
            assert_eq!(identity(text), None, "{text}");
        }
    }
}
