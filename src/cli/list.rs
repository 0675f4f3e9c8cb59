use super::{Format, print, print_json, table};
use crate::artifact;
use crate::error::{Error, Result};
use crate::train::{Score, tell};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct ListArgs {
    /// The folder of model folders
    #[arg(long, default_value = "models")]
    models: PathBuf,
    /// How the models are printed; json: the main score of each, of several tasks that of the first
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(args: ListArgs) -> Result<()> {
    let io = |e| Error::io(&args.models, e);
    let mut folders: Vec<PathBuf> = std::fs::read_dir(&args.models)
        .map_err(io)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(io)?;
    folders.retain(|folder| folder.join("manifest.json").is_file());
    folders.sort();
    if folders.is_empty() {
        return Err(Error::file(
            &args.models,
            "has no model folder: name the folder of the zoo with --models",
        ));
    }
    let mut rows = vec![["model", "score", "parameters", "what"].map(String::from).to_vec()];
    // One that cannot be read does not hide the others.
    let mut refused = Vec::new();
    for folder in folders {
        let model = match artifact::open(&folder) {
            Ok((_, model)) => model,
            Err(error) => {
                refused.push(error);
                continue;
            }
        };
        let main = Score::main(&model.config, &model.scores);
        if args.format == Format::Json {
            main.first().map_or(Ok(()), print_json)?;
            continue;
        }
        let told: Vec<String> = main.iter().map(|s| format!("{} {:.4}", s.metric, s.value)).collect();
        let score = main.first().map_or(String::new(), |s| format!("{} {}", s.split, told.join(", ")));
        rows.push(vec![
            model.manifest.name,
            score,
            model.manifest.parameters.to_string(),
            model.config.description,
        ]);
    }
    if args.format == Format::Text && rows.len() > 1 {
        print(&table(&rows))?;
    }
    let last = refused.pop();
    refused.iter().for_each(|error| tell(format!("warning: {}", error.shown())));
    last.map_or(Ok(()), Err)
}
