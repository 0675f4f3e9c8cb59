"""BLEU and ROUGE of texts by the packages that are the reference for them.

    python tests/texts/scores.py < TEXTS.json

reads {"texts": [...], "references": [[...], ...]}, an equal number of references a text, and prints one JSON object.
Needs sacrebleu and rouge-score.
"""

import json
import sys

import sacrebleu
from rouge_score import rouge_scorer

given = json.load(sys.stdin)
texts, references = given["texts"], given["references"]
streams = [list(stream) for stream in zip(*references)]
scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"])
scores = [scorer.score(of[0], text) for text, of in zip(texts, references)]
mean = lambda key: 100 * sum(score[key].fmeasure for score in scores) / len(scores)
print(
    json.dumps(
        {
            "versions": f"sacrebleu {sacrebleu.__version__}",
            "bleu": sacrebleu.corpus_bleu(texts, streams).score,
            "bleu_lowercase": sacrebleu.corpus_bleu(texts, streams, lowercase=True).score,
            "rouge": [mean("rouge1"), mean("rouge2"), mean("rougeL")],
        }
    )
)
