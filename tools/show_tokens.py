"""Show in the terminal which tokens of some functions survive: python tools/show_tokens.py [FOLDER] [--count 3].

FOLDER is the folder of a pruning, `results/pruning/{code}/{classifier}/seed~{seed}/{pruning}`; the default is the first
one with an export. The darker a token's background, the more layers keep it; `>` marks lines found by the analyser.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow/scripts"))

import pandas as pd  # noqa: E402

from sparse_attention.data.code.functions import read_functions  # noqa: E402
from sparse_attention.errors import InputError  # noqa: E402
from sparse_attention.reporting.painting import as_terminal  # noqa: E402

EXPORT = "export/pruned.parquet"


def show(folder: Path, numbers: list[int], count: int) -> str:
    """Return functions as coloured text: those in `numbers`, or the first `count` test functions if it is empty."""
    if not (folder / EXPORT).is_file():
        raise InputError(f"{folder}: has no {EXPORT}; allowed: the folder of a pruning that `make run` has finished")
    code = folder.resolve().parents[2].name
    functions = list(read_functions(folder.resolve().parents[4] / "code" / code / "functions.parquet"))
    table = pd.read_parquet(folder / EXPORT).set_index("function")
    layers = int(table["last_layer"].map(max).max())
    chosen = numbers or table.index[table["split"] == "test"].tolist()[:count]
    unknown = sorted(set(chosen) - set(table.index))
    if unknown:
        raise InputError(f"--function: {unknown[0]} is not allowed; allowed: from 0 to {int(table.index.max())}")
    texts = []
    for number in chosen:
        row, function = table.loc[number].to_dict(), functions[number]
        survive = sum(last == layers for last in row["last_layer"])
        head = f"#{number} {function.project} {function.path}: label {function.label} {function.rule}".rstrip()
        result = f"probability {row['probability']:.2f}, {survive} of {len(row['last_layer'])} tokens survive"
        texts.append(f"{head}, {result}\n{as_terminal(row, function.source, layers, function.lines)}\n")
    return "\n".join(texts)


def main() -> None:
    """Read the command line and print the functions."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, help="folder of a pruning; default: the first with an export")
    parser.add_argument("--function", type=int, nargs="+", default=[], help="rows of functions.parquet")
    parser.add_argument("--count", type=int, default=3, help="number of test functions, when no function is named")
    given = parser.parse_args()
    found = [path.parents[1] for path in sorted(Path("results/pruning").glob(f"*/*/*/*/{EXPORT}"))]
    folder = given.folder or (found[0] if found else Path("results/pruning"))
    try:
        print(show(folder, given.function, given.count))
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
