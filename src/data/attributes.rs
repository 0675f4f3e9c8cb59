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

use super::memory::{Budget, Cause, NAME, Names};
use super::pairs::{DEFAULT_PIECES, DEFAULT_STEPS};
use super::sample::{
    AttributeSchema, Features, InputSchema, Sample, SampleInput, SampleTarget, Schema, TargetSchema,
};
use super::series::{csv_error, csv_reader, start_of};
use super::shared::{Excerpt, Numbers, Tokens};
use super::sub_words::SubWords;
use super::words::{part_of, short};
use super::{Source, distinct, each, list, mismatch, read_text};
use crate::config::{DataConfig, IoMode};
use crate::error::{Error, Result};
use csv::StringRecord;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names of attributes and their values.
type Meaning<'a> = Vec<(&'a str, &'a str)>;

/// Numbers of a name and a value.
type Attribute = (u32, u32);

/// The value of an attribute that may have any: training has to have seen that it is there.
const ANY: u32 = u32::MAX;

/// A file of attributes and texts.
pub(super) struct Attributes {
    path: PathBuf,
    rows: Vec<Row>,
    /// The texts, one after the other.
    texts: Arc<String>,
    /// The distinct names and values.
    words: Vec<Box<str>>,
    /// The distinct sets of attributes, one after the other.
    attributes: Vec<Attribute>,
    /// Where each set ends.
    ends: Vec<u32>,
    budget: Budget,
    delexicalize: Vec<String>,
    n_pieces: usize,
    steps: usize,
    lowercase: bool,
}

struct Row {
    line: u32,
    /// Which of the meanings it has.
    meaning: u32,
    /// Where its text ends.
    end: u32,
}

/// Bytes of a row, but for its text and tokens: its sample, where its tokens end, and its number in a part.
const ROW: usize = size_of::<Row>() + size_of::<Sample>() + size_of::<u32>() + size_of::<usize>();

/// Bytes of a distinct set of attributes, and of each attribute in it, in the list and where they are looked up; and
/// those that a model's input has beside its values.
const MEANING: usize = 128;
const ATTRIBUTE: usize = 2 * size_of::<Attribute>();

/// Attributes of a row at most: more are no meaning that a text says.
const MOST_ATTRIBUTES: usize = 1000;

/// The attributes of `name[The Mill], food[French]`.
fn meaning(text: &str) -> Result<Meaning<'_>, String> {
    const FORM: &str = "write attributes as in `name[The Mill], food[French]`";
    let (mut attributes, mut names) = (Meaning::new(), HashSet::new());
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
        if !names.insert(name) {
            return Err(format!("attribute `{name}` is there twice"));
        }
        if attributes.len() == MOST_ATTRIBUTES {
            return Err(format!("there are more than {MOST_ATTRIBUTES} attributes: leave some out"));
        }
        attributes.push((name, value));
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
fn delexicalized(text: &str, meaning: &[(&str, &str)], names: &[String]) -> String {
    let is_left_out = |name: &str| names.iter().any(|other| other == name);
    let mut found: Vec<&(&str, &str)> = meaning.iter().filter(|(name, _)| is_left_out(name)).collect();
    // A name may be a part of another one.
    found.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
    found.into_iter().fold(text.to_string(), |text, (name, value)| replace(&text, value, &stand_in(name)))
}

/// Attributes as a model reads them.
fn encode(meaning: &[(&str, &str)], attributes: &[AttributeSchema]) -> Result<SampleInput, String> {
    let known: HashSet<&str> = attributes.iter().map(|attribute| attribute.name.as_str()).collect();
    if let Some((name, _)) = meaning.iter().find(|(name, _)| !known.contains(name)) {
        let known = list(attributes.iter().map(|attribute| &attribute.name));
        return Err(format!("attribute `{name}` is not among those of the training data: {known}"));
    }
    let given: HashMap<&str, &str> = meaning.iter().copied().collect();
    let (mut data, mut names) = (Vec::new(), Vec::new());
    for AttributeSchema { name, values } in attributes {
        let value = given.get(name.as_str()).copied();
        if values.is_empty() {
            data.push(if value.is_some() { 1.0 } else { 0.0 });
            // Of one that is not there the stand-in is known too, so that it can be dropped where it is written.
            names.push((stand_in(name), value.unwrap_or_default().to_string()));
            continue;
        }
        if let Some(value) = value.filter(|value| values.iter().all(|other| other != value)) {
            let known = list(values);
            return Err(format!(
                "`{value}` is not among the values of `{name}` in the training data: {known}; leave it out, or train \
                 with texts of it"
            ));
        }
        data.extend(values.iter().map(|other| if value == Some(other.as_str()) { 1.0 } else { 0.0 }));
    }
    Ok(SampleInput::Attributes { vector: Features::vector(data), names: Arc::new(names) })
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
    type Split = Vec<Sample>;

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
        let mut reader = csv_reader(path, &text)?;
        let n_columns = reader.headers().map_err(|e| csv_error(path, &text, &e))?.len();
        if n_columns != 2 {
            let message =
                format!("{n_columns} columns: write two, of attributes and of texts, as in `mr,ref`");
            return Err(Error::line(path, 1, message));
        }
        let mut budget = Budget::new(path, text.len());
        budget.take_all(text.len())?;
        let left = budget.left();
        let (mut rows, mut texts, mut words) = (Vec::new(), String::new(), Names::default());
        let (mut all, mut ends) = (Vec::new(), Vec::new());
        let (mut line, mut counted) = (1, 0);
        let mut known: HashMap<Box<[Attribute]>, u32> = HashMap::new();
        let mut record = StringRecord::new();
        while reader.read_record(&mut record).map_err(|e| csv_error(path, &text, &e))? {
            let read = reader.position().byte() as usize;
            // Counted on from the record before: files have tens of thousands.
            let start = start_of(&text, record.position());
            line += text.as_bytes()[counted..start].iter().filter(|byte| **byte == b'\n').count();
            counted = start;
            let meaning = meaning(&record[0]).map_err(|message| Error::line(path, line, message))?;
            if record[1].is_empty() {
                return Err(Error::line(path, line, "there is no text: write one, or leave the line out"));
            }
            let mut attributes = Vec::with_capacity(meaning.len());
            for (name, value) in meaning {
                let name = words.id(name, &mut budget, read)?;
                attributes.push((name, words.id(value, &mut budget, read)?));
            }
            // The same in another order is the same.
            let mut sorted = attributes.clone().into_boxed_slice();
            sorted.sort_unstable();
            budget.take(ROW + record[1].len(), read)?;
            let n = short(known.len());
            let meaning = *known.entry(sorted).or_insert(n);
            if meaning == n {
                budget.take(MEANING + attributes.len() * ATTRIBUTE, read)?;
                all.extend(attributes);
                ends.push(short(all.len()));
            }
            texts.push_str(&record[1]);
            rows.push(Row { line: short(line), meaning, end: short(texts.len()) });
        }
        if rows.is_empty() {
            return Err(Error::file(path, "has no row under its header"));
        }
        // The file's text goes, and what was made of it stays.
        let made = left - budget.left();
        let words = words.into_list();
        let named: usize = words.iter().map(|word| NAME + 2 * word.len()).sum();
        let mut budget = Budget::new(path, text.len());
        budget.take_all_for(Cause::Names, named)?;
        budget.take_all(made - named)?;
        if schema.is_none() {
            let names = distinct(all.iter().map(|&(name, _)| name));
            let names: BTreeSet<&str> = names.into_iter().map(|name| &*words[name as usize]).collect();
            if let Some(name) = config.delexicalize.iter().find(|name| !names.contains(name.as_str())) {
                let message =
                    format!("names `{name}`, which the training data has not: it has {}", list(&names));
                return Err(Error::config("data.delexicalize", message));
            }
        }
        Ok(Self {
            path: path.into(),
            rows,
            texts: Arc::new(texts),
            words,
            attributes: all,
            ends,
            budget,
            delexicalize: config.delexicalize.clone(),
            n_pieces: config.pieces.unwrap_or(DEFAULT_PIECES),
            steps: config.steps.unwrap_or(DEFAULT_STEPS),
            lowercase: config.lowercase,
        })
    }

    fn cut(&self, valid: f64, test: f64, seed: u64) -> Result<[Self::Part; 3]> {
        let n = self.ends.len();
        let any = self.are_any();
        let mut order: Vec<usize> = (0..n).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        // How many sets of attributes have each value, of those that are not held out.
        let mut left: HashMap<Attribute, usize> = HashMap::new();
        for value in (0..n).flat_map(|k| self.values(k, &any)) {
            *left.entry(value).or_default() += 1;
        }
        let most = [valid, test].map(|fraction| (n as f64 * fraction).round() as usize);
        let mut held_out = [0; 2];
        // 0: trained on.
        let mut part_of = vec![0; n];
        for k in order {
            let Some(part) = (0..2).find(|&part| held_out[part] < most[part]) else { break };
            if self.values(k, &any).all(|value| left[&value] > 1) {
                for value in self.values(k, &any) {
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
            (0..self.rows.len()).filter(|&k| part_of[self.rows[k].meaning as usize] == part).collect()
        };
        Ok([0, 1, 2].map(rows))
    }

    fn schema(&self, train: &Self::Part) -> Result<Schema> {
        let mut names: Vec<u32> = Vec::new();
        let mut values: HashMap<u32, BTreeSet<&str>> = HashMap::new();
        let mut seen = vec![false; self.ends.len()];
        for &k in train {
            let meaning = self.rows[k].meaning as usize;
            if std::mem::replace(&mut seen[meaning], true) {
                continue;
            }
            for &(name, value) in self.meaning(meaning) {
                let values = values.entry(name).or_default();
                if values.is_empty() {
                    names.push(name);
                }
                values.insert(&self.words[value as usize]);
            }
        }
        let any = self.are_any();
        let attribute = |name: u32| AttributeSchema {
            name: self.words[name as usize].to_string(),
            values: match any[name as usize] {
                true => Vec::new(),
                false => values[&name].iter().map(|&value| value.to_string()).collect(),
            },
        };
        let texts = train.iter().map(|&k| self.text(k, &self.delexicalize));
        let target = SubWords::train_within(texts, self.n_pieces, self.lowercase, self.budget.left())
            .map_err(|e| Error::file(&self.path, e.to_string()))?;
        Ok(Schema {
            input: InputSchema::Attributes { attributes: names.into_iter().map(attribute).collect() },
            target: TargetSchema::Text(target),
        })
    }

    fn samples(self, parts: [Self::Part; 3], schema: &Schema) -> Result<[Vec<Sample>; 3]> {
        let (InputSchema::Attributes { attributes }, TargetSchema::Text(target)) =
            (&schema.input, &schema.target)
        else {
            return Err(mismatch());
        };
        let end = target.pieces.len();
        let target = target.reader()?;
        let any = attributes.iter().filter(|attribute| attribute.values.is_empty());
        let names: Vec<String> = any.map(|attribute| attribute.name.clone()).collect();
        let width: usize = attributes.iter().map(AttributeSchema::width).sum();
        // Of each set of attributes, what the model reads: its samples share it.
        let mut inputs: Vec<Option<SampleInput>> = vec![None; self.ends.len()];
        let n: usize = parts.iter().map(Vec::len).sum();
        let (mut budget, mut done) = (self.budget.clone(), 0);
        each(parts, |part| {
            let mut tokens = Numbers::with_capacity(0, end);
            let mut places = Vec::with_capacity(part.len());
            for &k in &part {
                done += 1;
                let Row { line, meaning, .. } = self.rows[k];
                let input = &mut inputs[meaning as usize];
                if input.is_none() {
                    let bytes = MEANING + width * size_of::<f32>() + names.len() * NAME;
                    budget.take_share(bytes, done, n)?;
                    let read = encode(&self.named(meaning as usize), attributes)
                        .map_err(|message| Error::line(&self.path, line as usize, message))?;
                    *input = Some(read);
                }
                let text = target.encode(&self.text(k, &names), self.steps);
                budget.take_share(text.len() * Numbers::width(end), done, n)?;
                text.into_iter().for_each(|token| tokens.push(token));
                places.push(short(tokens.len()));
            }
            let tokens = Arc::new(tokens);
            let mut samples = Vec::with_capacity(part.len());
            for (at, &k) in part.iter().enumerate() {
                let input = inputs[self.rows[k].meaning as usize].clone().expect("each has been read");
                let tokens = Tokens::part(&tokens, part_of(&places, at));
                let text = Excerpt::part(&self.texts, self.place(k));
                samples.push(Sample { input, target: SampleTarget::Text { tokens, text } });
            }
            Ok(samples)
        })
    }
}

impl Attributes {
    /// Where the text of a row is.
    fn place(&self, row: usize) -> Range<usize> {
        let start = row.checked_sub(1).map_or(0, |before| self.rows[before].end as usize);
        start..self.rows[row].end as usize
    }

    /// The text of a row, without the names that `delexicalize` says.
    fn text(&self, row: usize, delexicalize: &[String]) -> String {
        let text = &self.texts[self.place(row)];
        if delexicalize.is_empty() {
            return text.to_string();
        }
        delexicalized(text, &self.named(self.rows[row].meaning as usize), delexicalize)
    }

    /// A set of attributes.
    fn meaning(&self, k: usize) -> &[Attribute] {
        &self.attributes[part_of(&self.ends, k)]
    }

    /// A set of attributes, in words.
    fn named(&self, k: usize) -> Meaning<'_> {
        let word = |id: u32| &*self.words[id as usize];
        self.meaning(k).iter().map(|&(name, value)| (word(name), word(value))).collect()
    }

    /// Of each word, whether it is the name of an attribute that may have any value.
    fn are_any(&self) -> Vec<bool> {
        self.words.iter().map(|word| self.delexicalize.iter().any(|name| **name == **word)).collect()
    }

    /// What training has to have seen of a set of attributes: its values, and of those that may be any that they are
    /// there.
    fn values<'a>(&'a self, meaning: usize, any: &'a [bool]) -> impl Iterator<Item = Attribute> + 'a {
        self.meaning(meaning).iter().map(|&(name, value)| match any[name as usize] {
            true => (name, ANY),
            false => (name, value),
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
        assert!(data.test.iter().all(|sample| sample.input == data.test.at(0).input));
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
            let tokens = &tokens.to_vec();
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
        assert_eq!(data.valid.at(0).input, data.valid.at(1).input);
        assert_eq!(data.test.at(0).input, data.test.at(1).input);
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
        assert_eq!(*names, expected.map(|(word, name)| (word.to_string(), name.to_string())));
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
                let mut inputs: Vec<SampleInput> = part.iter().map(|sample| sample.input.clone()).collect();
                inputs.dedup();
                assert_eq!(inputs.len(), n, "seed {seed}");
            }
            let is_indian = |sample: &Sample| match &sample.target {
                SampleTarget::Text { text, .. } => text == "Indian",
                other => panic!("{other:?}"),
            };
            indian_is_held_out |= data.valid.iter().chain(&data.test).any(|sample| is_indian(&sample));
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
        let meaning = [("name", "Mill"), ("near", "Old Mill")];
        let both = ["name".to_string(), "near".to_string()];
        assert_eq!(delexicalized("Mill by Old Mill", &meaning, &both), "xname by xnear");
        assert_eq!(delexicalized("Mill by Old Mill", &meaning, &both[..1]), "xname by Old xname");
        assert_eq!(stand_in("customer Rating 2"), "xcustomerrating2");
    }

    #[test]
    fn faults_are_told_with_their_line() {
        let attributes = |n: usize| (0..n).map(|k| format!("a{k}[b]")).collect::<Vec<_>>().join(", ");
        assert_eq!(meaning(&attributes(1000)).unwrap().len(), 1000);
        let head = "mr,ref\nfood[Thai],It is Thai.\r\n";
        for (text, says) in [
            ("mr\nfood[Thai]\n".to_string(), [":1:", "1 columns"]),
            ("mr,ref\n".into(), ["no row", "header"]),
            (format!("{head}food,It is.\n"), [":3:", "`food` is no attribute"]),
            (format!("{head}food[Thai],\n"), [":3:", "no text"]),
            (format!("{head}food[Thai]\n"), [":3:", "1 cells"]),
            (format!("{head}food[Thai], near[x],It is.\n"), [":3:", "3 cells"]),
            (format!("{head}{}", ",".repeat(70_000)), [":3:", "more than 65536 columns"]),
            (format!("{head}food[Thai],\"{}\"\n", "a".repeat(5 << 20)), [":3:", "longer than 4 MiB"]),
            (format!("{head}food[Thai],\"It is.\n{}", "a\n".repeat(3 << 20)), [":3:", "a quote"]),
            (format!("{head}\"{}\",Much.\n", attributes(1001)), [":3:", "more than 1000 attributes"]),
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
