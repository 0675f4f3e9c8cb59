use super::{Format, check_new, print, print_json};
use crate::error::Result;
use crate::file::write_whole;
use crate::report::{RunSummary, page};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Run folders, as in runs/speaker; those that are not finished are shown as far as they are. Model folders will do
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// The page: an HTML file, not there yet, that needs no other file and no network
    #[arg(long, default_value = "report.html")]
    out: PathBuf,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(args: ReportArgs) -> Result<()> {
    check_new(&args.out)?;
    let runs: Vec<RunSummary> =
        args.runs.iter().map(|folder| RunSummary::read(folder)).collect::<Result<_>>()?;
    write_whole(&args.out, page(&runs).as_bytes())?;
    let unfinished = runs.iter().filter(|run| run.finished.is_none()).count();
    match args.format {
        Format::Json => print_json(&serde_json::json!({
            "report": args.out,
            "runs": runs.iter().map(|run| run.name.as_str()).collect::<Vec<_>>(),
            "unfinished": unfinished,
        })),
        Format::Text => {
            let rest = if unfinished > 0 { format!(", {unfinished} not finished") } else { String::new() };
            print(&format!("{}: {} run(s){rest}", args.out.display(), runs.len()))
        }
    }
}
