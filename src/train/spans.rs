//! Spans in a sequence of tags: what a slot's or an entity's F1 counts.

/// A label that training has not seen.
const UNKNOWN: &str = "<unk>";

/// What a label says of its step, in the BIO scheme ([Ramshaw and Marcus 1995](https://aclanthology.org/W95-0107)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tag {
    /// `B-kind`: a span begins.
    Begin(String),
    /// `I-kind`: the span goes on; without one of its kind before it, it begins one.
    Inside(String),
    /// `O`: no span.
    Outside,
}

/// The tags that labels are, if they are all of the BIO scheme and there is a span among them.
pub fn tags(labels: &[String]) -> Option<Vec<Tag>> {
    let tag = |label: &String| match (label.as_str(), label.split_once('-')) {
        ("O", _) => Some(Tag::Outside),
        // A tag that training has not seen is a span that no model finds.
        (UNKNOWN, _) => Some(Tag::Begin(UNKNOWN.into())),
        (_, Some(("B", kind))) if !kind.is_empty() => Some(Tag::Begin(kind.into())),
        (_, Some(("I", kind))) if !kind.is_empty() => Some(Tag::Inside(kind.into())),
        _ => None,
    };
    let tags: Vec<Tag> = labels.iter().map(tag).collect::<Option<_>>()?;
    labels.iter().any(|label| label.starts_with("B-")).then_some(tags)
}

/// Spans of a sequence of labels: where each begins, where it ends, and its kind.
pub fn spans<'a>(tags: &'a [Tag], labels: &[i64]) -> Vec<(usize, usize, &'a str)> {
    let mut spans: Vec<(usize, usize, &str)> = Vec::new();
    let mut open = false;
    for (at, &label) in labels.iter().enumerate() {
        match &tags[label as usize] {
            Tag::Inside(kind) if open && spans.last().is_some_and(|span| span.2 == kind) => {
                spans.last_mut().expect("one is open").1 = at + 1;
            }
            Tag::Begin(kind) | Tag::Inside(kind) => {
                spans.push((at, at + 1, kind));
                open = true;
            }
            Tag::Outside => open = false,
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn labels_of_another_scheme_have_no_spans() {
        assert_eq!(tags(&of(&["O", "B-", "I-a"])), None);
        assert_eq!(tags(&of(&["NOUN", "O"])), None);
        assert_eq!(tags(&of(&["O"])), None);
        assert_eq!(tags(&of(&["<unk>", "O"])), None);
        assert!(tags(&of(&["O", "B-a", "I-a-b"])).is_some());
    }

    #[test]
    fn spans_begin_and_end() {
        // 0 O, 1 B-a, 2 I-a, 3 B-b, 4 I-b
        let tags = tags(&of(&["O", "B-a", "I-a", "B-b", "I-b"])).unwrap();
        let of = |labels: &[i64]| spans(&tags, labels);
        assert_eq!(of(&[0, 1, 2, 2, 0, 3]), [(1, 4, "a"), (5, 6, "b")]);
        // Side by side; another kind goes on; inside without a beginning, as conlleval counts.
        assert_eq!(of(&[1, 1, 2]), [(0, 1, "a"), (1, 3, "a")]);
        assert_eq!(of(&[1, 4]), [(0, 1, "a"), (1, 2, "b")]);
        assert_eq!(of(&[2, 2, 0, 2]), [(0, 2, "a"), (3, 4, "a")]);
        assert_eq!(of(&[0, 0]), []);
    }
}
