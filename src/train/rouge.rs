//! ROUGE ([Lin 2004](https://aclanthology.org/W04-1013)), as the package
//! [rouge-score](https://pypi.org/project/rouge-score/) computes it without its stemmer: words of `a` to `z` and digits,
//! lower-cased; the mean of F1 over texts.

use super::bleu::grams;

/// ROUGE-1, ROUGE-2 and ROUGE-L in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rouge {
    /// Of words.
    pub one: f64,
    /// Of pairs of words.
    pub two: f64,
    /// Of the longest common subsequence.
    pub l: f64,
}

/// ROUGE of texts, each held against its reference.
///
/// # Panics
/// Where there are not as many references as texts.
pub fn rouge(texts: &[String], references: &[String]) -> Rouge {
    assert_eq!(texts.len(), references.len(), "every text has its reference");
    let mut sum = Rouge::default();
    for (text, reference) in texts.iter().zip(references) {
        let (text, reference) = (words(text), words(reference));
        sum.one += of_grams(&text, &reference, 1);
        sum.two += of_grams(&text, &reference, 2);
        sum.l += f1(common(&text, &reference), text.len(), reference.len());
    }
    let percent = 100.0 / texts.len().max(1) as f64;
    Rouge { one: sum.one * percent, two: sum.two * percent, l: sum.l * percent }
}

fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit());
    words.filter(|word| !word.is_empty()).map(String::from).collect()
}

fn of_grams(text: &[String], reference: &[String], n: usize) -> f64 {
    let truth = grams(reference, n);
    let right = grams(text, n)
        .into_iter()
        .map(|(gram, count): (_, usize)| count.min(truth.get(gram).copied().unwrap_or(0)))
        .sum();
    f1(right, (text.len() + 1).saturating_sub(n), (reference.len() + 1).saturating_sub(n))
}

fn f1(right: usize, said: usize, truth: usize) -> f64 {
    if right == 0 { 0.0 } else { 2.0 * right as f64 / (said + truth) as f64 }
}

/// The length of the longest common subsequence.
fn common(a: &[String], b: &[String]) -> usize {
    let mut row = vec![0; b.len() + 1];
    for word in a {
        let mut diagonal = 0;
        for (k, other) in b.iter().enumerate() {
            let above = row[k + 1];
            row[k + 1] = if word == other { diagonal + 1 } else { above.max(row[k]) };
            diagonal = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Figures of rouge-score 0.1.2.
    #[test]
    fn rouge_score_says_the_same() {
        let (text, reference) =
            ("The quick brown dog jumps on the log.", "The quick brown fox jumps over the lazy dog");
        let rouge = rouge(&[text.into()], &[reference.into()]);
        let expected = [70.588_235_294, 26.666_666_667, 58.823_529_412];
        for (value, expected) in [rouge.one, rouge.two, rouge.l].into_iter().zip(expected) {
            assert!((value - expected).abs() < 1e-6, "{value} and {expected}");
        }
    }

    #[test]
    fn nothing_in_common_is_nothing() {
        assert_eq!(rouge(&["".into(), "x".into()], &["y".into(), "".into()]), Rouge::default());
    }
}
