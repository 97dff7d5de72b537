"""Turns simple TeX formulas into plain text."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 60
SYMBOLS = {
    "times": "×", "cdot": "·", "pm": "±", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "ne": "≠", "neq": "≠",
    "approx": "≈", "infty": "∞", "to": "→", "rightarrow": "→", "in": "∈", "notin": "∉", "subset": "⊂", "subseteq": "⊆",
    "cup": "∪", "cap": "∩", "emptyset": "∅", "forall": "∀", "exists": "∃", "ldots": "…", "dots": "…", "cdots": "…",
    "dotsc": "…", "dotsb": "…", "sum": "∑", "prod": "∏", "int": "∫", "sqrt": "√", "partial": "∂", "nabla": "∇",
    "equiv": "≡", "sim": "~", "thicksim": "~", "circ": "∘", "mapsto": "↦", "quad": " ", "qquad": " ", "lor": "∨",
    "land": "∧", "neg": "¬", "ll": "≪", "gg": "≫", "mid": "|", "prime": "′", "langle": "⟨", "rangle": "⟩",
    "leftrightarrow": "↔", "Rightarrow": "⇒", "aleph": "ℵ",
}  # fmt: skip
SILENT = frozenset(
    ("left", "right", "bar", "hat", "tilde", "vec", "overline", "underline", "mathrm", "mathbf", "mathit", "mathcal",
     "mathbb", "mathfrak", "mathsf", "text", "textstyle", "displaystyle", "textbf", "textit", "operatorname", "rm",
     "bf", "it", "boldsymbol", "limits", "big", "Big", "bigg", "Bigg", "dot", "ddot", "widehat", "widetilde")
)  # fmt: skip
FUNCTIONS = frozenset(
    ("sin", "cos", "tan", "log", "ln", "exp", "lim", "max", "min", "sup", "inf", "det", "dim", "ker", "gcd", "mod",
     "bmod", "arg", "deg", "Pr")
)  # fmt: skip


def plain_formula(tex: str) -> str:
    """Return a simple formula as text (`x_i^2 ≤ α`), or the word "formula" when it would not be readable as text."""
    text = re.sub(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"\1/\2", tex)
    unknown = False

    def command(match: re.Match[str]) -> str:
        nonlocal unknown
        name = match[1]
        if name in SYMBOLS:
            return SYMBOLS[name]
        if name in SILENT:
            return ""
        if name in FUNCTIONS:
            return f" {name} "
        size = "CAPITAL" if name[0].isupper() else "SMALL"
        letter = name.removeprefix("var").upper().replace("LAMBDA", "LAMDA")
        try:
            return unicodedata.lookup(f"GREEK {size} LETTER {letter}")
        except KeyError:
            unknown = True
            return ""

    text = re.sub(r"\\([A-Za-z]+) ?", command, text)
    text = re.sub(r"\\[,;:!> ]", " ", text)
    text = text.replace("\\{", "(").replace("\\}", ")").replace("{", "").replace("}", "")
    text = " ".join(text.split())
    return "formula" if unknown or "\\" in text or "&" in text or len(text) > LONGEST else text
