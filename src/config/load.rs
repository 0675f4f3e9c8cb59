//! From a file and `--set` overrides to a [`Config`], and back to text.

use super::Config;
use crate::error::{Error, Result, one_line};
use crate::file::{line_at, read_utf8};
use serde::Deserialize;
use std::{borrow::Cow, ops::Range, path::Path};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// No configuration is this long; a file that is was named by mistake.
const MAX_BYTES: u64 = 128 << 10;
/// More than any key's parts; tables as deep as one likes would exhaust the stack.
const MAX_DEPTH: usize = 8;

impl Config {
    /// Reads the file at `path` and puts `overrides` (`train.epochs=3`, as after `--set`) on top.
    ///
    /// The right side of an override is a TOML value; what is not one is taken as a string. Later
    /// overrides win. The result has passed [`Config::check`].
    pub fn from_file(path: &Path, overrides: &[String]) -> Result<Self> {
        let text = read_utf8(path, MAX_BYTES)?;
        Self::from_toml(&text, path, overrides)
    }

    /// [`Config::from_file`] for text at hand; `path` is what errors call it.
    pub fn from_toml(text: &str, path: &Path, overrides: &[String]) -> Result<Self> {
        // A model folder's was read as any text of it.
        if text.len() as u64 > MAX_BYTES {
            let most = MAX_BYTES >> 10;
            return Err(Error::file(path, format!("is larger than {most} KiB, which no configuration is")));
        }
        let mut root = DeTable::parse(text).map_err(|error| syntax_error(&error, text, path))?;
        let overrides = overrides.iter().map(|text| Override::parse(text)).collect::<Result<Vec<_>>>()?;
        for (index, given) in overrides.iter().enumerate() {
            // A place past the end of the text: an error that stands there is this override's.
            let place = text.len() + 1 + index;
            given.merge(root.get_mut(), place..place)?;
        }
        if root.get_ref().is_empty() {
            let needs = "is empty: a configuration needs `name`, [model] with `mode`, `cell` and `d_hidden`, \
                         and [data] with `format`";
            return Err(Error::file(path, needs));
        }
        let config = Self::deserialize(toml::Deserializer::from(root)).map_err(|error| {
            let fault = Fault::of(&error);
            let start = error.span().map_or(0, |span| span.start);
            match start.checked_sub(text.len() + 1).and_then(|index| overrides.get(index)) {
                Some(given) => given.error(fault.under(given.key)),
                None => Error::line(path, line_at(text.as_bytes(), start), fault.with_its_key()),
            }
        })?;
        config.check()?;
        Ok(config)
    }

    /// The configuration as a file, defaults written out; [`Config::from_toml`] gives it back.
    ///
    /// # Panics
    ///
    /// On a path that is not UTF-8, which no file can have said.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("paths of a configuration are UTF-8")
    }
}

/// One `--set key=value`.
struct Override<'a> {
    key: &'a str,
    value: DeValue<'a>,
}

impl<'a> Override<'a> {
    fn parse(text: &'a str) -> Result<Self> {
        let how = "write it as --set train.epochs=3";
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| Error::config(one_line(&format!("--set {text}")), format!("has no `=`: {how}")))?;
        let (key, value) = (key.trim(), value.trim());
        if key.split('.').any(|part| part.trim().is_empty()) {
            return Err(Error::config(
                one_line(&format!("--set {text}")),
                format!("has an empty key: {how}"),
            ));
        }
        if key.split('.').count() > MAX_DEPTH {
            let message = format!("no key has over {MAX_DEPTH} parts: {how}");
            return Err(Error::config(
                one_line(&format!("--set {}…", key.chars().take(40).collect::<String>())),
                message,
            ));
        }
        let value = match DeValue::parse(value) {
            Ok(value) => value.into_inner(),
            // So that a shell needs no second pair of quotes: `model.cell=gru`.
            Err(_) => DeValue::String(Cow::Borrowed(value)),
        };
        Ok(Self { key, value })
    }

    /// Puts the value where the key says, making the tables on its way.
    fn merge(&self, root: &mut DeTable<'a>, place: Range<usize>) -> Result<()> {
        let mut parts: Vec<&str> = self.key.split('.').map(str::trim).collect();
        let last = parts.pop().expect("a split has one part at least");
        let mut table = root;
        for (depth, part) in parts.iter().enumerate() {
            let inner = table
                .entry(Spanned::new(place.clone(), Cow::Borrowed(*part)))
                .or_insert_with(|| Spanned::new(place.clone(), DeValue::Table(DeTable::new())));
            match inner.get_mut() {
                DeValue::Table(inner) => table = inner,
                other => {
                    let path = parts[..=depth].join(".");
                    return Err(self.error(format!("`{path}` is of type {}, not a table", other.type_str())));
                }
            }
        }
        let key = Spanned::new(place.clone(), Cow::Borrowed(last));
        table.insert(key, placed(self.value.clone(), &place));
        Ok(())
    }

    fn error(&self, message: String) -> Error {
        Error::config(one_line(&format!("--set {}", self.key)), message)
    }
}

/// `value` with every part of it at `place`.
fn placed<'a>(value: DeValue<'a>, place: &Range<usize>) -> Spanned<DeValue<'a>> {
    let value = match value {
        DeValue::Table(table) => DeValue::Table(
            table
                .into_iter()
                .map(|(key, value)| {
                    (Spanned::new(place.clone(), key.into_inner()), placed(value.into_inner(), place))
                })
                .collect(),
        ),
        DeValue::Array(array) => {
            DeValue::Array(array.into_iter().map(|value| placed(value.into_inner(), place)).collect())
        }
        plain => plain,
    };
    Spanned::new(place.clone(), value)
}

/// What serde found wrong, in a reader's words.
struct Fault {
    /// The dotted key of a value; none where the message itself names a key.
    key: Option<String>,
    message: String,
}

impl Fault {
    fn of(error: &toml::de::Error) -> Self {
        let (keys, message) = (keys(error), error.message());
        if let Some((name, accepted)) = unknown(message, "unknown field `") {
            let table = if keys.is_empty() { "at the top level".into() } else { format!("in [{keys}]") };
            let advice = match nearest(name, &accepted) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("accepted here: {}", accepted.join(", ")),
            };
            return Self { key: None, message: one_line(&format!("unknown key `{name}` {table}: {advice}")) };
        }
        if let Some(name) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
            let message = match (keys.as_str(), name) {
                ("", "model" | "data") => format!("missing table [{name}]"),
                ("", _) => format!("missing key `{name}`: write it above the first table"),
                _ => format!("missing key `{keys}.{name}`"),
            };
            return Self { key: None, message: one_line(&message) };
        }
        let message = if let Some((name, accepted)) = unknown(message, "unknown variant `") {
            let near =
                nearest(name, &accepted).map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
            format!("unknown value `{name}`{near} (one of: {})", accepted.join(", "))
        } else if let Some((found, expected)) = message
            .strip_prefix("invalid type: ")
            .or_else(|| message.strip_prefix("invalid value: "))
            .and_then(|rest| rest.rsplit_once(", expected "))
        {
            format!("expected {}, found {found}", plain(expected))
        } else if message == "wanted string or table" {
            "expected a string".into()
        } else {
            message.into()
        };
        Self { key: (!keys.is_empty()).then(|| one_line(&keys)), message: one_line(&message) }
    }

    /// For an error that does not name the key yet.
    fn with_its_key(self) -> String {
        match self.key {
            Some(key) => format!("`{key}`: {}", self.message),
            None => self.message,
        }
    }

    /// For an error that begins with `--set given`.
    fn under(self, given: &str) -> String {
        if self.key.as_deref().is_some_and(|key| key != given) {
            // The fault is deeper, inside a table that was given whole.
            return self.with_its_key();
        }
        if self.message.starts_with("expected a string, found") {
            // A number or a date by TOML's rules, meant as a string.
            return format!("{}: quote it for TOML too, as in --set name='\"2024\"'", self.message);
        }
        self.message
    }
}

/// The dotted key that an error stands at: its `Display` tells, and nothing else does.
fn keys(error: &toml::de::Error) -> String {
    let shown = error.to_string();
    shown
        .strip_prefix(error.message())
        .and_then(|rest| rest.strip_prefix("\nin `"))
        .and_then(|rest| rest.strip_suffix("`\n"))
        .unwrap_or_default()
        .into()
}

/// The name and the accepted ones of serde's ``unknown field `x`, expected one of `a`, `b` ``.
fn unknown<'a>(message: &'a str, kind: &str) -> Option<(&'a str, Vec<&'a str>)> {
    let (name, accepted) = message.strip_prefix(kind)?.rsplit_once("`, expected ")?;
    Some((name, accepted.split('`').skip(1).step_by(2).collect()))
}

/// serde's word for a type in a reader's.
fn plain(expected: &str) -> &str {
    match expected {
        "usize" | "u64" => "a whole number, 0 or more",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "an array",
        "path string" => "a string",
        table if table.starts_with("struct ") => "a table",
        other => other,
    }
}

/// The accepted name that `name` is a slip of: at most one edit in three characters.
fn nearest<'a>(name: &str, accepted: &[&'a str]) -> Option<&'a str> {
    let same = |name: &str| name.to_lowercase().replace('-', "_");
    let name = same(name);
    accepted
        .iter()
        .map(|&other| (strsim::damerau_levenshtein(&name, &same(other)), other))
        .filter(|&(edits, _)| edits <= (name.chars().count() / 3).max(1))
        .min_by_key(|&(edits, _)| edits)
        .map(|(_, other)| other)
}

fn syntax_error(error: &toml::de::Error, text: &str, path: &Path) -> Error {
    let Some(span) = error.span() else {
        return Error::file(path, one_line(&format!("not valid TOML: {}", error.message())));
    };
    let line = line_at(text.as_bytes(), span.start);
    let message = match (error.message(), text.get(span)) {
        ("duplicate key", Some(key)) => format!("duplicate key `{key}`: keep one"),
        (message, _) => format!("not valid TOML: {message}"),
    };
    Error::line(path, line, one_line(&message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CellKind, GruReset, Pooling};

    const GOOD: &str = r#"name = "speaker"

[model]
mode = "many-to-one"
cell = "lstm"
d_hidden = 16

[data]
format = "ts"
train = "train.ts"

[train]
epochs = 3
"#;

    fn read(text: &str, overrides: &[&str]) -> Result<Config> {
        let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
        Config::from_toml(text, Path::new("a.toml"), &overrides)
    }

    /// The one line that comes of `text` with `overrides`.
    fn refusal(text: &str, overrides: &[&str]) -> String {
        let error = read(text, overrides).expect_err(&format!("{text} {overrides:?}")).to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    }

    /// A file under the system's temporary folder that goes when dropped.
    struct Scratch(std::path::PathBuf);

    impl Scratch {
        fn new(name: &str, bytes: &[u8]) -> Self {
            let name = format!("rnn-zoo-config-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::write(&path, bytes).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn a_file_is_read() {
        let file = Scratch::new("good.toml", GOOD.as_bytes());
        let config = Config::from_file(&file.0, &["train.epochs=5".into()]).unwrap();
        assert_eq!((config.name.as_str(), config.train.epochs), ("speaker", 5));
    }

    #[test]
    fn the_documented_model_is_read() {
        let config = read(
            r#"
            name = "tagger"
            [model]
            mode = "many-to-many"        # one-to-one, one-to-many, many-to-one, many-to-many, encoder-decoder
            cell = "lstm"                # rnn, lstm, gru
            d_input = 8                  # or: vocabulary size and d_embedding for token models
            d_hidden = 16
            n_layers = 2
            bias = true
            bidirectional = true
            d_output = 4                 # left out: the stack's own output
            [data]
            format = "program"
            "#,
            &[],
        )
        .unwrap();
        assert_eq!((config.model.d_input, config.model.n_layers), (Some(8), 2));
        assert_eq!((config.model.d_output, config.model.bidirectional), (Some(4), true));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let all = [
            "description=it says \"no\"",
            "model.cell=gru",
            "model.d_input=12",
            "model.d_output=9",
            "model.n_layers=2",
            "model.bias=false",
            "model.bidirectional=true",
            "model.merge=mean",
            "model.dropout=0.1",
            "model.head_dropout=0.3",
            "model.reset=before",
            "model.initialization=orthogonal",
            "model.pooling=attention",
            "data.valid=valid.ts",
            "data.test=test.ts",
            "data.standardize=false",
            "train.seed=18446744073709551615",
            "train.loss=softmax-mse",
            "train.optimizer=rmsprop",
            "train.lr=1e-300",
            "train.weight_decay=0.1",
            "train.momentum=0.9",
            "train.schedule=step",
        ];
        let csv = [
            "model.mode=many-to-many",
            "data.format=csv",
            "data.columns=['a', 'b \"c\"']",
            "data.targets=['d']",
            "data.horizon=2",
            "data.window=20",
        ];
        for overrides in [&[][..], &all, &csv] {
            let config = read(GOOD, overrides).unwrap();
            assert_eq!(read(&config.to_toml(), &[]).unwrap(), config);
        }
    }

    #[test]
    fn a_fault_names_file_line_and_key() {
        for (from, to, expected) in [
            // Keys.
            (
                "d_hidden = 16",
                "d_hiden = 16",
                "a.toml:6: unknown key `d_hiden` in [model]: did you mean `d_hidden`?",
            ),
            ("cell =", "Cell =", "a.toml:5: unknown key `Cell` in [model]: did you mean `cell`?"),
            (
                "epochs = 3",
                "batch-size = 3",
                "a.toml:13: unknown key `batch-size` in [train]: did you mean `batch_size`?",
            ),
            (
                "epochs = 3",
                "learning_rate = 3",
                "a.toml:13: unknown key `learning_rate` in [train]: accepted here: epochs, batch_size, seed, ",
            ),
            ("[train]", "[tran]", "a.toml:12: unknown key `tran` at the top level: did you mean `train`?"),
            (
                "epochs = 3",
                "\"a\\nb`, expected `c\" = 3",
                "a.toml:13: unknown key `a\\nb`, expected `c` in [train]: accepted here: ",
            ),
            ("d_hidden = 16", "", "a.toml:3: missing key `model.d_hidden`"),
            ("format = \"ts\"", "", "a.toml:8: missing key `data.format`"),
            ("name =", "description =", "a.toml:1: missing key `name`: write it above the first table"),
            ("epochs = 3", "epochs = 3\nepochs = 4", "a.toml:14: duplicate key `epochs`: keep one"),
            // Values.
            (
                "\"lstm\"",
                "\"lstmm\"",
                "a.toml:5: `model.cell`: unknown value `lstmm`: did you mean `lstm`? (one of: rnn, lstm, gru)",
            ),
            (
                "\"lstm\"",
                "\"transformer\"",
                "a.toml:5: `model.cell`: unknown value `transformer` (one of: rnn, lstm, gru)",
            ),
            (
                "many-to-one",
                "many_to_one",
                "a.toml:4: `model.mode`: unknown value `many_to_one`: did you mean `many-to-one`? (one of: ",
            ),
            (
                "cell = \"lstm\"",
                "\n\ncell = \"a\\nb\"",
                "a.toml:7: `model.cell`: unknown value `a\\nb` (one of: ",
            ),
            ("\"lstm\"", "3", "a.toml:5: `model.cell`: expected a string"),
            (
                "d_hidden = 16",
                "d_hidden = \"16\"",
                "a.toml:6: `model.d_hidden`: expected a whole number, 0 or more, found string \"16\"",
            ),
            (
                "d_hidden = 16",
                "d_hidden = -1",
                "a.toml:6: `model.d_hidden`: expected a whole number, 0 or more, found integer `-1`",
            ),
            (
                "epochs = 3",
                "epochs = 1.5",
                "a.toml:13: `train.epochs`: expected a whole number, 0 or more, found",
            ),
            ("epochs = 3", "lr = true", "a.toml:13: `train.lr`: expected a number, found boolean `true`"),
            (
                "d_hidden = 16",
                "d_hidden = 16\nbias = 1",
                "a.toml:7: `model.bias`: expected true or false, found integer `1`",
            ),
            (
                "\"ts\"",
                "\"ts\"\ncolumns = 1",
                "a.toml:10: `data.columns`: expected an array, found integer `1`",
            ),
            ("\"train.ts\"", "1", "a.toml:10: `data.train`: expected a string, found integer `1`"),
            ("name = \"speaker\"", "name = 1", "a.toml:1: `name`: expected a string, found integer `1`"),
            ("epochs = 3", "seed = 99999999999999999999999", "a.toml:13: `train.seed`: "),
            // Syntax.
            ("\"lstm\"", "lstm", "a.toml:5: not valid TOML: "),
            ("epochs = 3", "epochs = [\n\n", "a.toml:13: not valid TOML: unclosed array"),
            ("epochs = 3", "epochs", "a.toml:13: not valid TOML: "),
        ] {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD, "{from}");
            let found = refusal(&text, &[]);
            assert!(found.starts_with(expected), "{found}\n{expected}");
        }
        assert_eq!(
            refusal("name = 'a'\nmodel = 3", &[]),
            "a.toml:2: `model`: expected a table, found integer `3`"
        );
        assert_eq!(refusal("name = 'a'", &[]), "a.toml:1: missing table [model]");
        // No nesting reaches the stack's end.
        assert!(
            refusal(&format!("{} = 1", ["a"; 60_000].join(".")), &[]).starts_with("a.toml: not valid TOML: ")
        );
        assert!(refusal(&format!("a = {}", "[".repeat(100_000)), &[]).contains("not valid TOML: "));
        // A byte-order mark and Windows' line ends do not move a line.
        let windows = format!("\u{feff}{}", GOOD.replace("d_hidden", "d_hiden").replace('\n', "\r\n"));
        assert!(refusal(&windows, &[]).starts_with("a.toml:6: unknown key `d_hiden`"));
    }

    #[test]
    fn overrides_are_typed_and_the_last_one_wins() {
        let config = read(
            GOOD,
            &[
                "model.cell=lstm",
                "model.cell=gru",
                " model.reset = 'before' ",
                "model.pooling=\"mean\"",
                "train.epochs=7",
                "train.lr=3",
                "data.standardize=false",
                "description=it's 5 = 5",
                "name=x",
            ],
        )
        .unwrap();
        assert_eq!(config.model.cell, CellKind::Gru);
        assert_eq!(config.model.reset, Some(GruReset::Before));
        assert_eq!(config.model.pooling, Some(Pooling::Mean));
        assert_eq!((config.train.epochs, config.train.lr), (7, 3.0));
        assert!(!config.data.standardize);
        assert_eq!((config.name.as_str(), config.description.as_str()), ("x", "it's 5 = 5"));
        // They make a table, mend a value and replace a whole table.
        let bare = GOOD.replace("[train]\nepochs = 3\n", "").replace("\"lstm\"", "\"lstmm\"");
        let config = read(&bare, &["train.epochs=7", "model.cell=rnn"]).unwrap();
        assert_eq!((config.train.epochs, config.model.cell), (7, CellKind::Rnn));
        let config = read(GOOD, &["train={ seed = 4 }"]).unwrap();
        assert_eq!((config.train.epochs, config.train.seed), (10, 4));
        // A whole configuration may come from them.
        let alone =
            ["name=x", "model.mode=many-to-one", "model.cell=gru", "model.d_hidden=4", "data.format=adding"];
        assert_eq!(read("", &alone).unwrap().model.d_hidden, 4);
    }

    #[test]
    fn a_fault_in_an_override_names_it() {
        for (given, expected) in [
            (
                "model.d_hiden=3",
                "`--set model.d_hiden`: unknown key `d_hiden` in [model]: did you mean `d_hidden`?",
            ),
            (
                "modle.cell=gru",
                "`--set modle.cell`: unknown key `modle` at the top level: did you mean `model`?",
            ),
            ("epochs=3", "`--set epochs`: unknown key `epochs` at the top level: accepted here: name, "),
            (
                "model.cell=grru",
                "`--set model.cell`: unknown value `grru`: did you mean `gru`? (one of: rnn, lstm, gru)",
            ),
            (
                "train.epochs=three",
                "`--set train.epochs`: expected a whole number, 0 or more, found string \"three\"",
            ),
            (
                "train={ epochs = true }",
                "`--set train`: `train.epochs`: expected a whole number, 0 or more, found boolean `true`",
            ),
            ("model={ mode = 'many-to-one' }", "`--set model`: missing key `model.cell`"),
            ("model=3", "`--set model`: expected a table, found integer `3`"),
            ("name=2024", "`--set name`: expected a string, found integer `2024`: quote it for TOML too"),
            ("train.epochs", "`--set train.epochs`: has no `=`: write it as --set train.epochs=3"),
            ("=3", "`--set =3`: has an empty key: write it as --set train.epochs=3"),
            ("train.=3", "`--set train.=3`: has an empty key"),
            (".epochs=3", "`--set .epochs=3`: has an empty key"),
            ("a\nb", "`--set a\\nb`: has no `=`"),
            ("model.cell.x=3", "`--set model.cell.x`: `model.cell` is of type string, not a table"),
            // What `check` refuses is named by its key, wherever it was written.
            ("train.epochs=0", "`train.epochs`: must be 1 to "),
        ] {
            let found = refusal(GOOD, &["train.seed=1", given, "train.clip=2"]);
            assert!(found.starts_with(expected), "{found}\n{expected}");
        }
        let deep = format!("{}=1", ["a"; 50_000].join("."));
        assert!(refusal(GOOD, &[&deep]).contains("no key has over 8 parts"));
        // The file's own fault stays the file's.
        let text = GOOD.replace("d_hidden", "d_hiden");
        assert!(refusal(&text, &["train.epochs=4"]).starts_with("a.toml:6: unknown key `d_hiden`"));
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        let missing = Config::from_file(Path::new("/nowhere/a.toml"), &[]).unwrap_err();
        assert!(matches!(missing, Error::Io { .. }), "{missing}");
        let folder = Config::from_file(&std::env::temp_dir(), &[]).unwrap_err();
        assert!(matches!(folder, Error::Io { .. }), "{folder}");

        let file = Scratch::new("latin.toml", b"name = 'a'\ndescription = '\xe9'\n");
        let error = Config::from_file(&file.0, &[]).unwrap_err();
        assert!(matches!(error, Error::Line { line: 2, .. }), "{error}");
        assert!(error.to_string().contains("UTF-8"), "{error}");

        let file = Scratch::new("long.toml", &vec![b'#'; MAX_BYTES as usize + 1]);
        let error = Config::from_file(&file.0, &[]).unwrap_err();
        assert!(error.to_string().contains("larger than 128 KiB"), "{error}");

        let long = read(&"#".repeat(MAX_BYTES as usize + 1), &[]).unwrap_err().to_string();
        assert!(long.starts_with("a.toml: is larger than 128 KiB"), "{long}");

        for text in ["", "\n", "# nothing\n"] {
            let error = read(text, &[]).unwrap_err();
            assert!(matches!(error, Error::File { .. }), "{error}");
            assert!(error.to_string().contains("[data] with `format`"), "{error}");
        }
    }

    #[test]
    fn a_damaged_file_is_read_or_refused_in_one_line() {
        let read = |bytes: &[u8]| {
            if let Ok(text) = std::str::from_utf8(bytes)
                && let Err(error) = Config::from_toml(text, Path::new("a.toml"), &[])
            {
                assert!(!error.to_string().contains('\n'), "{error}");
            }
        };
        let mut bytes = GOOD.as_bytes().to_vec();
        for end in 0..bytes.len() {
            read(&bytes[..end]);
            for bit in 0..8 {
                bytes[end] ^= 1 << bit;
                read(&bytes);
                bytes[end] ^= 1 << bit;
            }
        }
    }

    #[test]
    fn the_nearest_name_is_near() {
        let accepted = ["d_hidden", "n_layers", "lr", "clip"];
        for (name, near) in [
            ("hidden", Some("d_hidden")),
            ("D-Hidden", Some("d_hidden")),
            ("layers", Some("n_layers")),
            ("rl", Some("lr")),
            ("l", Some("lr")),
            ("warmup", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, &accepted), near, "{name}");
        }
    }
}
