//! The one place where features become types: which backends are compiled in, which devices they
//! have here, and how code that is generic over [`TrainBackend`] is run on the one that was picked.
//!
//! | feature | backend | devices |
//! |---|---|---|
//! | `ndarray` | burn-ndarray | `cpu` |
//! | `wgpu` | burn-wgpu | `gpu:0`, …; `cpu` is a software device |
//! | `fusion` | burn-wgpu with burn's fusion | the same |
//! | `tch` | LibTorch | `cuda:0`, …, `mps`, `cpu` |

#[cfg(not(any(feature = "ndarray", feature = "wgpu", feature = "tch")))]
compile_error!("pick a backend: --features ndarray, wgpu or tch");

use crate::error::{Error, Result};
use crate::kernel::RecurrentBackend;
use burn::tensor::backend::{AutodiffBackend, Backend};
use std::fmt;

/// burn-wgpu's, whose name depends on the features that somebody else may have asked of it.
#[cfg(feature = "wgpu")]
pub(crate) type PlainWgpu = burn_wgpu::CubeBackend<burn_wgpu::WgpuRuntime, f32, i32, u32>;
#[cfg(all(feature = "wgpu", not(feature = "fusion")))]
type Wgpu = PlainWgpu;
#[cfg(feature = "fusion")]
type Wgpu = burn_fusion::Fusion<PlainWgpu>;

/// A backend that can train: it differentiates, and runs recurrent layers with and without.
pub trait TrainBackend: AutodiffBackend<InnerBackend: RecurrentBackend> + RecurrentBackend {}

impl<B: AutodiffBackend<InnerBackend: RecurrentBackend> + RecurrentBackend> TrainBackend for B {}

/// Work that is generic over the backend.
pub trait Task {
    /// What it gives.
    type Output;

    /// Does it on one backend and device.
    fn run<B: TrainBackend>(self, device: B::Device) -> Self::Output;
}

/// The backends that this project knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BackendKind {
    /// burn-ndarray: any CPU.
    Ndarray,
    /// burn-wgpu: any GPU, over Vulkan, Metal, DX12 or WebGPU.
    Wgpu,
    /// burn-tch: LibTorch, with CUDA where it has it.
    Tch,
}

impl BackendKind {
    /// All of them, compiled in or not.
    pub const ALL: [Self; 3] = [Self::Ndarray, Self::Wgpu, Self::Tch];

    /// The name of its feature and of `--backend`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ndarray => "ndarray",
            Self::Wgpu => "wgpu",
            Self::Tch => "tch",
        }
    }
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A device of a compiled-in backend that is there on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Its backend.
    pub backend: BackendKind,
    /// What `--device` calls it: `cpu`, `cuda:0`, `gpu:1`.
    pub name: String,
    /// What it is, as far as it says: an adapter's name.
    pub description: String,
    /// Capability: the device with the highest one is taken where nothing is asked for.
    rank: u8,
    place: Place,
}

impl fmt::Display for DeviceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.backend, self.name, self.description)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    #[cfg(feature = "ndarray")]
    Ndarray,
    #[cfg(feature = "wgpu")]
    Wgpu(burn_wgpu::WgpuDevice),
    #[cfg(feature = "tch")]
    Tch(burn_tch::LibTorchDevice),
}

/// The devices that are there, most capable first: GPUs, then CPUs, then software GPUs.
pub fn devices() -> Vec<DeviceInfo> {
    by_rank(compiled().into_iter().flat_map(devices_of).collect())
}

fn by_rank(mut devices: Vec<DeviceInfo>) -> Vec<DeviceInfo> {
    devices.sort_by_key(|device| std::cmp::Reverse(device.rank));
    devices
}

/// The devices of one backend; drivers of the others are not loaded.
fn devices_of(backend: BackendKind) -> Vec<DeviceInfo> {
    match backend {
        #[cfg(feature = "ndarray")]
        BackendKind::Ndarray => vec![DeviceInfo {
            backend,
            name: "cpu".into(),
            description: cpu_description(),
            rank: 1,
            place: Place::Ndarray,
        }],
        #[cfg(feature = "tch")]
        BackendKind::Tch => tch_devices(),
        #[cfg(feature = "wgpu")]
        BackendKind::Wgpu => wgpu_devices(),
        #[allow(unreachable_patterns, reason = "a build may have all of them")]
        _ => Vec::new(),
    }
}

#[cfg(any(feature = "ndarray", feature = "tch"))]
fn cpu_description() -> String {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    // Linux says what it is.
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    match name {
        Some((_, name)) => format!("{}, {threads} threads", name.trim()),
        None => format!("{threads} threads"),
    }
}

#[cfg(feature = "tch")]
fn tch_devices() -> Vec<DeviceInfo> {
    use burn_tch::LibTorchDevice;
    let device = |name: String, description, rank, place| DeviceInfo {
        backend: BackendKind::Tch,
        name,
        description,
        rank,
        place: Place::Tch(place),
    };
    let mut devices = vec![device("cpu".into(), cpu_description(), 2, LibTorchDevice::Cpu)];
    let count = if tch_devices::Cuda::is_available() { tch_devices::Cuda::device_count() } else { 0 };
    devices.extend(
        (0..count as usize).map(|k| device(format!("cuda:{k}"), "CUDA".into(), 4, LibTorchDevice::Cuda(k))),
    );
    if tch_devices::utils::has_mps() {
        devices.push(device("mps".into(), "Metal".into(), 4, LibTorchDevice::Mps));
    }
    devices
}

#[cfg(feature = "wgpu")]
fn wgpu_devices() -> Vec<DeviceInfo> {
    use burn_wgpu::WgpuDevice;
    use wgpu_adapters::{Backends, DeviceType, Instance, InstanceDescriptor};
    // The graphics interface that burn's `AutoGraphicsApi` takes on this system.
    let backends = if cfg!(target_os = "macos") { Backends::METAL } else { Backends::VULKAN };
    let instance =
        Instance::new(InstanceDescriptor { backends, ..InstanceDescriptor::new_without_display_handle() });
    let mut adapters: Vec<_> = pollster::block_on(instance.enumerate_adapters(backends))
        .into_iter()
        .map(|adapter| adapter.get_info())
        .collect();
    let order = |kind: DeviceType| match kind {
        DeviceType::DiscreteGpu => 0,
        DeviceType::IntegratedGpu => 1,
        DeviceType::VirtualGpu => 2,
        DeviceType::Other => 3,
        DeviceType::Cpu => 4,
    };
    adapters.sort_by_key(|info| order(info.device_type));
    let mut counts = [0; 5];
    let mut gpus = 0;
    let mut devices = Vec::new();
    for info in adapters {
        let count = &mut counts[order(info.device_type)];
        let place = match info.device_type {
            DeviceType::DiscreteGpu => WgpuDevice::DiscreteGpu(*count),
            DeviceType::IntegratedGpu => WgpuDevice::IntegratedGpu(*count),
            DeviceType::VirtualGpu => WgpuDevice::VirtualGpu(*count),
            // burn offers one of each of these.
            DeviceType::Cpu if *count == 0 => WgpuDevice::Cpu,
            DeviceType::Other if *count == 0 => WgpuDevice::DefaultDevice,
            DeviceType::Cpu | DeviceType::Other => continue,
        };
        *count += 1;
        let (name, rank) = if place == WgpuDevice::Cpu {
            ("cpu".to_string(), 0)
        } else {
            gpus += 1;
            (format!("gpu:{}", gpus - 1), 3)
        };
        let description = format!("{}, {}", info.name, info.backend);
        devices.push(DeviceInfo {
            backend: BackendKind::Wgpu,
            name,
            description,
            rank,
            place: Place::Wgpu(place),
        });
    }
    devices
}

/// The environment variable that names this machine's backend.
pub const VARIABLE: &str = "RNN_ZOO_BACKEND";

/// The device for what was asked, or the most capable one.
///
/// `backend` is a name of [`BackendKind`]; `device` is as [`DeviceInfo::name`] has it, `cuda` and
/// `gpu` meaning the first. Where neither is given, [`VARIABLE`] may name the backend.
///
/// # Errors
/// A backend that is unknown or not compiled in, with the feature to rebuild with; a device that
/// is not there, with those that are.
pub fn select(backend: Option<&str>, device: Option<&str>) -> Result<DeviceInfo> {
    let set = match (backend, device) {
        (None, None) => std::env::var(VARIABLE).ok().filter(|name| !name.is_empty()),
        _ => None,
    };
    let backend = backend.or(set.as_deref());
    let kind = backend
        .map(|name| {
            BackendKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
                let from = if set.is_some() { format!(" in {VARIABLE}") } else { String::new() };
                Error::Backend(format!("unknown backend `{name}`{from}: it is one of ndarray, wgpu, tch"))
            })
        })
        .transpose()?;
    if let Some(kind) = kind.filter(|kind| !compiled().contains(kind)) {
        return Err(Error::Backend(format!(
            "backend `{kind}` is not compiled in: rebuild with `--features {kind}` (here: {})",
            names(compiled().into_iter().map(BackendKind::name))
        )));
    }
    let wanted = device.map(|name| match name {
        "cuda" | "gpu" => format!("{name}:0"),
        name => name.to_string(),
    });
    kind.map_or_else(devices, |kind| by_rank(devices_of(kind)))
        .into_iter()
        .find(|d| wanted.as_ref().is_none_or(|name| d.name == *name))
        .ok_or_else(|| {
            let all = devices();
            let there = names(all.iter().map(|d| format!("{} {}", d.backend, d.name)));
            if let (Some(kind), None) = (kind, device) {
                return Error::Backend(format!(
                    "backend `{kind}` has no device here: install its driver (wgpu: Vulkan); there is: {there}"
                ));
            }
            let asked = [backend.unwrap_or_default(), device.unwrap_or("any device")].join(" ");
            let mut message = format!("there is no {} here; there is: {there}", asked.trim());
            // Devices of a backend that could be compiled in.
            let owner = match wanted.as_deref().and_then(|name| name.split(':').next()) {
                Some("cuda" | "mps") => BackendKind::Tch,
                Some("gpu") => BackendKind::Wgpu,
                _ => return Error::Backend(message),
            };
            if !compiled().contains(&owner) {
                message += &format!("; `--features {owner}` compiles in the backend that has such devices");
            }
            Error::Backend(message)
        })
}

/// The backends that are compiled in.
pub fn compiled() -> Vec<BackendKind> {
    BackendKind::ALL
        .into_iter()
        .filter(|kind| match kind {
            BackendKind::Ndarray => cfg!(feature = "ndarray"),
            BackendKind::Wgpu => cfg!(feature = "wgpu"),
            BackendKind::Tch => cfg!(feature = "tch"),
        })
        .collect()
}

fn names(items: impl Iterator<Item = impl ToString>) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    if items.is_empty() { "none".into() } else { items.join(", ") }
}

impl DeviceInfo {
    /// Runs `task` on this device.
    pub fn run<T: Task>(&self, task: T) -> T::Output {
        match &self.place {
            #[cfg(feature = "ndarray")]
            Place::Ndarray => {
                keep_freed_memory();
                run_on::<burn_ndarray::NdArray<f32>, T>(task, Default::default())
            }
            #[cfg(feature = "wgpu")]
            Place::Wgpu(device) => run_on::<Wgpu, T>(task, device.clone()),
            #[cfg(feature = "tch")]
            Place::Tch(device) => run_on::<burn_tch::LibTorch<f32>, T>(task, *device),
        }
    }
}

/// Tells the C library to keep freed memory for the next time, where it is glibc.
///
/// A step of training frees what the next one allocates again. Given back to the system in between,
/// every page of it is cleared and mapped anew each time, which costs up to a third of the step on a
/// CPU. [`DeviceInfo::run`] does this on ndarray; programs that run layers themselves may want it.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        // SAFETY: two numbers of the allocator; a thread that allocates meanwhile sees either.
        ONCE.call_once(|| unsafe {
            // Older versions take no more than 32 MiB. The second call alone would do harm.
            let set = |bytes| libc::mallopt(libc::M_MMAP_THRESHOLD, bytes) != 0;
            if set(1 << 30) || set(32 << 20) {
                libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
            }
        });
    }
}

/// Gives freed memory back to the system, where the C library is glibc: what is left is in use.
pub fn return_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it touches no memory that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[allow(dead_code, reason = "unused in a build without any backend")]
fn run_on<B: RecurrentBackend, T: Task>(
    task: T,
    device: <B as burn::tensor::backend::BackendTypes>::Device,
) -> T::Output
where
    burn::backend::Autodiff<B>: Backend<Device = <B as burn::tensor::backend::BackendTypes>::Device>,
{
    task.run::<burn::backend::Autodiff<B>>(device)
}
