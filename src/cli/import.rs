use super::{DeviceArgs, print};
use crate::config::Config;
use crate::error::{Result, one_line};
use crate::train::tell;
use crate::{artifact, data, pytorch};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// A safetensors file: the state_dict of torch.nn modules
    file: PathBuf,
    /// What they are: a configuration, as for train; sizes that it leaves out are those of the tensors
    #[arg(long)]
    config: PathBuf,
    /// The new model folder
    #[arg(long)]
    out: PathBuf,
    /// What names do not tell: a tensor or module of the file, and a weight of the model or a part of it, as in
    /// fc3=head; nothing after the sign leaves it out; may be repeated
    #[arg(long, value_name = "OLD=NEW", value_parser = pair)]
    map: Vec<(String, String)>,
    /// Labels, tokens and scales in PyTorch's order: a schema.json, or a model folder that has one [default: those of
    /// the configuration's data; of `program` data numbers]
    #[arg(long)]
    schema: Option<PathBuf>,
    /// Set a key of the configuration, as in model.n_layers=2; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    device: DeviceArgs,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (old, new) = text.split_once('=').ok_or("write OLD=NEW, as in fc3=head, or OLD= to leave it out")?;
    Ok((old.into(), new.into()))
}

pub fn run(args: ImportArgs) -> Result<()> {
    let config = Config::from_file(&args.config, &args.set)?;
    let schema = args.schema.map(|path| artifact::read_schema(&path)).transpose()?;
    let device = args.device.select()?;
    let imported = pytorch::import(&args.file, &config, schema, &args.map, &device, &args.out)?;
    if !imported.rounded.is_empty() {
        tell(format!(
            "note: rounded from 64 to 32 bits: {}",
            data::list(imported.rounded.iter().map(|name| one_line(name)))
        ));
    }
    print(&format!("model: {} ({} parameters)", args.out.display(), imported.folder.manifest.parameters))
}
