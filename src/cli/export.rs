use super::{DeviceArgs, ModelArg, print};
use crate::artifact::{Precision, RecordFormat};
use crate::error::{Error, Result};
use crate::{onnx, predict, pytorch};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    model: ModelArg,
    /// The format of the weights
    #[arg(long, value_enum)]
    format: ExportFormat,
    /// Weights in 16 bits: half the size, rounded
    #[arg(long)]
    half: bool,
    /// The new model folder [default: NAME-FORMAT here]
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ExportFormat {
    /// burn's named MessagePack
    Mpk,
    /// burn's bincode
    Bin,
    /// burn's burnpack
    Burnpack,
    /// burn's JSON, four times the size
    Json,
    /// safetensors
    Safetensors,
    /// safetensors for torch.nn, and the Python that runs them
    Pytorch,
    /// ONNX
    Onnx,
}

pub fn run(args: ExportArgs) -> Result<()> {
    let model = predict::load(&args.model.model, &args.device.select()?)?;
    let named = |format: &str| {
        args.out.clone().unwrap_or_else(|| format!("{}-{format}", model.folder().manifest.name).into())
    };
    let precision = if args.half { Precision::Half } else { Precision::Full };
    let format = match args.format {
        ExportFormat::Mpk => RecordFormat::Mpk,
        ExportFormat::Bin => RecordFormat::Bin,
        ExportFormat::Burnpack => RecordFormat::Burnpack,
        ExportFormat::Json => RecordFormat::Json,
        ExportFormat::Safetensors => RecordFormat::Safetensors,
        ExportFormat::Onnx => {
            let files = onnx::export(&named("onnx"), &*model, precision)?;
            return files.iter().try_for_each(|file| print(&file.display().to_string()));
        }
        ExportFormat::Pytorch => {
            if args.half {
                return Err(Error::Input("PyTorch gets the weights as they are: leave out --half".into()));
            }
            let out = named("pytorch");
            pytorch::export(&*model, &out)?;
            return print(&out.join("model.py").display().to_string());
        }
    };
    let out = named(format.name());
    model.export(&out, format, precision)?;
    print(&out.join(format.file_name()).display().to_string())
}
