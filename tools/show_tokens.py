"""Show in the terminal which tokens of some functions survive: python tools/show_tokens.py [FOLDER] [--count 3].

FOLDER is that of a pruning, `results/pruning/{code}/{classifier}/seed~{seed}/{pruning}`; without it, the first that has
an export. The darker a token's background, the more layers keep it; `>` marks the lines that the analyser found.
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
    """Return the functions, `numbers` or else the first `count` of test, as text with colours."""
    if not (folder / EXPORT).is_file():
        raise InputError(f"{folder}: has no {EXPORT}; allowed: a folder of a pruning that `make run` finished")
    code = folder.resolve().parents[2].name
    functions = list(read_functions(folder.resolve().parents[4] / "code" / code / "functions.parquet"))
    table = pd.read_parquet(folder / EXPORT).set_index("function")
    layers = int(table["last_layer"].map(max).max())
    chosen = numbers or table.index[table["split"] == "test"].tolist()[:count]
    unknown = sorted(set(chosen) - set(table.index))
    if unknown:
        raise InputError(f"--function: {unknown[0]}; allowed: from 0 to {int(table.index.max())}")
    texts = []
    for number in chosen:
        row, function = table.loc[number].to_dict(), functions[number]
        survive = sum(last == layers for last in row["last_layer"])
        head = f"#{number} {function.project} {function.path}: label {function.label} {function.rule}".rstrip()
        told = f"probability {row['probability']:.2f}, {survive} of {len(row['last_layer'])} tokens survive"
        texts.append(f"{head}, {told}\n{as_terminal(row, function.source, layers, function.lines)}\n")
    return "\n".join(texts)


def main() -> None:
    """Read the command line and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, help="of a pruning; default: the first one with an export")
    parser.add_argument("--function", type=int, nargs="+", default=[], help="rows of functions.parquet")
    parser.add_argument("--count", type=int, default=3, help="how many of test, when no function is named")
    given = parser.parse_args()
    found = [path.parents[1] for path in sorted(Path("results/pruning").glob(f"*/*/*/*/{EXPORT}"))]
    folder = given.folder or (found[0] if found else Path("results/pruning"))
    try:
        print(show(folder, given.function, given.count))
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
