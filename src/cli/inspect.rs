use super::{DeviceArgs, Format, ModelArg, check_new, print, print_json, table};
use crate::error::Result;
use crate::file::write_whole;
use crate::predict::{self, Surprise};
use clap::Args;
use std::path::PathBuf;

/// Units that are drawn where none are named.
const UNITS: usize = 20;

#[derive(Debug, Args)]
pub struct InspectArgs {
    #[command(flatten)]
    model: ModelArg,
    /// What the model reads, at the start of a line
    #[arg(long, allow_hyphen_values = true)]
    text: String,
    /// Where the heat map goes, an SVG file; an existing file is not overwritten
    #[arg(long, value_name = "FILE.svg", default_value = "inspect.svg")]
    output: PathBuf,
    /// Hidden units, from 0, as in 3,17 [default: the 20 that vary most over the text]
    #[arg(long, value_delimiter = ',')]
    units: Vec<usize>,
    /// Whose units: a layer, from 0 [default: the last]
    #[arg(long)]
    layer: Option<usize>,
    /// How many of the most surprising tokens are told and marked
    #[arg(long, default_value_t = 10)]
    top: usize,
    /// How they are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: InspectArgs) -> Result<()> {
    check_new(&args.output)?;
    let model = predict::load(&args.model.model, &args.device.select()?)?;
    let seen = model.inspect(&args.text, args.layer)?;
    let units = if args.units.is_empty() { seen.liveliest(UNITS) } else { args.units };
    write_whole(&args.output, seen.svg(&units, args.top)?.as_bytes())?;
    let surprises = seen.most_surprising(args.top);
    if args.format == Format::Json {
        return print_json(&serde_json::json!({
            "svg": args.output,
            "layer": seen.layer,
            "units": units,
            "tokens": seen.tokens.len(),
            "mean_bits": seen.mean_bits(),
            "surprises": surprises,
        }));
    }
    let mut rows = vec![
        ["position", "token", "probability", "bits", "expected", "probability"].map(String::from).to_vec(),
    ];
    let row = |s: &Surprise| {
        let quoted = |token: &str| format!("{token:?}");
        vec![
            s.position.to_string(),
            quoted(&s.token),
            format!("{:.4}", s.probability),
            format!("{:.2}", s.bits),
            quoted(&s.expected),
            format!("{:.4}", s.expected_probability),
        ]
    };
    rows.extend(surprises.into_iter().map(row));
    print(&table(&rows))?;
    if let Some(bits) = seen.mean_bits() {
        print(&format!("mean of {} tokens: {bits:.3} bits", seen.surprises.len()))?;
    }
    print(&args.output.display().to_string())
}
