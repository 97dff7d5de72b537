"""Makes what tests/config/tiny.yaml runs on: a small MediaWiki dump, a tiny BERT with its own tokeniser,
and a table of labelled functions.

Usage: python tests/make_tiny.py [FOLDER]   (default: resources/tiny)
"""

from __future__ import annotations

import bz2
import csv
import random
import sys
from pathlib import Path
from xml.sax.saxutils import escape

SUBJECTS = "river mountain harbour library engine orchard castle bridge glacier market comet theatre".split()
ADJECTIVES = "old quiet northern narrow famous wooden deep bright crowded frozen hidden early".split()
VERBS = "crosses feeds borders supplies follows shelters guards divides overlooks replaces".split()
PLACES = "valley coast village plain island forest capital province desert lake".split()
YEARS = [str(year) for year in range(1800, 1830)]
FUNCTION_WORDS = "the a of in and was is near it its since that by to built named after".split()
CODE_WORDS = "def self subprocess run shell true false ( ) : = + ' _".split()
PAGE = """  <page>
    <title>{title}</title>
    <ns>0</ns>
    <id>{number}</id>
    <revision><id>{revision}</id><timestamp>2016-05-01T00:00:00Z</timestamp>
      <text xml:space="preserve">{text}</text>
    </revision>
  </page>
"""


def sentence(rng: random.Random, subject: str) -> str:
    """Return one sentence with links and bold text about a subject."""
    adjective, place, year = rng.choice(ADJECTIVES), rng.choice(PLACES), rng.choice(YEARS)
    other = rng.choice([name for name in SUBJECTS if name != subject])
    return rng.choice(
        [
            f"The '''{subject}''' {rng.choice(VERBS)} the {adjective} [[{other}]] of the {place}.",
            f"It was built in {year} near the [[{place}|{adjective} {place}]].",
            f"Since {year} the {subject} is named after a {adjective} {other}.<ref>A source.</ref>",
            f"The {adjective} {subject} and the {other} of the {place} was {rng.choice(ADJECTIVES)}.",
        ]
    )


def dump(articles: int = 30, sentences: int = 40, seed: int = 0) -> str:
    """Return a MediaWiki XML dump of made-up articles, with a redirect and a talk page among them."""
    rng = random.Random(seed)
    pages = []
    for number in range(1, articles + 1):
        subject = SUBJECTS[number % len(SUBJECTS)]
        paragraphs = [
            " ".join(sentence(rng, subject) for _ in range(10)) for _ in range(max(1, sentences // 10))
        ]  # fmt: skip
        text = "{{Infobox|name=x}}\n" + "\n\n== Section ==\n".join(paragraphs) + "\n[[Category:Things]]"
        pages.append(PAGE.format(title=f"{subject} {number}", number=number, revision=1000 + number, text=escape(text)))
    pages.append(PAGE.format(title="Old name", number=998, revision=1998, text="#REDIRECT [[river 12]]"))
    return (
        f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" version="0.10">\n{"".join(pages)}</mediawiki>\n'
    )


def model(folder: Path, layers: int = 2, heads: int = 2, hidden: int = 32, positions: int = 64) -> None:
    """Write a BERT with random weights and a word tokeniser that knows every word of the dump."""
    import torch
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

    words = sorted({*SUBJECTS, *ADJECTIVES, *VERBS, *PLACES, *YEARS, *FUNCTION_WORDS, *CODE_WORDS, ".", ",", "section"})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=BertWordPieceTokenizer({piece: number for number, piece in enumerate(pieces)})._tokenizer,
        pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]",
        model_max_length=positions,
    )  # fmt: skip
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(pieces), hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=2 * hidden, max_position_embeddings=positions,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    network = BertForMaskedLM(config)
    for name, weight in network.named_parameters():
        # scores as far apart as a trained model's, so that entmax has something to leave out
        if name.endswith(("query.weight", "key.weight")):
            weight.data *= 8
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def functions(path: Path, projects: int = 10, each: int = 12, seed: int = 0) -> None:
    """Write made-up Python functions of several projects; half of them run a command through a shell."""
    rng = random.Random(seed)
    with open(path, "w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["functionSource", "label", "project", "rule"])
        for number in range(projects * each):
            noun, other, label = rng.choice(SUBJECTS), rng.choice(PLACES), number % 2
            lines = [f"def {rng.choice(VERBS)}_{noun}(self, {other}, {rng.choice(ADJECTIVES)}):"]
            lines += [f"    {rng.choice(PLACES)} = {other}.{rng.choice(SUBJECTS)}({rng.choice(YEARS)})"
                      for _ in range(rng.randint(3, 9))]  # fmt: skip
            lines.append(f"    subprocess.run('{noun} ' + {other}, shell={bool(label)})")
            rows.writerow(["\n".join(lines), label, f"project{number // each}", "B602" if label else ""])


def main(folder: Path) -> None:
    """Write all of it into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "wiki.xml.bz2").write_bytes(bz2.compress(dump().encode()))
    model(folder / "model")
    functions(folder / "functions.csv")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "resources/tiny"))
