//! What a record in MessagePack or JSON says: a tree whose leaves are bytes, numbers and text, read
//! with limits, for such a file may come from anybody.

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::fmt;

/// Values of a tree at most; a tensor takes about ten.
const MAX_NODES: usize = 1 << 18;

/// How deep a tree may be; a record is some ten levels deep.
const MAX_DEPTH: usize = 64;

/// A list of numbers over 255 is a shape.
const MAX_NUMBERS: usize = 16;

/// A value.
#[derive(Debug, PartialEq)]
pub enum Tree {
    /// A whole number, not negative.
    Number(u64),
    /// Text.
    Text(String),
    /// Bytes, or a list of numbers up to 255: JSON does not tell them apart.
    Bytes(Vec<u8>),
    /// A list of numbers.
    Numbers(Vec<u64>),
    /// Another list.
    List(Vec<Tree>),
    /// Names and values, in the file's order.
    Map(Vec<(String, Tree)>),
    /// Nothing, a truth value, a fraction or a negative number: no part of a tensor.
    Other,
}

impl Tree {
    /// Reads MessagePack.
    pub fn from_mpk(bytes: &[u8]) -> Result<Self, String> {
        use rmp_serde::decode::Error::InvalidMarkerRead;
        // Reads in place: a reader of a stream would hold each tensor a second time.
        let mut file = rmp_serde::Deserializer::from_read_ref(bytes);
        let tree = Reader::new(&Cell::new(0)).deserialize(&mut file);
        let tree = tree.map_err(|e| format!("it is not a record in MessagePack ({e})"))?;
        match IgnoredAny::deserialize(&mut file) {
            Err(InvalidMarkerRead(e)) if e.kind() == std::io::ErrorKind::UnexpectedEof => Ok(tree),
            _ => Err("something follows its end".into()),
        }
    }

    /// Reads JSON.
    pub fn from_json(bytes: &[u8]) -> Result<Self, String> {
        let mut file = serde_json::Deserializer::from_slice(bytes);
        let tree = Reader::new(&Cell::new(0)).deserialize(&mut file);
        tree.and_then(|tree| file.end().map(|()| tree))
            .map_err(|e| format!("it is not a record in JSON ({e})"))
    }

    /// The value of that name in a map.
    pub fn entry(&self, key: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The value of that name in a map, to be changed.
    pub fn entry_mut(&mut self, key: &str) -> Option<&mut Self> {
        let Self::Map(entries) = self else { return None };
        entries.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Text.
    pub fn text(&self) -> Option<&str> {
        let Self::Text(text) = self else { return None };
        Some(text)
    }

    /// A list of sizes.
    pub fn sizes(&self) -> Option<Vec<usize>> {
        match self {
            Self::Bytes(values) => Some(values.iter().map(|&value| value.into()).collect()),
            Self::Numbers(values) => values.iter().map(|&value| value.try_into().ok()).collect(),
            _ => None,
        }
    }
}

/// Reads one value, and counts it.
#[derive(Clone, Copy)]
struct Reader<'a> {
    n_nodes: &'a Cell<usize>,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn new(n_nodes: &'a Cell<usize>) -> Self {
        Self { n_nodes, depth: 0 }
    }

    /// One level down.
    fn inner<E: Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom("it is nested too deep"));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    fn count<E: Error>(self) -> Result<(), E> {
        self.n_nodes.set(self.n_nodes.get() + 1);
        if self.n_nodes.get() > MAX_NODES { Err(E::custom("it has too many values")) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, file: D) -> Result<Tree, D::Error> {
        file.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a part of a record")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Number(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Tree, E> {
        Ok(value.try_into().map_or(Tree::Other, Tree::Number))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Tree, E> {
        self.count()?;
        Ok(Tree::Text(value.into()))
    }

    fn visit_bytes<E: Error>(self, value: &[u8]) -> Result<Tree, E> {
        self.count()?;
        Ok(Tree::Bytes(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        self.count()?;
        let inner = self.inner()?;
        let (mut bytes, mut numbers, mut values) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(value) = list.next_element_seed(inner)? {
            match value {
                Tree::Number(value) if values.is_empty() => match u8::try_from(value) {
                    Ok(byte) if numbers.is_empty() => bytes.push(byte),
                    _ => {
                        if bytes.len().max(numbers.len()) >= MAX_NUMBERS {
                            return Err(A::Error::custom("it has a long list of numbers that are no bytes"));
                        }
                        numbers.extend(bytes.drain(..).map(u64::from));
                        numbers.push(value);
                    }
                },
                value => {
                    if bytes.len().max(numbers.len()) > 0 {
                        return Err(A::Error::custom("it has a list of numbers and others"));
                    }
                    self.count()?;
                    values.push(value);
                }
            }
        }
        Ok(match (numbers.is_empty(), values.is_empty()) {
            (true, true) => Tree::Bytes(bytes),
            (false, _) => Tree::Numbers(numbers),
            _ => Tree::List(values),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        self.count()?;
        let inner = self.inner()?;
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            self.count()?;
            entries.push((key, map.next_value_seed(inner)?));
        }
        Ok(Tree::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_say_the_same() {
        let json = br#"{"a": [1, 255], "b": [3, 300], "c": [[], "d", null], "e": {"f": -1, "g": 7}}"#;
        let value: serde_json::Value = serde_json::from_slice(json).unwrap();
        let tree = Tree::from_json(json).unwrap();
        assert_eq!(Tree::from_mpk(&rmp_serde::to_vec_named(&value).unwrap()), Ok(tree));
        let tree = Tree::from_json(json).unwrap();
        assert_eq!(tree.entry("a"), Some(&Tree::Bytes(vec![1, 255])));
        assert_eq!(tree.entry("b").unwrap().sizes(), Some(vec![3, 300]));
        let list = vec![Tree::Bytes(Vec::new()), Tree::Text("d".into()), Tree::Other];
        assert_eq!(tree.entry("c"), Some(&Tree::List(list)));
        assert_eq!(tree.entry("e").unwrap().entry("g"), Some(&Tree::Number(7)));
    }

    #[test]
    fn what_would_take_more_memory_than_the_file_is_refused() {
        // Lists in lists, and many empty ones: MessagePack says each with one byte.
        for bytes in [vec![0x91; 100_000], [&[0xdd, 0, 0x10, 0, 0][..], &[0x90; 1 << 20]].concat()] {
            assert!(Tree::from_mpk(&bytes).is_err());
        }
        // A length that the file does not have.
        assert!(Tree::from_mpk(&[0xc6, 0xff, 0xff, 0xff, 0xff, 1]).is_err());
        let numbers = |n: usize| format!("[{}300]", "1,".repeat(n));
        assert!(Tree::from_json(numbers(15).as_bytes()).is_ok());
        assert!(Tree::from_json(numbers(16).as_bytes()).is_err());
        assert!(Tree::from_json("[".repeat(100_000).as_bytes()).is_err());
    }
}
