use super::{DeviceArgs, Format, ModelArg, check_new, print, print_json, show_error};
use crate::artifact::ModelFolder;
use crate::config::{DataFormat, IoMode};
use crate::data::readings::{Reading, Readings};
use crate::data::sub_words::SubWordReader;
use crate::data::{
    self, InputSchema, SampleInput, Stroke, TargetSchema, Vocabulary, attributes, audio, pairs, series,
    strokes::FRAME, ts, words::WordReader,
};
use crate::error::{Error, Result, one_line};
use crate::file::write_whole;
use crate::model::{Sampling, Search};
use crate::plot::{Panel, drawings_svg};
use crate::predict::{self, Answer, Drawn, Predictor, RawInput, Written};
use crate::train::tell;
use clap::Args;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

/// Drawings in one figure: more cannot be looked at.
const MOST_PANELS: usize = 100;

/// Bytes of a line of stdin, 16 MiB.
const MOST_OF_LINE: u64 = 16 << 20;

/// What tokens are not drawn with.
const SEARCHES: [&str; 4] = ["input", "beam", "n_best", "length_penalty"];

#[derive(Debug, Args)]
pub struct PredictArgs {
    #[command(flatten)]
    model: ModelArg,
    /// A file of the model's own kind (of texts and attributes: one a line), a folder of such files, or one sequence as it
    /// would stand in one; of a model of sound a .wav file, a folder of them or a .tar.gz; of a model that draws a .png
    /// file too; `-`: one a line from stdin; of a stream a line before the first reading may name the columns
    #[arg(
        allow_hyphen_values = true,
        required_unless_present = "input",
        conflicts_with = "input",
        value_name = "INPUT"
    )]
    text: Option<String>,
    /// Raw tensors instead: a safetensors file with x ([B, T, D] f32, or [B, T] i64 tokens), and lengths, h0, c0
    #[arg(long, requires = "output", value_name = "FILE")]
    input: Option<PathBuf>,
    /// Where y, h_n and c_n go; an existing file is not overwritten
    #[arg(long, requires = "input", value_name = "FILE")]
    output: Option<PathBuf>,
    /// Of `-`: tell a line that is wrong or lacks a value on stderr, with its number, and go on with the next one; in a
    /// stream the reading a season before, or the last one, stands in for it
    #[arg(long, conflicts_with = "input")]
    follow: bool,
    /// Steps that a one-to-many or encoder-decoder model writes at most [default: as configured]
    #[arg(long)]
    steps: Option<usize>,
    /// Hypotheses that the search for a text or a drawing holds; 1: the most probable token at each step [default: 5]
    #[arg(long, value_name = "WIDTH", conflicts_with = "input")]
    beam: Option<usize>,
    /// Texts or drawings given of each input
    #[arg(long, value_name = "N", conflicts_with = "input")]
    n_best: Option<usize>,
    /// How much longer texts and drawings are favoured by the search (Wu et al. 2016) [default: 1]
    #[arg(long, value_name = "ALPHA", conflicts_with = "input", allow_negative_numbers = true)]
    length_penalty: Option<f64>,
    /// Draw tokens instead of searching for the most probable ones: what the logits are divided by; 0: always the most
    /// probable token [default: 1, where another option of drawing is given]
    #[arg(long, conflicts_with_all = SEARCHES, allow_negative_numbers = true)]
    temperature: Option<f64>,
    /// Draw from so many of the most probable tokens
    #[arg(long, conflicts_with_all = SEARCHES, allow_negative_numbers = true)]
    top_k: Option<usize>,
    /// Draw from the fewest most probable tokens that make up this probability
    #[arg(long, conflicts_with_all = SEARCHES, allow_negative_numbers = true)]
    top_p: Option<f64>,
    /// Seeds the draws: the same seed gives the same text, on every backend [default: 0, where another option of drawing is
    /// given]
    #[arg(long, conflicts_with_all = SEARCHES, allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Draw which of the input's tokens were looked at for each token of the text: an SVG file, not there yet
    #[arg(long, value_name = "FILE.svg", conflicts_with = "input")]
    attention: Option<PathBuf>,
    /// Draw the strokes that a model makes of pictures over them, of each the best: an SVG file, not there yet
    #[arg(long, value_name = "FILE.svg", conflicts_with = "input")]
    svg: Option<PathBuf>,
    /// How answers are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: PredictArgs) -> Result<()> {
    args.attention.as_deref().map_or(Ok(()), check_new)?;
    args.svg.as_deref().map_or(Ok(()), check_new)?;
    let model = predict::load(&args.model.model, &args.device.select()?)?;
    if let (Some(input), Some(output)) = (&args.input, &args.output) {
        check_new(output)?;
        let said = model.run(&RawInput::read(input)?, args.steps).map_err(|e| match e {
            Error::Input(message) => Error::file(input, message),
            other => other,
        })?;
        return write_whole(output, &said.to_safetensors());
    }
    let sub_words = match &model.folder().schema.input {
        InputSchema::Text(text) => Some(text.reader()?),
        _ => None,
    };
    let asked = Asked { model: &*model, sub_words: &sub_words };
    let search = args.search();
    let folder = model.folder();
    let draws = matches!(folder.schema.target, TargetSchema::Drawing(_));
    let reads_words = matches!(folder.schema.input, InputSchema::Text(_) | InputSchema::Words { .. });
    if args.attention.is_some() && !(reads_words && folder.config.model.attention.is_some()) {
        return Err(Error::Input(
            "--attention draws what attention looked at: only an encoder-decoder model of texts with \
             `model.attention` has some to draw"
                .into(),
        ));
    }
    if let Some(search) = &search {
        if !folder.config.model.writes_tokens() {
            return Err(Error::Input(
                "only an encoder-decoder, or a one-to-many model that writes tokens, searches for them or draws \
                 them: leave out --beam, --n-best, --length-penalty, --temperature, --top-k, --top-p and --seed"
                    .into(),
            ));
        }
        search.check()?;
    }
    let ask = |inputs: &[SampleInput]| match &search {
        Some(search) if draws => {
            Ok(model.draw(inputs, search, args.steps)?.into_iter().map(Answer::Drawings).collect())
        }
        Some(search) => Ok(model.write(inputs, search, args.steps)?.into_iter().map(Answer::Texts).collect()),
        None => model.predict(inputs, args.steps),
    };
    let ask = |inputs: &[SampleInput]| {
        let answers: Vec<Answer> = ask(inputs)?;
        let cut = |answer: &&Answer| match answer {
            Answer::Texts(texts) => texts.iter().any(|text| !text.finished),
            Answer::Drawings(drawings) => drawings.iter().any(|drawing| !drawing.finished),
            _ => false,
        };
        match answers.iter().filter(cut).count() {
            0 => {}
            n => tell(format!("note: {n} answer(s) were cut off before their end: raise --steps")),
        }
        Ok(answers)
    };
    let text = args.text.clone().unwrap_or_default();
    if args.attention.is_some() && (text == "-" || Path::new(&text).is_dir()) {
        return Err(Error::Input("--attention draws one text: give one input, not a folder or stdin".into()));
    }
    if args.svg.is_some() && !draws {
        return Err(Error::Input("--svg draws strokes: only a model of `strokes` data makes some".into()));
    }
    if args.svg.is_some() && (text == "-" || Path::new(&text).is_dir()) {
        return Err(Error::Input(
            "--svg draws one picture or those of a file: give no folder or stdin".into(),
        ));
    }
    let show = |answer: &Answer, words: &[String], alone: bool| match args.format {
        Format::Json => print_json(&json(answer, words, folder)),
        Format::Text if alone => print(&plain(answer, words)),
        Format::Text => print(&one_of_several(answer, words)),
    };
    if args.follow && text != "-" {
        return Err(Error::Input("--follow reads lines as they come: give - as the input".into()));
    }
    if text == "-" {
        return answer_lines(asked, ask, args.follow, |answer, words| show(answer, words, false));
    }
    let sound = folder.config.data.format == DataFormat::Wav;
    if sound && audio::is_collection(Path::new(&text)) {
        return answer_clips(&*model, Path::new(&text), args.format);
    }
    if Path::new(&text).is_dir() {
        return answer_files(asked, Path::new(&text), ask, args.format);
    }
    let inputs = if sound || Path::new(&text).is_file() {
        read_file(asked, Path::new(&text))?
    } else {
        let no_file = |e| Error::Input(format!("{e} (and there is no file of that name)"));
        vec![parse(asked, &text).map_err(no_file)?]
    };
    if args.attention.is_some() && inputs.len() != 1 {
        return Err(Error::Input("--attention draws one text: give one input".into()));
    }
    let (inputs, words): (Vec<_>, Vec<_>) = inputs.into_iter().map(|p| (p.input, p.words)).unzip();
    let answers = ask(&inputs)?;
    for (answer, words) in answers.iter().zip(&words) {
        show(answer, words, answers.len() == 1)?;
    }
    if let (Some(path), [Answer::Texts(texts)], [words]) =
        (&args.attention, answers.as_slice(), words.as_slice())
    {
        let title = format!("{}: {}", folder.manifest.name, texts[0].text);
        write_whole(path, texts[0].alignment_svg(&title, words)?.as_bytes())?;
    }
    if let Some(path) = &args.svg {
        let drawn = inputs.iter().zip(&answers).filter_map(|pair| match pair {
            (SampleInput::Features(picture), Answer::Drawings(drawings)) => {
                Some(Panel { picture: &picture.data, strokes: &drawings.first()?.strokes })
            }
            _ => None,
        });
        let panels: Vec<Panel> = drawn.take(MOST_PANELS).collect();
        let svg = drawings_svg(&folder.manifest.name, FRAME as f64, &panels);
        write_whole(path, svg.as_bytes())?;
    }
    Ok(())
}

impl PredictArgs {
    /// How texts are searched for, or drawn, where anything of it is asked for.
    fn search(&self) -> Option<Search> {
        let &Self { temperature, top_k, top_p, seed, .. } = self;
        if temperature.is_some() || top_k.is_some() || top_p.is_some() || seed.is_some() {
            let usual = Sampling::default();
            return Some(Search::Sample(Sampling {
                temperature: temperature.unwrap_or(usual.temperature),
                top_k,
                top_p: top_p.unwrap_or(usual.top_p),
                seed: seed.unwrap_or(usual.seed),
            }));
        }
        let asked = self.beam.is_some()
            || self.n_best.is_some()
            || self.length_penalty.is_some()
            || self.attention.is_some();
        let n_best = self.n_best.unwrap_or(1);
        asked.then(|| Search::Beam {
            width: self.beam.unwrap_or(n_best.max(5)),
            length_penalty: self.length_penalty.unwrap_or(1.0),
            n_best,
        })
    }
}

/// A model, and what reads its texts, which takes long to make.
#[derive(Clone, Copy)]
struct Asked<'a> {
    model: &'a dyn Predictor,
    sub_words: &'a Option<SubWordReader>,
}

/// A sequence, and its words where it has some.
struct Parsed {
    input: SampleInput,
    words: Vec<String>,
}

impl From<SampleInput> for Parsed {
    fn from(input: SampleInput) -> Self {
        Self { input, words: Vec::new() }
    }
}

/// Answers each line of stdin.
fn answer_lines(
    asked: Asked,
    ask: impl Fn(&[SampleInput]) -> Result<Vec<Answer>>,
    follow: bool,
    show: impl Fn(&Answer, &[String]) -> Result<()>,
) -> Result<()> {
    let folder = asked.model.folder();
    // A one-to-one model reads a stream: a line is a reading, the state goes from line to line.
    let streams = folder.config.model.mode == IoMode::OneToOne;
    let mut stream = streams.then(|| asked.model.stream()).transpose()?;
    let of_values = matches!(folder.schema.input, InputSchema::Features { .. });
    let mut readings = (streams && of_values).then(|| Readings::new(&folder.schema.input));
    let draws = matches!(folder.schema.target, TargetSchema::Drawing(_));
    let sound = folder.config.data.format == DataFormat::Wav;
    let mut stdin = std::io::stdin().lock();
    let mut too_long = false;
    for n in 1.. {
        // What is left of a line that was too long is passed over.
        let passed = if too_long { stdin.skip_until(b'\n') } else { Ok(0) };
        let mut bytes = Vec::new();
        let read = passed.and_then(|_| stdin.by_ref().take(MOST_OF_LINE + 1).read_until(b'\n', &mut bytes));
        // Where reading itself fails there is no next line.
        let n_read = read.map_err(|e| Error::line("stdin", n, format!("cannot be read ({e})")))?;
        if n_read == 0 {
            break;
        }
        if bytes.ends_with(b"\n") {
            bytes.pop();
            if bytes.ends_with(b"\r") {
                bytes.pop();
            }
        }
        too_long = bytes.len() as u64 > MOST_OF_LINE;
        let is_clip = sound && n == 1 && bytes.starts_with(b"RIFF");
        let line = if too_long {
            Err(Error::Input("the line is longer than 16 MiB: give one input a line".into()))
        } else {
            let not_text = |e| Error::Input(format!("cannot be read ({e}): give UTF-8 text"));
            String::from_utf8(bytes).map_err(not_text)
        };
        if is_clip && !line.as_ref().is_ok_and(|line| Path::new(line).is_file()) {
            let message = "paths are read from stdin, one a line, and this is a clip itself: give its path";
            return Err(Error::line("stdin", n, message));
        }
        if draws && line.as_ref().is_ok_and(|line| line.trim().is_empty()) {
            continue;
        }
        if let (Some(readings), Ok(line)) = (&mut readings, &line)
            && readings.header(line).map_err(|e| Error::line("stdin", n, e.to_string()))?
        {
            continue;
        }
        let (missing, parsed, is_row) = match &mut readings {
            Some(readings) => {
                let Reading { missing, values, is_row } = readings.read(line);
                (missing, values.map(|values| Parsed::from(SampleInput::Features(values))), is_row)
            }
            None => (0, line.and_then(|line| parse(asked, &line)), true),
        };
        if missing > 0 {
            tell(format!("note: stdin:{n}: {missing} row(s) missing before this one"));
        }
        if let Some(stream) = &mut stream {
            stream.skip(missing);
        }
        let answer = parsed.and_then(|Parsed { input, words }| {
            let answer = match &mut stream {
                Some(stream) => stream.step(&input)?,
                None => ask(&[input])?.remove(0),
            };
            Ok((answer, words))
        });
        match answer.map_err(|e| Error::line("stdin", n, e.to_string())) {
            Ok((answer, words)) => show(&answer, &words)?,
            Err(e) if follow => {
                show_error(&e);
                if let Some(stream) = &mut stream {
                    stream.skip(usize::from(is_row));
                }
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Answers each clip of a folder or an archive, after its name.
fn answer_clips(model: &dyn Predictor, path: &Path, format: Format) -> Result<()> {
    let folder = model.folder();
    let clips = audio::read_clips(path, &folder.config.data, &folder.schema.input)?;
    let (names, inputs): (Vec<_>, Vec<_>) =
        clips.into_iter().map(|(name, clip)| (name, SampleInput::Features(clip))).unzip();
    let answers = model.predict(&inputs, None)?;
    names.iter().zip(&answers).try_for_each(|(name, answer)| show_of(name, answer, &[], folder, format))
}

/// Answers the sequences of each file of a folder, in the order of their names, each after its file's.
fn answer_files(
    asked: Asked,
    folder: &Path,
    ask: impl Fn(&[SampleInput]) -> Result<Vec<Answer>>,
    format: Format,
) -> Result<()> {
    let io = |e| Error::io(folder, e);
    let entries = std::fs::read_dir(folder).map_err(io)?;
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<_>>().map_err(io)?;
    files.retain(|path| path.is_file());
    files.sort();
    if files.is_empty() {
        return Err(Error::file(folder, "has no file: name a folder of files of the model's own kind"));
    }
    for file in files {
        let parsed = read_file(asked, &file)?;
        let inputs: Vec<SampleInput> = parsed.iter().map(|p| p.input.clone()).collect();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        for (answer, Parsed { words, .. }) in ask(&inputs)?.iter().zip(&parsed) {
            show_of(&name, answer, words, asked.model.folder(), format)?;
        }
    }
    Ok(())
}

/// Prints an answer after the name of its file.
fn show_of(name: &str, answer: &Answer, words: &[String], model: &ModelFolder, format: Format) -> Result<()> {
    match format {
        Format::Json => {
            let mut answer = json(answer, words, model);
            answer["file"] = name.into();
            print_json(&answer)
        }
        Format::Text => print(&named(name, &one_of_several(answer, words))),
    }
}

/// A text with a name before each of its lines; blank ones part answers, and stay blank but for the first.
fn named(name: &str, text: &str) -> String {
    let name = one_line(name);
    let line = |(k, line): (usize, &str)| match line {
        "" if k > 0 => String::new(),
        line => format!("{name}\t{line}"),
    };
    text.split('\n').enumerate().map(line).collect::<Vec<_>>().join("\n")
}

/// One sequence as it would stand in a file of the model's kind; of a clip of sound or a picture the path of its file.
fn parse(Asked { model, sub_words }: Asked, line: &str) -> Result<Parsed> {
    let folder = model.folder();
    if let TargetSchema::Drawing(grid) = &folder.schema.target {
        // A drawing's line is an object; what is none is the path of a picture.
        let object = line.trim_start().starts_with('{');
        let picture = if object { grid.parse(line) } else { grid.read(Path::new(line)) };
        return Ok(picture?.into());
    }
    match &folder.schema.input {
        InputSchema::Tokens { vocabulary } => {
            Ok(SampleInput::Tokens(Vocabulary::try_from(vocabulary.clone())?.encode(line)?.into()).into())
        }
        InputSchema::Text(text) => {
            let steps = folder.config.data.steps.unwrap_or(pairs::DEFAULT_STEPS);
            let reader = sub_words.as_ref().expect("made for a model of texts");
            let tokens = reader.encode(line, steps);
            // Its end alone.
            if tokens.len() == 1 {
                return Err(Error::Input("the input has no step: give it at least one word".into()));
            }
            let words = tokens.iter().map(|&token| text.pieces[token as usize].clone()).collect();
            Ok(Parsed { input: SampleInput::Tokens(tokens.into()), words })
        }
        schema @ InputSchema::Words { .. } => {
            let reader = WordReader::new(schema)?;
            let words = reader.split(line);
            let input = reader.encode(&words);
            Ok(Parsed { input, words: words.into_iter().map(String::from).collect() })
        }
        schema @ InputSchema::Attributes { .. } => Ok(attributes::parse(line, schema)?.into()),
        schema if folder.config.data.format == DataFormat::Wav => {
            Ok(SampleInput::Features(audio::read_clip(Path::new(line), &folder.config.data, schema)?).into())
        }
        schema => {
            let row = matches!(folder.config.model.mode, IoMode::OneToOne | IoMode::OneToMany);
            let features = if row { series::parse_row(line, schema) } else { ts::parse_case(line, schema) };
            Ok(SampleInput::Features(features?).into())
        }
    }
}

/// Whether a file's name says that it is a picture, but no PNG.
fn is_picture(path: &Path) -> bool {
    let end = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    ["jpg", "jpeg", "gif", "bmp", "webp", "tif", "tiff"].contains(&end.as_str())
}

/// The sequences of a file of the model's kind.
fn read_file(asked: Asked, path: &Path) -> Result<Vec<Parsed>> {
    let folder = asked.model.folder();
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
            Ok(samples.iter().map(|sample| sample.input.clone().into()).collect())
        }
        DataFormat::Csv => {
            Ok(vec![SampleInput::Features(series::read_inputs(path, &folder.schema.input)?).into()])
        }
        DataFormat::Wav => Ok(vec![
            SampleInput::Features(audio::read_clip(path, &config.data, &folder.schema.input)?).into(),
        ]),
        DataFormat::Strokes if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("png")) => {
            Ok(vec![parse(asked, &path.to_string_lossy())?])
        }
        DataFormat::Strokes if is_picture(path) => {
            Err(Error::file(path, "is a picture of another kind: write it as PNG"))
        }
        format => {
            let text = data::read_text(path)?;
            // As in training.
            let skipped = |line: &str| format == DataFormat::Strokes && line.trim().is_empty();
            let lines = text.lines().enumerate().filter(|(_, line)| !skipped(line));
            lines
                .map(|(k, line)| {
                    let parsed = parse(asked, line).and_then(|parsed| {
                        folder.schema.check_input(config.model.mode, &parsed.input)?;
                        Ok(parsed)
                    });
                    parsed.map_err(|e| Error::line(path, k + 1, e.to_string()))
                })
                .collect()
        }
    }
}

/// As text; of words, each with its label on a line of its own, and a blank line at the end, as in a tagged file.
fn plain(answer: &Answer, words: &[String]) -> String {
    match answer {
        Answer::Labels(steps) if !words.is_empty() => {
            let line = |(word, (label, _)): (&String, &(String, f64))| {
                format!("{}\t{}\n", one_line(word), one_line(label))
            };
            words.iter().zip(steps).map(line).collect()
        }
        Answer::Class(classes) => {
            let line =
                |(label, probability): &(String, f64)| format!("{}\t{probability:.4}", one_line(label));
            classes.first().map_or_else(String::new, line)
        }
        Answer::Labels(_) => answer.label().unwrap_or_default(),
        Answer::Texts(texts) if texts.len() == 1 => texts[0].text.clone(),
        Answer::Texts(texts) => {
            texts.iter().map(|t| format!("{:.4}\t{}", t.normalized, t.text)).collect::<Vec<_>>().join("\n")
        }
        Answer::Drawings(drawings) => {
            // A stroke a line; a blank line between drawings.
            let point = |[x, y]: &[f32; 2]| format!("{x:.1},{y:.1}");
            let stroke = |stroke: &Stroke| stroke.iter().map(point).collect::<Vec<_>>().join(" ");
            let drawing = |drawn: &Drawn| drawn.strokes.iter().map(stroke).collect::<Vec<_>>().join("\n");
            drawings.iter().map(drawing).collect::<Vec<_>>().join("\n\n")
        }
        Answer::Values(values) => {
            let row = |row: &[f32]| row.iter().map(f32::to_string).collect::<Vec<_>>().join(",");
            values.data.chunks(values.channels).map(row).collect::<Vec<_>>().join("\n")
        }
        Answer::Tasks(tasks) => {
            let task = |(name, answer): &(String, Answer)| match answer {
                Answer::Labels(_) => plain(answer, words),
                _ => format!("{name}\t{}", plain(answer, words)),
            };
            tasks.iter().map(task).collect::<Vec<_>>().join("\n")
        }
    }
}

/// As text, where other answers follow: after a drawing, which has a line a stroke, a blank one.
fn one_of_several(answer: &Answer, words: &[String]) -> String {
    let mut text = plain(answer, words);
    if matches!(answer, Answer::Drawings(_)) {
        text.push('\n');
    }
    text
}

/// The best of what a search found, and all of it where there is more.
fn best_of(hypotheses: Vec<serde_json::Value>) -> serde_json::Value {
    let mut best = hypotheses.first().cloned().unwrap_or_else(|| serde_json::json!({}));
    if hypotheses.len() > 1 {
        best["hypotheses"] = hypotheses.into();
    }
    best
}

fn json(answer: &Answer, words: &[String], model: &ModelFolder) -> serde_json::Value {
    let steps = |steps: &[(String, f64)]| -> Vec<_> {
        steps.iter().map(|(label, p)| serde_json::json!({"label": label, "probability": p})).collect()
    };
    match answer {
        Answer::Class(classes) => {
            let (label, probability) = &classes[0];
            serde_json::json!({"label": label, "probability": probability, "classes": steps(classes)})
        }
        Answer::Labels(labels) if !words.is_empty() => {
            let step = |(word, (label, p)): (&String, &(String, f64))| serde_json::json!({"word": word, "label": label, "probability": p});
            serde_json::json!({"steps": words.iter().zip(labels).map(step).collect::<Vec<_>>()})
        }
        Answer::Texts(texts) => {
            let text = |t: &Written| serde_json::json!({"text": t.text, "log_probability": t.score, "score": t.normalized, "finished": t.finished});
            best_of(texts.iter().map(text).collect())
        }
        Answer::Drawings(drawings) => {
            let drawing = |d: &Drawn| serde_json::json!({"strokes": d.strokes, "log_probability": d.score, "score": d.normalized, "finished": d.finished});
            best_of(drawings.iter().map(drawing).collect())
        }
        Answer::Labels(labels) => serde_json::json!({"text": answer.label(), "steps": steps(labels)}),
        Answer::Tasks(tasks) => {
            tasks.iter().map(|(name, answer)| (name.clone(), json(answer, words, model))).collect()
        }
        Answer::Values(values) => {
            let columns = series::target_columns(&model.config.data, &model.schema.target);
            // Of a trajectory a step has several rows.
            let step = |step: &[f32]| match columns.len() {
                n if n > 0 && model.config.data.trajectory => {
                    serde_json::json!(step.chunks(n).collect::<Vec<_>>())
                }
                _ => serde_json::json!(step),
            };
            let steps: Vec<_> = values.data.chunks(values.channels).map(step).collect();
            let mut said = serde_json::json!({"values": steps});
            if !columns.is_empty() {
                said["columns"] = columns.into();
            }
            said
        }
    }
}
