//! Attributes and texts that say them, as in the E2E set ([Novikova et al. 2017](https://aclanthology.org/W17-5525)): a
//! CSV file of two columns.
//!
//! ```text
//! mr,ref
//! "name[The Mill], food[French], area[riverside]",The Mill is by the river and serves French food.
//! ```
//!
//! Several lines may have the same attributes: each is a sample to be trained on, and together they are the references
//! of what is written for them. They are never parted between training, validation and test. They are held out only
//! where others that are trained on have all their values, as a model reads no value that training has not seen.
//!
//! Attributes are one vector: of each attribute a feature a value that training has seen. Those of `delexicalize` may
//! have any value, and have one feature, which says whether they are there. In texts a word stands for their value,
//! `xname` for that of `name`: the model learns where a name goes, and any name may go there.

use super::pairs::{DEFAULT_PIECES, DEFAULT_STEPS};
use super::sample::{
    AttributeSchema, Features, InputSchema, Sample, SampleInput, SampleTarget, Schema, TargetSchema,
};
use super::series::{csv_error, start_of};
use super::sub_words::SubWords;
use super::{Source, list, mismatch, read_text};
use crate::config::{DataConfig, IoMode};
use crate::error::{Error, Result};
use csv::{ReaderBuilder, Trim};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// Names of attributes and their values.
type Meaning = Vec<(String, String)>;

/// A file of attributes and texts.
pub(super) struct Attributes {
    path: PathBuf,
    rows: Vec<Row>,
    /// The distinct ones.
    meanings: Vec<Meaning>,
    delexicalize: Vec<String>,
    n_pieces: usize,
    steps: usize,
    lowercase: bool,
}

struct Row {
    line: usize,
    /// Which of the meanings it has.
    meaning: usize,
    text: String,
}

/// The attributes of `name[The Mill], food[French]`.
fn meaning(text: &str) -> Result<Meaning, String> {
    const FORM: &str = "write attributes as in `name[The Mill], food[French]`";
    let mut attributes = Meaning::new();
    let mut rest = text.trim();
    loop {
        let parts = rest.split_once('[').and_then(|(name, rest)| Some((name, rest.split_once(']')?)));
        let Some((name, (value, after))) = parts else {
            return Err(format!("`{rest}` is no attribute: {FORM}"));
        };
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() || value.is_empty() {
            return Err(format!("an attribute has no name or no value: {FORM}"));
        }
        if attributes.iter().any(|(other, _)| other == name) {
            return Err(format!("attribute `{name}` is there twice"));
        }
        attributes.push((name.into(), value.into()));
        rest = match after.trim_start() {
            "" => return Ok(attributes),
            after => after.strip_prefix(',').ok_or_else(|| format!("no comma before `{after}`: {FORM}"))?,
        };
    }
}

/// The word that stands for the value of an attribute, the same in lower case.
fn stand_in(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase);
    std::iter::once('x').chain(letters).collect()
}

/// A text with `with` in the place of `words`, where these are not parts of other words. With nothing in their place the
/// space before them goes too.
pub(super) fn replace(text: &str, words: &str, with: &str) -> String {
    let in_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let (mut replaced, mut from) = (String::new(), 0);
    for (at, _) in text.match_indices(words) {
        let end = at + words.len();
        if !in_word(text[..at].chars().next_back()) && !in_word(text[end..].chars().next()) {
            replaced += &text[from..at];
            if with.is_empty() && replaced.ends_with(' ') {
                replaced.pop();
            }
            replaced += with;
            from = end;
        }
    }
    replaced + &text[from..]
}

/// A text without the names of its attributes.
fn delexicalized(text: &str, meaning: &[(String, String)], names: &[String]) -> String {
    let mut found: Vec<&(String, String)> = meaning.iter().filter(|(name, _)| names.contains(name)).collect();
    // A name may be a part of another one.
    found.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
    found.into_iter().fold(text.to_string(), |text, (name, value)| replace(&text, value, &stand_in(name)))
}

/// Attributes as a model reads them.
fn encode(meaning: &[(String, String)], attributes: &[AttributeSchema]) -> Result<SampleInput, String> {
    if let Some((name, _)) = meaning.iter().find(|(name, _)| attributes.iter().all(|a| a.name != *name)) {
        let known = list(attributes.iter().map(|attribute| &attribute.name));
        return Err(format!("attribute `{name}` is not among those of the training data: {known}"));
    }
    let (mut data, mut names) = (Vec::new(), Vec::new());
    for AttributeSchema { name, values } in attributes {
        let value = meaning.iter().find(|(other, _)| other == name).map(|(_, value)| value);
        if values.is_empty() {
            data.push(if value.is_some() { 1.0 } else { 0.0 });
            // Of one that is not there the stand-in is known too, so that it can be dropped where it is written.
            names.push((stand_in(name), value.cloned().unwrap_or_default()));
            continue;
        }
        if let Some(value) = value.filter(|value| !values.contains(value)) {
            let known = list(values);
            return Err(format!(
                "`{value}` is not among the values of `{name}` in the training data: {known}; leave it out, or train \
                 with texts of it"
            ));
        }
        data.extend(values.iter().map(|other| if value == Some(other) { 1.0 } else { 0.0 }));
    }
    Ok(SampleInput::Attributes { vector: Features::vector(data), names })
}

/// The attributes of `name[The Mill], food[French]`, as a model with inputs like `input` reads them.
///
/// # Errors
/// Text of another form; attributes or values that training has not seen; a model of other inputs.
pub fn parse(text: &str, input: &InputSchema) -> Result<SampleInput> {
    let InputSchema::Attributes { attributes } = input else { return Err(mismatch()) };
    meaning(text).and_then(|meaning| encode(&meaning, attributes)).map_err(Error::Input)
}

impl Source for Attributes {
    /// Rows.
    type Part = Vec<usize>;

    fn open(path: &Path, config: &DataConfig, _: IoMode, schema: Option<&Schema>) -> Result<Self> {
        for (k, name) in config.delexicalize.iter().enumerate() {
            let word = stand_in(name);
            if let Some(other) = config.delexicalize[..k].iter().find(|other| stand_in(other) == word) {
                let message = format!(
                    "names `{other}` and `{name}`, and `{word}` would stand for both: leave one out, or give it \
                     another name in the data"
                );
                return Err(Error::config("data.delexicalize", message));
            }
        }
        let text = read_text(path)?;
        let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(text.as_bytes());
        let n_columns = reader.headers().map_err(|e| csv_error(path, &text, &e))?.len();
        if n_columns != 2 {
            let message =
                format!("{n_columns} columns: write two, of attributes and of texts, as in `mr,ref`");
            return Err(Error::line(path, 1, message));
        }
        let (mut rows, mut meanings) = (Vec::new(), Vec::new());
        let (mut line, mut counted) = (1, 0);
        let mut known: HashMap<Meaning, usize> = HashMap::new();
        for record in reader.records() {
            let record = record.map_err(|e| csv_error(path, &text, &e))?;
            // Counted on from the record before: files have tens of thousands.
            let start = start_of(&text, record.position());
            line += text.as_bytes()[counted..start].iter().filter(|byte| **byte == b'\n').count();
            counted = start;
            let meaning = meaning(&record[0]).map_err(|message| Error::line(path, line, message))?;
            if record[1].is_empty() {
                return Err(Error::line(path, line, "there is no text: write one, or leave the line out"));
            }
            // The same in another order is the same.
            let mut sorted = meaning.clone();
            sorted.sort();
            let meaning = *known.entry(sorted).or_insert_with(|| {
                meanings.push(meaning);
                meanings.len() - 1
            });
            rows.push(Row { line, meaning, text: record[1].to_string() });
        }
        if rows.is_empty() {
            return Err(Error::file(path, "has no row under its header"));
        }
        if schema.is_none() {
            let names: BTreeSet<&String> = meanings.iter().flatten().map(|(name, _)| name).collect();
            if let Some(name) = config.delexicalize.iter().find(|name| !names.contains(name)) {
                let message =
                    format!("names `{name}`, which the training data has not: it has {}", list(&names));
                return Err(Error::config("data.delexicalize", message));
            }
        }
        Ok(Self {
            path: path.into(),
            rows,
            meanings,
            delexicalize: config.delexicalize.clone(),
            n_pieces: config.pieces.unwrap_or(DEFAULT_PIECES),
            steps: config.steps.unwrap_or(DEFAULT_STEPS),
            lowercase: config.lowercase,
        })
    }

    fn cut(&self, valid: f64, test: f64, seed: u64) -> Result<[Self::Part; 3]> {
        let n = self.meanings.len();
        let mut order: Vec<usize> = (0..n).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        // How many sets of attributes have each value, of those that are not held out.
        let mut left: HashMap<(&str, &str), usize> = HashMap::new();
        for value in (0..n).flat_map(|k| self.values(k)) {
            *left.entry(value).or_default() += 1;
        }
        let most = [valid, test].map(|fraction| (n as f64 * fraction).round() as usize);
        let mut held_out = [0; 2];
        // 0: trained on.
        let mut part_of = vec![0; n];
        for k in order {
            let Some(part) = (0..2).find(|&part| held_out[part] < most[part]) else { break };
            if self.values(k).all(|value| left[&value] > 1) {
                for value in self.values(k) {
                    *left.entry(value).or_default() -= 1;
                }
                held_out[part] += 1;
                part_of[k] = 1 + part;
            }
        }
        if let Some(part) = (0..2).find(|&part| held_out[part] == 0 && most[part] > 0) {
            let (what, key) = [("validation", "valid"), ("test", "test")][part];
            let message = format!(
                "has no attributes that can be held out for {what}, as each set of them has a value that no other \
                 one has: name attributes of such values in `data.delexicalize`, or a file in `data.{key}`"
            );
            return Err(Error::file(&self.path, message));
        }
        let rows = |part: usize| -> Vec<usize> {
            (0..self.rows.len()).filter(|&k| part_of[self.rows[k].meaning] == part).collect()
        };
        Ok([0, 1, 2].map(rows))
    }

    fn schema(&self, train: &Self::Part) -> Result<Schema> {
        let mut names: Vec<&String> = Vec::new();
        let mut values: HashMap<&String, BTreeSet<&String>> = HashMap::new();
        for (name, value) in train.iter().flat_map(|&k| &self.meanings[self.rows[k].meaning]) {
            let values = values.entry(name).or_default();
            if values.is_empty() {
                names.push(name);
            }
            values.insert(value);
        }
        let attribute = |name: &String| AttributeSchema {
            name: name.clone(),
            values: match self.delexicalize.contains(name) {
                true => Vec::new(),
                false => values[name].iter().map(|&value| value.clone()).collect(),
            },
        };
        let texts: Vec<String> = train.iter().map(|&k| self.text(k, &self.delexicalize)).collect();
        let target = SubWords::train(texts.iter().map(String::as_str), self.n_pieces, self.lowercase)?;
        Ok(Schema {
            input: InputSchema::Attributes { attributes: names.into_iter().map(attribute).collect() },
            target: TargetSchema::Text(target),
        })
    }

    fn samples(&self, part: &Self::Part, schema: &Schema) -> Result<Vec<Sample>> {
        let (InputSchema::Attributes { attributes }, TargetSchema::Text(target)) =
            (&schema.input, &schema.target)
        else {
            return Err(mismatch());
        };
        let target = target.reader()?;
        let any = attributes.iter().filter(|attribute| attribute.values.is_empty());
        let names: Vec<String> = any.map(|attribute| attribute.name.clone()).collect();
        let sample = |&k: &usize| {
            let Row { line, meaning, text } = &self.rows[k];
            let input = encode(&self.meanings[*meaning], attributes)
                .map_err(|message| Error::line(&self.path, *line, message))?;
            let tokens = target.encode(&self.text(k, &names), self.steps);
            Ok(Sample { input, target: SampleTarget::Text { tokens, text: text.clone() } })
        };
        part.iter().map(sample).collect()
    }
}

impl Attributes {
    /// The text of a row, without the names that `delexicalize` says.
    fn text(&self, row: usize, delexicalize: &[String]) -> String {
        let Row { meaning, text, .. } = &self.rows[row];
        delexicalized(text, &self.meanings[*meaning], delexicalize)
    }

    /// What training has to have seen of a set of attributes: its values, and of those that may be any that they are
    /// there.
    fn values(&self, meaning: usize) -> impl Iterator<Item = (&str, &str)> {
        self.meanings[meaning].iter().map(move |(name, value)| match self.delexicalize.contains(name) {
            true => (name.as_str(), ""),
            false => (name.as_str(), value.as_str()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::target_text::TargetText;
    use crate::data::tests::{assert_says, config, file};
    use crate::data::{Dataset, load, load_split};

    const MODE: IoMode = IoMode::OneToMany;
    const NAMES: &str = "delexicalize = [\"name\", \"near\"]\npieces = 60";

    /// Ten places, each with three texts, one of them over two lines.
    fn places() -> String {
        let place = |k: usize| {
            let (name, food) = (format!("The Mill {k}"), ["French", "Thai"][k % 2]);
            let meaning = format!("\"name[{name}], food[{food}], near[Inn {k}]\"");
            format!(
                "{meaning},{name} near Inn {k} is {food}.\n{meaning},\"{food} food,\r\nat {name}\"\n\
                 {meaning},Innkeepers eat {food} food\n"
            )
        };
        std::iter::once("mr,ref\n".to_string()).chain((0..10).map(place)).collect()
    }

    fn loaded(text: &str, more: &str) -> Result<Dataset> {
        load(&config("attributes", Some(file(text).path()), more), MODE, 0)
    }

    #[test]
    fn attributes_are_a_vector_and_names_are_left_out() {
        let train = file(places());
        let table = config("attributes", Some(train.path()), NAMES);
        let data = load(&table, MODE, 0).unwrap();
        data.check(MODE).unwrap();
        // The texts of one place stay together.
        assert_eq!([data.train.len(), data.valid.len(), data.test.len()], [24, 3, 3]);
        assert!(data.test.iter().all(|sample| sample.input == data.test[0].input));
        let InputSchema::Attributes { attributes } = &data.schema.input else { panic!("no attributes") };
        let known: Vec<_> = attributes.iter().map(|a| (a.name.as_str(), a.values.join(" "))).collect();
        let expected = [("name", ""), ("food", "French Thai"), ("near", "")];
        assert_eq!(known, expected.map(|(name, values)| (name, values.to_string())));
        let texts = TargetText::of(&data.schema.target).unwrap();
        for sample in [&data.train, &data.valid, &data.test].into_iter().flatten() {
            let (SampleInput::Attributes { vector, names }, SampleTarget::Text { tokens, text }) =
                (&sample.input, &sample.target)
            else {
                panic!("{sample:?}")
            };
            assert!(vector.data == [1.0, 1.0, 0.0, 1.0] || vector.data == [1.0, 0.0, 1.0, 1.0]);
            assert_eq!((names[0].0.as_str(), names[1].0.as_str()), ("xname", "xnear"));
            // The names are not in what is learnt, and come back into what is written.
            let learnt = texts.text(tokens);
            assert!(!learnt.contains("Mill") && !learnt.contains("Inn "), "{learnt}");
            assert_eq!(texts.text_for(&sample.input, tokens), text.replace("\r\n", " "));
        }
        assert_eq!(load_split(&table, MODE, &data.schema, None, 0).unwrap(), data.test);
        assert_says(load_split(&table, MODE, &Schema::features(1, 1), None, 0), &["data of another kind"]);
    }

    #[test]
    fn the_order_of_attributes_does_not_part_them() {
        let place = |k: usize| {
            format!("\"name[A{k}], food[Thai]\",A{k} is Thai\n\"food[Thai], name[A{k}]\",Thai is A{k}\n")
        };
        let text: String = std::iter::once("mr,ref\n".to_string()).chain((0..10).map(place)).collect();
        let data = loaded(&text, "delexicalize = [\"name\"]\npieces = 60").unwrap();
        assert_eq!([data.train.len(), data.valid.len(), data.test.len()], [16, 2, 2]);
        assert_eq!(data.valid[0].input, data.valid[1].input);
        assert_eq!(data.test[0].input, data.test[1].input);
    }

    #[test]
    fn a_line_is_read_as_the_file_was() {
        let schema = loaded(&places(), NAMES).unwrap().schema.input;
        let SampleInput::Attributes { vector, names } = parse(" food[Thai],name[ A, b ] ", &schema).unwrap()
        else {
            panic!("no attributes")
        };
        assert_eq!((vector.data.as_slice(), vector.steps()), ([1.0, 0.0, 1.0, 0.0].as_slice(), 1));
        let expected = [("xname", "A, b"), ("xnear", "")];
        assert_eq!(names, expected.map(|(word, name)| (word.to_string(), name.to_string())));
        for (text, says) in [
            ("", "`` is no attribute"),
            ("name", "`name` is no attribute: write attributes as in"),
            ("name[A", "no attribute"),
            ("name[A] food[Thai]", "no comma before `food[Thai]`"),
            ("name[A],", "`` is no attribute"),
            ("name[ ]", "no name or no value"),
            ("[A]", "no name or no value"),
            ("name[A], name[B]", "`name` is there twice"),
            ("colour[red]", "`colour` is not among those of the training data: name, food, near"),
            ("food[red]", "`red` is not among the values of `food` in the training data: French, Thai"),
        ] {
            assert_says(parse(text, &schema), &[says]);
        }
        assert_says(parse("name[A]", &Schema::features(1, 1).input), &["data of another kind"]);
    }

    #[test]
    fn a_word_for_a_name_that_is_not_given_is_dropped() {
        let data = loaded(&places(), NAMES).unwrap();
        let TargetSchema::Text(sub_words) = &data.schema.target else { panic!("no text") };
        let texts = TargetText::of(&data.schema.target).unwrap();
        let tokens = sub_words.reader().unwrap().encode("xname near xnear is French.", 99);
        for (given, text) in [
            ("name[A B], near[Inn 3]", "A B near Inn 3 is French."),
            ("name[A B], food[French]", "A B near is French."),
            ("near[Inn 3]", "near Inn 3 is French."),
            ("food[French]", "near is French."),
            // A name that looks like the word for another one.
            ("name[xnear]", "xnear near is French."),
        ] {
            let input = parse(given, &data.schema.input).unwrap();
            assert_eq!(texts.text_for(&input, &tokens), text, "{given}");
        }
    }

    #[test]
    fn values_that_few_have_are_trained_on() {
        let rare: String = [("Greek", 10), ("Indian", 11), ("Indian", 12)]
            .map(|(food, k)| format!("\"name[Mill {k}], food[{food}], near[Inn]\",{food}\n"))
            .concat();
        let train = file(places() + &rare);
        let table = config("attributes", Some(train.path()), &format!("{NAMES}\nvalid_fraction = 0.3"));
        let mut indian_is_held_out = false;
        for seed in 0..20 {
            let data = load(&table, MODE, seed).unwrap();
            let InputSchema::Attributes { attributes } = &data.schema.input else { panic!("no attributes") };
            assert_eq!(attributes[1].values, ["French", "Greek", "Indian", "Thai"], "seed {seed}");
            assert_eq!(data.train.len() + data.valid.len() + data.test.len(), 33);
            // Four sets of attributes and one.
            for (part, n) in [(&data.valid, 4), (&data.test, 1)] {
                let mut inputs: Vec<&SampleInput> = part.iter().map(|sample| &sample.input).collect();
                inputs.dedup();
                assert_eq!(inputs.len(), n, "seed {seed}");
            }
            let is_indian = |sample: &Sample| match &sample.target {
                SampleTarget::Text { text, .. } => text == "Indian",
                other => panic!("{other:?}"),
            };
            indian_is_held_out |= data.valid.iter().chain(&data.test).any(is_indian);
        }
        // Of two that have a value one may be.
        assert!(indian_is_held_out);
        // Every place has a name of its own.
        assert_says(loaded(&places(), ""), &["held out for validation", "data.delexicalize", "`data.valid`"]);
    }

    #[test]
    fn whole_words_are_replaced() {
        assert_eq!(replace("Inn, Inns, \"Inn\"'s Inn", "Inn", "xnear"), "xnear, Inns, \"xnear\"'s xnear");
        assert_eq!(replace("néInn Inné", "Inn", "x"), "néInn Inné");
        assert_eq!(replace("a Inn Inn, Inns (Inn).Inn", "Inn", ""), "a, Inns ().");
        let meaning =
            [("name", "Mill"), ("near", "Old Mill")].map(|(name, value)| (name.into(), value.into()));
        let both = ["name".to_string(), "near".to_string()];
        assert_eq!(delexicalized("Mill by Old Mill", &meaning, &both), "xname by xnear");
        assert_eq!(delexicalized("Mill by Old Mill", &meaning, &both[..1]), "xname by Old xname");
        assert_eq!(stand_in("customer Rating 2"), "xcustomerrating2");
    }

    #[test]
    fn faults_are_told_with_their_line() {
        let head = "mr,ref\nfood[Thai],It is Thai.\r\n";
        for (text, says) in [
            ("mr\nfood[Thai]\n".to_string(), [":1:", "1 columns"]),
            ("mr,ref\n".into(), ["no row", "header"]),
            (format!("{head}food,It is.\n"), [":3:", "`food` is no attribute"]),
            (format!("{head}food[Thai],\n"), [":3:", "no text"]),
            (format!("{head}food[Thai]\n"), [":3:", "1 cells"]),
            (format!("{head}food[Thai], near[x],It is.\n"), [":3:", "3 cells"]),
        ] {
            assert_says(loaded(&text, ""), &says);
        }
        assert_says(
            loaded(&places(), "delexicalize = [\"colour\"]"),
            &["data.delexicalize", "`colour`", "food"],
        );
        for (names, says) in [
            ("[\"near\", \"Near\"]", ["`near` and `Near`", "`xnear` would stand for both"]),
            ("[\"name\", \"near by\", \"NearBy\"]", ["`near by` and `NearBy`", "`xnearby`"]),
        ] {
            let result = loaded(&places(), &format!("delexicalize = {names}"));
            assert_says(result, &[says.as_slice(), &["data.delexicalize"]].concat());
        }
        // What training has not seen, in another file.
        let train = file(places());
        let table = config("attributes", Some(train.path()), NAMES);
        let schema = load(&table, MODE, 0).unwrap().schema;
        let other = file("mr,ref\nfood[Thai],Thai\nfood[red],Red\n");
        assert_says(load_split(&table, MODE, &schema, Some(other.path()), 0), &[":3:", "`red`"]);
    }
}
