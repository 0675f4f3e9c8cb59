use super::{DeviceArgs, Format, ModelArg, print, print_json};
use crate::config::{DataFormat, IoMode};
use crate::data::{self, InputSchema, SampleInput, Vocabulary, series, ts};
use crate::error::{Error, Result};
use crate::file::{read_utf8, write_whole};
use crate::predict::{self, Answer, Predictor, RawInput};
use clap::Args;
use std::io::BufRead;
use std::path::{Path, PathBuf};

/// Bytes of the largest file of lines.
const MAX_FILE: u64 = 1 << 30;

#[derive(Debug, Args)]
pub struct PredictArgs {
    #[command(flatten)]
    model: ModelArg,
    /// A file of the model's own kind, or one sequence as it would stand in it; `-`: one a line from stdin
    #[arg(required_unless_present = "input", conflicts_with = "input", value_name = "INPUT")]
    text: Option<String>,
    /// Raw tensors instead: a safetensors file with x ([B, T, D] f32, or [B, T] i64 tokens), and lengths, h0, c0
    #[arg(long, requires = "output", value_name = "FILE")]
    input: Option<PathBuf>,
    /// Where y, h_n and c_n go; an existing file is not overwritten
    #[arg(long, requires = "input", value_name = "FILE")]
    output: Option<PathBuf>,
    /// Steps that a one-to-many or encoder-decoder model writes at most [default: as configured]
    #[arg(long)]
    steps: Option<usize>,
    /// How answers are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: PredictArgs) -> Result<()> {
    let model = predict::load(&args.model.model, &args.device.select()?)?;
    if let (Some(input), Some(output)) = (&args.input, &args.output) {
        if output.exists() {
            return Err(Error::file(output, "exists already, and nothing is overwritten: name another file"));
        }
        let said = model.run(&RawInput::read(input)?, args.steps)?;
        return write_whole(output, &said.to_safetensors());
    }
    let text = args.text.unwrap_or_default();
    let folder = model.folder();
    let show = |answer: &Answer| match args.format {
        Format::Json => print_json(&json(answer)),
        Format::Text => print(&plain(answer)),
    };
    if text == "-" {
        // A one-to-one model reads a stream: a line is a reading, the state goes from line to line.
        let mut stream =
            (folder.config.model.mode == IoMode::OneToOne).then(|| model.stream()).transpose()?;
        for (k, line) in std::io::stdin().lock().lines().enumerate() {
            let at = |message: String| Error::line("stdin", k + 1, message);
            let line = line.map_err(|e| at(format!("cannot be read ({e}): give UTF-8 text")))?;
            let input = parse(&*model, &line).map_err(|e| at(e.to_string()))?;
            let answer = match &mut stream {
                Some(stream) => stream.step(&input),
                None => model.predict(&[input], args.steps).map(|mut answers| answers.remove(0)),
            };
            show(&answer.map_err(|e| at(e.to_string()))?)?;
        }
        return Ok(());
    }
    let inputs = if Path::new(&text).is_file() {
        read_file(&*model, Path::new(&text))?
    } else {
        let no_file = |e| Error::Input(format!("{e} (and there is no file of that name)"));
        vec![parse(&*model, &text).map_err(no_file)?]
    };
    for answer in model.predict(&inputs, args.steps)? {
        show(&answer)?;
    }
    Ok(())
}

/// One sequence as it would stand in a file of the model's kind.
fn parse(model: &dyn Predictor, line: &str) -> Result<SampleInput> {
    let folder = model.folder();
    match &folder.schema.input {
        InputSchema::Tokens { vocabulary } => {
            Ok(SampleInput::Tokens(Vocabulary::try_from(vocabulary.clone())?.encode(line)?))
        }
        schema => {
            let row = matches!(folder.config.model.mode, IoMode::OneToOne | IoMode::OneToMany);
            let features = if row { series::parse_row(line, schema) } else { ts::parse_case(line, schema) };
            Ok(SampleInput::Features(features?))
        }
    }
}

/// The sequences of a file of the model's kind.
fn read_file(model: &dyn Predictor, path: &Path) -> Result<Vec<SampleInput>> {
    let folder = model.folder();
    let config = &folder.config;
    match config.data.format {
        DataFormat::Ts => {
            let samples = data::load_split(
                &config.data,
                config.model.mode,
                &folder.schema,
                Some(path),
                folder.manifest.seed,
            )?;
            Ok(samples.into_iter().map(|sample| sample.input).collect())
        }
        DataFormat::Csv => Ok(vec![SampleInput::Features(series::read_inputs(path, &folder.schema.input)?)]),
        _ => {
            let text = read_utf8(path, MAX_FILE)?;
            let lines = text.lines().enumerate();
            lines
                .map(|(k, line)| parse(model, line).map_err(|e| Error::line(path, k + 1, e.to_string())))
                .collect()
        }
    }
}

fn plain(answer: &Answer) -> String {
    match answer {
        Answer::Class(classes) => {
            classes.first().map_or(String::new(), |(label, probability)| format!("{label}\t{probability:.4}"))
        }
        Answer::Labels(_) => answer.label().unwrap_or_default(),
        Answer::Values(values) => {
            let row = |row: &[f32]| row.iter().map(f32::to_string).collect::<Vec<_>>().join(",");
            values.data.chunks(values.channels).map(row).collect::<Vec<_>>().join("\n")
        }
    }
}

fn json(answer: &Answer) -> serde_json::Value {
    let steps = |steps: &[(String, f64)]| -> Vec<_> {
        steps.iter().map(|(label, p)| serde_json::json!({"label": label, "probability": p})).collect()
    };
    match answer {
        Answer::Class(classes) => {
            let (label, probability) = &classes[0];
            serde_json::json!({"label": label, "probability": probability, "classes": steps(classes)})
        }
        Answer::Labels(labels) => serde_json::json!({"text": answer.label(), "steps": steps(labels)}),
        Answer::Values(values) => {
            serde_json::json!({"values": values.data.chunks(values.channels).collect::<Vec<_>>()})
        }
    }
}
