use super::{DeviceArgs, ModelArg, print};
use crate::artifact::{Precision, RecordFormat};
use crate::error::Result;
use crate::predict;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    model: ModelArg,
    /// The record's format
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
}

pub fn run(args: ExportArgs) -> Result<()> {
    let format = match args.format {
        ExportFormat::Mpk => RecordFormat::Mpk,
        ExportFormat::Bin => RecordFormat::Bin,
        ExportFormat::Burnpack => RecordFormat::Burnpack,
        ExportFormat::Json => RecordFormat::Json,
        ExportFormat::Safetensors => RecordFormat::Safetensors,
    };
    let model = predict::load(&args.model.model, &args.device.select()?)?;
    let out =
        args.out.unwrap_or_else(|| format!("{}-{}", model.folder().manifest.name, format.name()).into());
    let precision = if args.half { Precision::Half } else { Precision::Full };
    model.export(&out, format, precision)?;
    print(&out.join(format.file_name()).display().to_string())
}
