use super::ModelArg;
use crate::artifact;
use crate::error::Result;
use clap::Args;

#[derive(Debug, Args)]
pub struct SealArgs {
    #[command(flatten)]
    model: ModelArg,
}

pub fn run(args: SealArgs) -> Result<()> {
    artifact::seal(&args.model.model)
}
