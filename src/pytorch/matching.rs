//! Which module of a `state_dict` is which part of a model: by the names and shapes of its tensors, whatever stands before
//! them.

use super::layout::{Kind, Part, Size, Slot, alone, d_input, d_stack, parts};
use super::transposed;
use crate::config::{IoMode, ModelConfig};
use burn::tensor::TensorData;
use std::collections::BTreeMap;

/// What a group of tensors is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sort {
    /// A module that is not recurrent.
    Plain,
    /// A recurrent module.
    Recurrent,
    /// A tensor that `--map` names by itself.
    Single,
}

/// A group of tensors, by the name of its module.
type Key = (Sort, String);

/// Its tensors by their names in the module: their full names, and their shapes.
type Group = BTreeMap<String, (String, Vec<usize>)>;

/// The weights of a model of `config`, by its own names; sizes that `config` leaves open are filled in. `whole`: it needs a
/// head.
///
/// # Errors
/// All that is missing, left over, of another shape or not certain, in one line.
pub fn assign(
    config: &mut ModelConfig,
    mut tensors: BTreeMap<String, TensorData>,
    map: &[(String, String)],
    whole: bool,
) -> Result<BTreeMap<String, TensorData>, String> {
    let mut found = Matching::new(config, &tensors, map, whole)?;
    if found.learn(config) {
        found = Matching::new(config, &tensors, map, whole)?;
    }
    found.check()?;
    let slots: Vec<(Slot, String)> =
        found.slots().map(|(slot, name, _)| (slot.clone(), name.to_string())).collect();
    for (slot, name) in slots.iter().filter(|(slot, _)| slot.copy) {
        let original = slots.iter().find(|(other, _)| !other.copy && other.zoo == slot.zoo);
        if let Some((_, original)) = original.filter(|(_, original)| tensors[name] != tensors[original]) {
            return Err(format!(
                "{name} differs from {original}, and tie_weights = true makes one weight of both: write tie_weights = false"
            ));
        }
    }
    let own = slots.into_iter().filter(|(slot, _)| !slot.copy);
    let weights = own.map(|(slot, name)| {
        let data = tensors.remove(&name).expect("it is one of the file's");
        (slot.zoo, if slot.transposed { transposed(&data) } else { data })
    });
    Ok(weights.collect())
}

struct Matching {
    parts: Vec<Part>,
    groups: BTreeMap<Key, Group>,
    /// The group of each part.
    taken: Vec<Option<Key>>,
}

impl Matching {
    fn new(
        config: &ModelConfig,
        tensors: &BTreeMap<String, TensorData>,
        map: &[(String, String)],
        whole: bool,
    ) -> Result<Self, String> {
        let mut parts = parts(config);
        let required = |part: &&mut Part| whole && part.slots.iter().any(|slot| !slot.copy);
        parts.iter_mut().filter(required).for_each(|part| part.optional = false);
        let mut shapes: BTreeMap<&str, Vec<usize>> =
            tensors.iter().map(|(name, data)| (name.as_str(), data.shape.to_vec())).collect();
        let mut singles = Vec::new();
        let mut modules = Vec::new();
        for (old, new) in map {
            let is_it = |slot: &Slot| !slot.copy && slot.zoo == *new;
            if let Some(part) = parts.iter_mut().find(|part| part.slots.iter().any(is_it)) {
                let shape = shapes
                    .remove(old.as_str())
                    .ok_or_else(|| format!("has no tensor `{old}`, or it is mapped twice"))?;
                let at = part.slots.iter().position(is_it).expect("it has one");
                let slot = part.slots.remove(at);
                let group = Group::from([(slot.torch.clone(), (old.clone(), shape))]);
                let words = [Vec::new(), Vec::new()];
                let single =
                    Part { zoo: new.clone(), slots: vec![slot], words, optional: false, ..part.clone() };
                singles.push((single, (Sort::Single, old.clone()), group));
            } else if parts.iter().any(|part| part.zoo == *new) {
                modules.push((old, new));
            } else {
                return Err(format!(
                    "--map {old}={new}: the model has no {new} that is not mapped yet; name a weight, or one of its parts: {}",
                    stems(&parts)
                ));
            }
        }
        parts.retain(|part| !part.slots.is_empty());
        let mut groups: BTreeMap<Key, Group> = BTreeMap::new();
        for (name, shape) in shapes {
            let (prefix, local) = name.rsplit_once('.').unwrap_or(("", name));
            let sort = if is_recurrent(local) { Sort::Recurrent } else { Sort::Plain };
            groups.entry((sort, prefix.into())).or_default().insert(local.into(), (name.into(), shape));
        }
        let mut taken = vec![None; parts.len()];
        for (old, new) in modules {
            let part = parts.iter().position(|part| part.zoo == *new).filter(|&k| taken[k].is_none());
            let Some(k) = part else {
                return Err(format!("--map {old}={new}: {new} is mapped already, or in pieces"));
            };
            let key = (parts[k].sort(), old.clone());
            if !groups.contains_key(&key) || taken.contains(&Some(key.clone())) {
                let there: Vec<&str> = groups.keys().map(|(_, prefix)| prefix.as_str()).collect();
                return Err(format!(
                    "has no module `{old}` like {new}, or it is mapped twice; its modules are {}",
                    there.join(", ")
                ));
            }
            taken[k] = Some(key);
        }
        for (part, key, group) in singles {
            parts.push(part);
            taken.push(Some(key.clone()));
            groups.insert(key, group);
        }
        let mut matching = Self { parts, groups, taken };
        matching.pair_up(|part, _, group| fits(part, group));
        // What is there in another shape is told as such.
        matching.pair_up(|part, key, _| {
            let named = part.kind == Kind::Recurrent || score(part, &key.1) > 0;
            !part.optional && part.sort() == key.0 && named
        });
        Ok(matching)
    }

    /// The groups that no part has.
    fn free(&self) -> impl Iterator<Item = (&Key, &Group)> {
        self.groups.iter().filter(|(key, _)| !self.taken.iter().flatten().any(|taken| taken == *key))
    }

    /// Gives parts their groups, best names first, as long as one is best for the other and no second as good.
    fn pair_up(&mut self, eligible: impl Fn(&Part, &Key, &Group) -> bool) {
        loop {
            let mut pairs: Vec<(i32, usize, Key)> = Vec::new();
            for (k, part) in self.parts.iter().enumerate().filter(|(k, _)| self.taken[*k].is_none()) {
                let fitting = self.free().filter(|(key, group)| eligible(part, key, group));
                pairs.extend(fitting.map(|(key, _)| (score(part, &key.1), k, key.clone())));
            }
            pairs.sort_by_key(|(score, ..)| -score);
            let best = pairs.iter().find(|(score, k, key)| {
                !pairs.iter().any(|(s, k2, key2)| s >= score && (k2 == k) != (key2 == key))
            });
            let Some((_, k, key)) = best.cloned() else { return };
            self.taken[k] = Some(key);
        }
    }

    /// Each weight that was found, its tensor's name and shape.
    fn slots(&self) -> impl Iterator<Item = (&Slot, &str, &[usize])> {
        let found = self.parts.iter().zip(&self.taken).filter_map(|(part, key)| {
            let group = &self.groups[key.as_ref()?];
            let slots = part.slots.iter().filter_map(move |slot| {
                group.get(&slot.torch).map(|(name, shape)| (slot, name.as_str(), shape.as_slice()))
            });
            Some(slots)
        });
        found.flatten()
    }

    /// Fills in sizes that the tensors tell; whether there were any.
    fn learn(&self, config: &mut ModelConfig) -> bool {
        let before = config.clone();
        let mut reads = None;
        for (slot, _, shape) in self.slots() {
            if !agree(slot, shape, &mut Vec::new()) {
                continue;
            }
            for (size, &n) in slot.shape.iter().zip(shape) {
                let open = match *size {
                    Size::Is(_) => continue,
                    Size::Reads => &mut reads,
                    Size::Vocabulary => &mut config.vocabulary,
                    Size::Output => &mut config.d_output,
                    Size::Task(k) => &mut config.tasks[k].d_output,
                    Size::Targets => {
                        config.d_output = config.d_output.or(n.checked_sub(1));
                        continue;
                    }
                    Size::Characters => match &mut config.characters {
                        Some(characters) => &mut characters.vocabulary,
                        None => continue,
                    },
                };
                open.get_or_insert(n);
            }
        }
        if config.tie_weights {
            config.d_output = config.d_output.or(config.vocabulary);
        }
        if d_input(config).is_none() {
            let fed_back = match config.mode {
                // Where there is a projection it is that which tells.
                _ if alone(config) => {
                    config.d_feedback.filter(|_| config.d_projection.is_none()).unwrap_or(0)
                }
                IoMode::OneToMany => config.d_output.unwrap_or(d_stack(config)),
                _ => 0,
            };
            config.d_input = reads.and_then(|n| n.checked_sub(fed_back)).filter(|&n| n > 0);
        }
        *config != before
    }

    fn check(&self) -> Result<(), String> {
        let (mut missing, mut other, mut unsure) = (Vec::new(), Vec::new(), Vec::new());
        let mut left: Vec<&(String, Vec<usize>)> = Vec::new();
        let mut named: Vec<&Key> = Vec::new();
        for (part, key) in self.parts.iter().zip(&self.taken) {
            let Some(key) = key else {
                let fitting: Vec<&Key> =
                    self.free().filter(|(_, group)| fits(part, group)).map(|(key, _)| key).collect();
                if !fitting.is_empty() {
                    let names: Vec<&str> = fitting.iter().map(|(_, prefix)| prefix.as_str()).collect();
                    unsure.push(format!("{} may be {}", part.zoo, names.join(" or ")));
                    named.extend(fitting);
                } else if !part.optional {
                    let slots = part.slots.iter().filter(|slot| !slot.copy);
                    missing.extend(slots.map(|slot| wanted(slot, &part.torch)));
                }
                continue;
            };
            let group = &self.groups[key];
            for slot in &part.slots {
                match group.get(&slot.torch) {
                    None if slot.copy => {}
                    None => missing.push(wanted(slot, &key.1)),
                    Some((name, shape)) if !agree(slot, shape, &mut Vec::new()) => {
                        other.push(format!("{name} is {shape:?}, {} takes {}", slot.zoo, show(slot)));
                    }
                    Some(_) => {}
                }
            }
            let extra = group.iter().filter(|(local, _)| part.slots.iter().all(|slot| slot.torch != **local));
            left.extend(extra.map(|(_, tensor)| tensor));
        }
        left.extend(
            self.free().filter(|(key, _)| !named.contains(key)).flat_map(|(_, group)| group.values()),
        );
        let left: Vec<String> = left.into_iter().map(|(name, shape)| format!("{name} {shape:?}")).collect();
        let mut faults = Vec::new();
        for (what, list) in
            [("missing", missing), ("of another shape", other), ("left over", left), ("not certain", unsure)]
        {
            if !list.is_empty() {
                faults.push(format!("{what}: {}", list.join(", ")));
            }
        }
        if faults.is_empty() {
            return Ok(());
        }
        Err(format!(
            "does not hold the model that the configuration describes; {}; change the configuration or the file, or tell \
             with --map OLD=NEW what names do not: OLD is a tensor or module of the file, NEW a weight or part of the \
             model ({}), or nothing to leave OLD out",
            faults.join("; "),
            stems(&self.parts)
        ))
    }
}

impl Part {
    fn sort(&self) -> Sort {
        if self.kind == Kind::Recurrent { Sort::Recurrent } else { Sort::Plain }
    }
}

/// `weight_ih_l0`, `bias_hh_l1_reverse`; `weight_hr_l0`, which is an LSTM's projection, too.
fn is_recurrent(local: &str) -> bool {
    let forward = local.strip_suffix("_reverse").unwrap_or(local);
    let Some((kind, layer)) = forward.rsplit_once("_l") else { return false };
    ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"].contains(&kind)
        && !layer.is_empty()
        && layer.bytes().all(|b| b.is_ascii_digit())
}

/// The words of a name, lower-cased: `lm`, `head` of `lmHead`, and of `lm_head2`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower = false;
    for c in name.chars() {
        if (c.is_uppercase() && lower) || !c.is_alphabetic() {
            words.push(String::new());
        }
        lower = c.is_lowercase();
        if c.is_alphabetic() {
            words.last_mut().expect("there is one").extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// How much speaks for a module of this name.
fn score(part: &Part, prefix: &str) -> i32 {
    let exact =
        prefix == part.torch || prefix.strip_suffix(&part.torch).is_some_and(|rest| rest.ends_with('.'));
    let there = words(prefix);
    let is_there = |known: &str| {
        let is = |word: &String| word.starts_with(known) || word.ends_with(known);
        there.iter().any(|word| is(word) || (known.len() > 4 && word.contains(known)))
    };
    let speaks = |known: &&String| words(known).iter().all(|known| is_there(known));
    let [likes, dislikes] = [0, 1].map(|k: usize| part.words[k].iter().filter(speaks).count() as i32);
    likes - dislikes + if exact { 100 } else { 0 }
}

/// Whether a group has all of a part's tensors, and no other.
fn fits(part: &Part, group: &Group) -> bool {
    let mut open = Vec::new();
    let slots = part.slots.iter().all(|slot| match group.get(&slot.torch) {
        None => slot.copy,
        Some((_, shape)) => agree(slot, shape, &mut open),
    });
    slots && group.keys().all(|local| part.slots.iter().any(|slot| slot.torch == *local))
}

/// Whether a tensor of `shape` is this weight; `open` are sizes that tensors before it told.
fn agree(slot: &Slot, shape: &[usize], open: &mut Vec<(Size, usize)>) -> bool {
    slot.shape.len() == shape.len()
        && slot.shape.iter().zip(shape).all(|(size, &n)| match size {
            Size::Is(size) => *size == n,
            open_size => match open.iter().find(|(known, _)| known == open_size) {
                Some((_, known)) => *known == n,
                None => {
                    open.push((*open_size, n));
                    n > 0
                }
            },
        })
}

/// A weight, and the tensor that it would be.
fn wanted(slot: &Slot, prefix: &str) -> String {
    let dot = if prefix.is_empty() { "" } else { "." };
    format!("{} (as {prefix}{dot}{} {})", slot.zoo, slot.torch, show(slot))
}

/// A shape with letters for what is open.
fn show(slot: &Slot) -> String {
    let size = |size: &Size| match size {
        Size::Is(n) => n.to_string(),
        Size::Vocabulary => "V".into(),
        Size::Characters => "characters".into(),
        Size::Reads => "D".into(),
        Size::Output | Size::Task(_) => "O".into(),
        Size::Targets => "O+1".into(),
    };
    format!("[{}]", slot.shape.iter().map(size).collect::<Vec<_>>().join(", "))
}

fn stems(parts: &[Part]) -> String {
    parts.iter().map(|part| part.zoo.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::named_tensors;
    use crate::config::{CellKind, Config, Merge};
    use crate::model::Model;
    use burn::backend::Flex;
    use std::path::Path;

    /// Configurations of every kind of model.
    fn configs() -> Vec<ModelConfig> {
        let plain = "mode = 'many-to-many'\ncell = 'gru'\nd_hidden = 4\n";
        let sized = "d_input = 3\nd_output = 2\n";
        let tokens = "vocabulary = 9\nd_embedding = 5\nd_output = 2\n";
        let tied = "vocabulary = 9\nd_embedding = 4\nd_output = 9\ntie_weights = true\n";
        let both = "bidirectional = true\n";
        let fed = "input_feeding = true\n";
        let to_one = plain.replace("many-to-many", "many-to-one");
        let writes = plain.replace("many-to-many", "encoder-decoder");
        let alone = plain.replace("many-to-many", "one-to-many") + "feedback = 'token'\nd_feedback = 5\n";
        let tasks = "[[tasks]]\nname = 'a'\nmode = 'many-to-one'\npooling = 'attention'\nd_output = 3\n\
                     [[tasks]]\nname = 'b'\nmode = 'many-to-many'\nd_output = 4\n";
        let spelled = "[characters]\nvocabulary = 7\nd_embedding = 2\nd_hidden = 3\n";
        let texts = [
            format!("{plain}{sized}"),
            format!("{plain}{sized}bias = false\nn_layers = 3\n"),
            format!("{plain}{sized}{both}n_layers = 2\n"),
            format!("{plain}{sized}{both}n_layers = 2\nmerge = 'sum'\n"),
            format!("{plain}{tied}"),
            format!("{plain}{tied}bias = false\n"),
            format!("{to_one}{tokens}{both}pooling = 'attention'\n{spelled}"),
            format!("{}{sized}", plain.replace("many-to-many", "one-to-many")),
            format!("{writes}{tokens}{both}").replace("gru", "lstm"),
            format!("{writes}{tokens}"),
            format!("{writes}{tokens}attention = 'dot'\ntie_weights = true\nbias = false\n"),
            format!("{writes}{tokens}{both}attention = 'general'\n{fed}"),
            format!("{writes}{tokens}attention = 'additive'\nbias = false\n"),
            format!("{writes}{tokens}{both}{fed}attention = 'additive'\ntie_weights = true\nn_layers = 2\n"),
            format!("{writes}{tokens}tie_weights = true\n").replace("d_embedding = 5", "d_embedding = 4"),
            format!("{alone}{sized}"),
            format!("{alone}{sized}d_projection = 3\nhead_bias = false\n").replace("gru", "lstm"),
            format!("{alone}{tokens}{spelled}"),
            format!("{plain}{sized}head_bias = false\n"),
            format!("{to_one}{sized}bias = false\nhead_bias = true\n"),
            format!("{plain}{tied}head_bias = false\n"),
            format!(
                "{writes}{tokens}attention = 'additive'\ntie_weights = true\nbias = false\nhead_bias = true\n"
            ),
            format!(
                "{}{both}d_input = 3\nhead_bias = false\n{tasks}",
                plain.replace("many-to-many", "multi-task")
            ),
            format!("{}{both}d_input = 3\n{tasks}", plain.replace("many-to-many", "multi-task")),
        ];
        let read = |text: &String| toml::from_str(text).unwrap_or_else(|e| panic!("{text}\n{e}"));
        texts.iter().map(read).collect()
    }

    fn tensors(config: &ModelConfig) -> BTreeMap<String, TensorData> {
        let model = Model::<Flex>::new(config, 1, &Default::default()).unwrap();
        named_tensors(&model).into_iter().map(|t| (t.name, t.data)).collect()
    }

    /// The `state_dict` of a model, every module's name changed by `rename`.
    fn state_dict(config: &ModelConfig, rename: impl Fn(&str) -> String) -> BTreeMap<String, TensorData> {
        let own = tensors(config);
        let slots = parts(config).into_iter().flat_map(|part| {
            let prefix = rename(&part.torch);
            part.slots.into_iter().map(move |slot| (format!("{prefix}.{}", slot.torch), slot))
        });
        slots
            .map(|(name, slot)| {
                let data = &own[&slot.zoo];
                (name, if slot.transposed { transposed(data) } else { data.clone() })
            })
            .collect()
    }

    /// Without the sizes that tensors tell.
    fn open(config: &ModelConfig) -> ModelConfig {
        let mut open = config.clone();
        (open.d_input, open.vocabulary, open.d_output) = (None, None, None);
        open.tasks.iter_mut().for_each(|task| task.d_output = None);
        open.characters.iter_mut().for_each(|characters| characters.vocabulary = None);
        open
    }

    #[test]
    fn every_weight_comes_back_bit_for_bit_under_any_prefix() {
        for config in configs() {
            let names: [fn(&str) -> String; 2] = [|name| name.into(), |name| format!("module.net.{name}")];
            for rename in names {
                for mut given in [config.clone(), open(&config)] {
                    let found = assign(&mut given, state_dict(&config, rename), &[], true)
                        .unwrap_or_else(|e| panic!("{config:?}: {e}"));
                    assert_eq!((&given, found), (&config, tensors(&config)));
                }
            }
        }
    }

    fn plain() -> ModelConfig {
        configs().remove(0)
    }

    fn said(config: &ModelConfig, file: BTreeMap<String, TensorData>, map: &[(&str, &str)]) -> String {
        let map: Vec<(String, String)> =
            map.iter().map(|(old, new)| (old.to_string(), new.to_string())).collect();
        match assign(&mut config.clone(), file, &map, true) {
            Ok(found) => {
                assert_eq!(found, tensors(config));
                String::new()
            }
            Err(message) => message,
        }
    }

    #[track_caller]
    fn assert_says(message: &str, parts: &[&str]) {
        for part in parts {
            assert!(message.contains(part), "no `{part}` in: {message}");
        }
    }

    fn matrix(rows: usize, columns: usize) -> TensorData {
        TensorData::new(vec![0.5f32; rows * columns], [rows, columns])
    }

    #[test]
    fn all_that_is_wrong_is_listed() {
        let mut file = state_dict(&plain(), |name| format!("net.{name}"));
        file.remove("net.rnn.bias_hh_l0");
        file.insert("net.rnn.weight_hr_l0".into(), matrix(2, 4));
        file.insert("net.rnn.weight_ih_l0".into(), matrix(12, 4));
        file.insert("net.norm.weight".into(), matrix(1, 1));
        file.remove("net.head.weight");
        let message = said(&plain(), file, &[]);
        assert_says(
            &message,
            &[
                "missing: stack.layers.0.bias_hh (as net.rnn.bias_hh_l0 [12]), head.weight (as net.head.weight [2, 4])",
                "of another shape: net.rnn.weight_ih_l0 is [12, 4], stack.layers.0.weight_ih takes [12, 3]",
                "left over: net.rnn.weight_hr_l0 [2, 4], net.norm.weight [1, 1]",
                "--map OLD=NEW",
                "(stack, head)",
            ],
        );
        let none = said(&plain(), BTreeMap::new(), &[]);
        assert_says(
            &none,
            &[
                "missing: stack.layers.0.weight_ih (as rnn.weight_ih_l0 [12, 3])",
                "head.bias (as head.bias [2])",
            ],
        );
    }

    #[test]
    fn what_names_do_not_tell_is_asked_and_told() {
        let strange = |name: &str| if name == "head" { "a".into() } else { String::from("b") };
        let mut file = state_dict(&plain(), strange);
        assert_eq!(said(&plain(), file.clone(), &[]), "");
        // A second one that would do.
        file.insert("c.weight".into(), matrix(2, 4));
        file.insert("c.bias".into(), TensorData::new(vec![0.0f32; 2], [2]));
        assert_says(&said(&plain(), file.clone(), &[]), &["not certain: head may be a or c"]);
        assert_says(
            &said(&plain(), file.clone(), &[("a", "head")]),
            &["left over: c.bias [2], c.weight [2, 4]"],
        );
        file.retain(|name, _| !name.starts_with("c."));
        let weight = file.remove("a.weight").unwrap();
        file.insert("w".into(), weight);
        let bias = file.remove("b.bias_ih_l0").unwrap();
        file.insert("x.y".into(), bias);
        let map = [("w", "head.weight"), ("x.y", "stack.layers.0.bias_ih")];
        assert_eq!(said(&plain(), file.clone(), &map), "");
        let wrong: [(&[(&str, &str)], &str); 5] = [
            (&[("v", "head.weight")], "has no tensor `v`"),
            (&[("w", "tail")], "the model has no tail"),
            (&[("w", "head.weight"), ("w", "head.bias")], "mapped twice"),
            (&[("w", "head.weight"), ("x.y", "head.weight")], "not mapped yet"),
            (&[("v", "stack")], "has no module `v`"),
        ];
        for (map, says) in wrong {
            assert_says(&said(&plain(), file.clone(), map), &[says]);
        }
        let map = [("x.y", "head.weight"), ("w", "stack.layers.0.bias_ih")];
        assert_says(&said(&plain(), file, &map), &["x.y is [12], head.weight takes [2, 4]"]);
    }

    #[test]
    fn heads_go_by_their_tasks_names() {
        let config = configs().pop().unwrap();
        let mut same = config.clone();
        same.tasks[0].d_output = Some(4);
        let rename = |name: &str| match name {
            "heads.0" => "to_A".into(),
            "heads.1" => "to_B".into(),
            other => other.to_string(),
        };
        assert_eq!(said(&same, state_dict(&same, rename), &[]), "");
        let nameless = |name: &str| rename(name).replace("to_A", "u").replace("to_B", "v");
        assert_says(&said(&same, state_dict(&same, nameless), &[]), &["heads.0.linear may be u or v"]);
        assert_eq!(said(&same, state_dict(&same, nameless), &[("u", "heads.0.linear")]), "");
    }

    #[test]
    fn a_tied_head_is_the_embedding_or_refused() {
        let config = configs().remove(4);
        let mut file = state_dict(&config, |name| name.into());
        assert_eq!(file["head.weight"], file["embedding.weight"]);
        let both = file.clone();
        file.remove("head.weight");
        assert_eq!(said(&config, file.clone(), &[]), "");
        file.insert("head.weight".into(), matrix(9, 4));
        assert_says(
            &said(&config, file, &[]),
            &["head.weight differs from embedding.weight", "tie_weights = false"],
        );
        assert_eq!(said(&config, both, &[]), "");
    }

    #[test]
    fn common_names_are_known() {
        let config = configs().remove(8);
        let rename = |name: &str| {
            match name {
                "embedding" => "encoder.embedding",
                "encoder" => "encoder.rnn",
                "target_embedding" => "decoder.embedding",
                "decoder" => "decoder.rnn",
                "head" => "decoder.fc_out",
                "bridge" => "bridge_h",
                "cell_bridge" => "bridge_cell",
                other => other,
            }
            .to_string()
        };
        assert_eq!(said(&config, state_dict(&config, rename), &[]), "");
    }

    #[test]
    fn a_decoder_that_is_alone_tells_its_linear_layers_by_name() {
        // Projection and head are of one shape.
        let mut config = configs().remove(16);
        (config.d_input, config.d_output, config.d_projection) = (Some(4), Some(4), Some(4));
        config.head_bias = None;
        let rename = |name: &str| {
            match name {
                "projection" => "decoder.proj",
                "target_embedding" => "decoder.embed",
                "decoder" => "decoder.lstm",
                "head" => "decoder.fc",
                other => other,
            }
            .to_string()
        };
        assert_eq!(said(&config, state_dict(&config, rename), &[]), "");
        let nameless = |name: &str| rename(name).replace("proj", "a").replace("fc", "b");
        assert_says(
            &said(&config, state_dict(&config, nameless), &[]),
            &["projection may be decoder.a or decoder.b"],
        );
    }

    #[test]
    fn attention_goes_by_its_names_where_shapes_are_the_same() {
        // One direction without biases: the query's weight and the memory's are 4 by 4 both.
        let config = configs().remove(12);
        let rename = |name: &str| {
            match name {
                "attention.linear_context" => "decoder.attn.key_layer",
                "attention.linear_query" => "decoder.attn.query_layer",
                "attention.v" => "decoder.attn.energy_layer",
                "attention.linear_out" => "decoder.concat",
                other => other,
            }
            .to_string()
        };
        assert_eq!(said(&config, state_dict(&config, rename), &[]), "");
        let nameless = |name: &str| rename(name).replace("key_layer", "a").replace("query_layer", "b");
        let file = state_dict(&config, nameless);
        let message = said(&config, file.clone(), &[]);
        assert_says(&message, &["attention.memory may be decoder.attn.a or decoder.attn.b"]);
        let map = [("decoder.attn.a", "attention.memory")];
        assert_eq!(said(&config, file, &map), "");
    }

    #[test]
    fn a_head_that_is_the_target_embedding_is_not_there_twice() {
        let config = configs().remove(14);
        let mut file = state_dict(&config, |name| name.into());
        assert!(file.contains_key("head.bias") && !file.contains_key("head.weight"));
        file.insert("head.weight".into(), matrix(2, 4));
        assert_says(&said(&config, file, &[]), &["left over: head.weight [2, 4]"]);
    }

    #[test]
    fn a_bare_stack_needs_no_head_where_none_is_wanted() {
        let mut config = plain();
        let mut file = state_dict(&config, |name| name.into());
        file.retain(|name, _| name.starts_with("rnn"));
        let file: BTreeMap<_, _> =
            file.into_iter().map(|(name, data)| (name.replace("rnn.", ""), data)).collect();
        config.d_output = None;
        assert_eq!(assign(&mut config, file.clone(), &[], false).unwrap().len(), 4);
        assert_says(
            &assign(&mut config, file, &[], true).unwrap_err(),
            &["missing: head.weight (as head.weight [O, 4])"],
        );
    }

    #[test]
    fn what_torch_has_not_is_refused_by_its_key() {
        let mut config = ModelConfig::new(IoMode::ManyToOne, CellKind::Gru, 4);
        assert!(super::super::layout::check(&config).is_ok());
        config.merge = Merge::Max;
        assert!(super::super::layout::check(&config).is_ok());
        let refused = |change: fn(&mut ModelConfig)| {
            let mut config = config.clone();
            change(&mut config);
            super::super::layout::check(&config).unwrap_err().to_string()
        };
        assert_says(&refused(|c| c.layer_norm = true), &["model.layer_norm", "layer norm in the cell"]);
        assert_says(&refused(|c| c.zoneout = 0.1), &["model.zoneout"]);
        assert_says(&refused(|c| c.reset = Some(crate::config::GruReset::Before)), &["model.reset"]);
    }

    #[test]
    fn shipped_configurations_have_a_layout() {
        for name in ["speaker", "intent-slots", "attributes-to-text"] {
            let path = format!("{}/models/{name}/config.toml", env!("CARGO_MANIFEST_DIR"));
            let config = Config::from_file(Path::new(&path), &[]).unwrap().model;
            assert_eq!(said(&config, state_dict(&config, |name| name.into()), &[]), "");
        }
    }
}
