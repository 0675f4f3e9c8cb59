//! BLEU ([Papineni et al. 2002](https://aclanthology.org/P02-1040)) of a whole corpus, as
//! [sacrebleu](https://github.com/mjpost/sacrebleu) computes it by default: tokens of `mteval-v13a`, n-grams up to 4,
//! exponential smoothing, the reference length that is closest.

use regex::Regex;
use std::collections::HashMap;

/// Words of an n-gram at most.
const ORDER: usize = 4;

/// BLEU in percent. Each text is held against one reference or more; `lowercase`: upper and lower case are the same.
///
/// # Panics
/// Where there are not as many lists of references as texts.
pub fn bleu(texts: &[String], references: &[Vec<String>], lowercase: bool) -> f64 {
    assert_eq!(texts.len(), references.len(), "every text has its references");
    let tokenizer = Tokenizer::new();
    let tokens = |text: &str| {
        let text = if lowercase { text.to_lowercase() } else { text.to_string() };
        tokenizer.tokens(&text)
    };
    let (mut right, mut said) = ([0usize; ORDER], [0usize; ORDER]);
    let (mut length, mut reference_length) = (0, 0);
    for (text, references) in texts.iter().zip(references) {
        let text = tokens(text);
        let references: Vec<Vec<String>> = references.iter().map(|reference| tokens(reference)).collect();
        length += text.len();
        // Of two that are as close, the shorter.
        let closest = references.iter().map(Vec::len).min_by_key(|&n| (n.abs_diff(text.len()), n));
        reference_length += closest.unwrap_or(0);
        for n in 1..=ORDER {
            let mut most: HashMap<&[String], usize> = HashMap::new();
            for reference in &references {
                for (gram, count) in grams(reference, n) {
                    let most = most.entry(gram).or_default();
                    *most = count.max(*most);
                }
            }
            for (gram, count) in grams(&text, n) {
                right[n - 1] += count.min(most.get(gram).copied().unwrap_or(0));
                said[n - 1] += count;
            }
        }
    }
    // Where nothing is right, or too short, nothing is smoothed.
    if said.contains(&0) || right == [0; ORDER] {
        return 0.0;
    }
    let mut smooth = 1.0;
    let logarithms = right.iter().zip(&said).map(|(&right, &said)| match right {
        0 => {
            smooth *= 2.0;
            (1.0 / (smooth * said as f64)).ln()
        }
        right => (right as f64 / said as f64).ln(),
    });
    let mean = logarithms.sum::<f64>() / ORDER as f64;
    let brevity = (1.0 - reference_length as f64 / length as f64).min(0.0);
    100.0 * (brevity + mean).exp()
}

/// How often each n-gram is there.
pub(super) fn grams(tokens: &[String], n: usize) -> HashMap<&[String], usize> {
    let mut counts = HashMap::new();
    for gram in tokens.windows(n) {
        *counts.entry(gram).or_default() += 1;
    }
    counts
}

/// The tokenizer of NIST's `mteval-v13a`, for text without mark-up.
struct Tokenizer([(Regex, &'static str); 4]);

impl Tokenizer {
    fn new() -> Self {
        let rule = |pattern: &str, with| (Regex::new(pattern).expect("a valid pattern"), with);
        Self([
            // Signs but the apostrophe, comma, hyphen and full stop.
            rule(r"([\{-~\[-` -\&\(-\+:-@/])", " $1 "),
            // Full stop and comma, unless a digit stands on both sides.
            rule(r"([^0-9])([.,])", "$1 $2 "),
            rule(r"([.,])([^0-9])", " $1 $2"),
            // A hyphen after a digit.
            rule(r"([0-9])(-)", "$1 $2 "),
        ])
    }

    fn tokens(&self, text: &str) -> Vec<String> {
        let text = text.replace('\n', " ").replace("&quot;", "\"");
        let mut text = format!(" {} ", text.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"));
        for (pattern, with) in &self.0 {
            text = pattern.replace_all(&text, *with).into_owned();
        }
        text.split_whitespace().map(String::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str], references: &[&[&str]]) -> f64 {
        let texts: Vec<String> = texts.iter().map(|text| text.to_string()).collect();
        let references: Vec<Vec<String>> =
            references.iter().map(|all| all.iter().map(|text| text.to_string()).collect()).collect();
        bleu(&texts, &references, false)
    }

    /// Figures of sacrebleu 2.6.0: `corpus_bleu(texts, references).score`.
    #[test]
    fn sacrebleu_says_the_same() {
        let two = ["The dog bit the man.", "It was not unexpected."];
        for (bleu, expected) in [
            (of(&two, &[&[two[0]], &[two[1]]]), 100.0),
            (of(&["The dog bit the man."], &[&["The dog had bit the man."]]), 51.150_781_157_932_42),
            (of(&["a b"], &[&["a b"]]), 0.0),
            (of(&["a b c d e"], &[&["v w x y z"]]), 0.0),
        ] {
            assert!((bleu - expected).abs() < 1e-9, "{bleu} and {expected}");
        }
    }

    #[test]
    fn signs_are_tokens_and_numbers_stay() {
        let tokens = Tokenizer::new().tokens("It's $3,000.50 (or 5-6%), isn't it? \"No\" &amp; well-kept...");
        let expected = "It's $ 3,000.50 ( or 5 - 6 % ) , isn't it ? \" No \" & well-kept . . .";
        assert_eq!(tokens.join(" "), expected);
    }
}
