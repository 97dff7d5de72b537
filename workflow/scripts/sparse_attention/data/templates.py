"""Turns inline templates of Wikipedia into the text that they show; templates that are not listed here become empty.

Without this a sentence loses words: "The term {{lang|grc|ἀναρχία}} is a compound word".
Templates of other wikis can be added to the tables in this module.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Call:
    """A use of a template.

    Attributes
    ----------
    name : str
        In lower case, with spaces instead of underscores.
    positional : list of str
        Values without a name, rendered and stripped.
    named : dict
        Values with a name, by name.
    date : str
        The date of the page's revision, YYYY-MM-DD or empty, up to which templates such as {{age}} count time.
    """

    name: str
    positional: list[str]
    named: dict[str, str] = field(default_factory=dict)
    date: str = ""

    def get(self, number: int, default: str = "") -> str:
        """Return the positional value `number`, counted from 1."""
        return self.positional[number - 1] if number <= len(self.positional) else default


Show = Callable[[Call], str]

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip
UNITS = {
    "mi": "miles", "sqmi": "square miles", "mi2": "square miles", "km": "kilometres", "km2": "square kilometres",
    "sqkm": "square kilometres", "m": "metres", "m2": "square metres", "cm": "centimetres", "mm": "millimetres",
    "ft": "feet", "in": "inches", "yd": "yards", "sqft": "square feet", "acre": "acres", "ha": "hectares",
    "kg": "kilograms", "g": "grams", "t": "tonnes", "lb": "pounds", "lbs": "pounds", "oz": "ounces", "ST": "short tons",
    "LT": "long tons", "l": "litres", "L": "litres", "usgal": "US gallons", "impgal": "imperial gallons",
    "mph": "miles per hour", "mi/h": "miles per hour", "km/h": "kilometres per hour", "kn": "knots",
    "nmi": "nautical miles", "C": "°C", "F": "°F", "K": "K", "hp": "horsepower", "inch": "inches", "foot": "feet",
    "sqm": "square metres", "sqyd": "square yards", "cuft": "cubic feet", "m3": "cubic metres", "C-change": "°C",
    "F-change": "°F", "fathom": "fathoms", "m/s": "metres per second", "ft/s": "feet per second", "carat": "carats",
    "ft3": "cubic feet", "km3": "cubic kilometres", "AU": "AU", "oilbbl": "barrels", "oilbbl/d": "barrels per day",
    "koilbbl/d": "thousand barrels per day", "Moilbbl": "million barrels", "Moilbbl/d": "million barrels per day",
    "Goilbbl": "billion barrels", "Tcuft": "trillion cubic feet", "PD/sqmi": "people per square mile",
    "PD/km2": "people per square kilometre", "USgal": "US gallons", "smi": "miles", "°C": "°C", "°F": "°F",
}  # fmt: skip
POWERS = {"e3": "thousand", "e6": "million", "e9": "billion", "e12": "trillion"}
RANGES = {"to": " to ", "-": "–", "–": "–", "and": " and ", "or": " or ", "by": " by ", "x": " × ", "×": " × ",
          "to(-)": " to ", "and(-)": " and ", "+/-": " ± ", "±": " ± ", "to about": " to about "}  # fmt: skip
MOST_DIGITS = 100
NUCLIDES = ("nuclide", "nuclide2", "simplenuclide", "simplenuclide2")


def _convert(call: Call) -> str:
    """Show the quantity that {{convert}} is given, such as `5 to 10 kilometres`, and not the converted one."""
    parts = deque(call.positional)
    text: list[str] = []
    while parts:
        text.append(grouped(parts.popleft()))
        if not parts:
            break
        word = parts.popleft()
        if word in RANGES and parts:
            text.append(RANGES[word])
            continue
        text.append(" " + _unit(word))
        # {{convert|6|ft|2|in}} has a second input; {{convert|6|ft|m|0}} has an output unit and a precision
        if len(parts) >= 2 and word in ("ft", "lb", "mi", "st", "yd") and _is_number(parts[0]) and parts[1] in UNITS:
            text.append(" ")
            continue
        break
    return "".join(text)


def _unit(code: str) -> str:
    for prefix, power in POWERS.items():
        if code.startswith(prefix):
            unit = code.removeprefix(prefix)
            return f"{power} {UNITS.get(unit, unit)}"
    return UNITS.get(code, code)


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "").lstrip("+-−").isdecimal()


def _is_whole(text: str) -> bool:
    """Return whether `int` can read a text: digits such as "²" are refused, and so are thousands of digits."""
    return text.isdecimal() and len(text) <= MOST_DIGITS


def grouped(number: str) -> str:
    """Return a number of more than four digits with commas between thousands, and any other text as it is."""
    whole, dot, fraction = number.partition(".")
    return f"{int(whole):,}{dot}{fraction}" if _is_whole(whole) and len(whole) > 4 else number


def _as_of(call: Call) -> str:
    lead = call.named.get("alt") or ("as of" if call.named.get("lc") else "As of")
    return lead if call.named.get("alt") else f"{lead} {_date(call)}"


def _date(call: Call) -> str:
    year, month, day = call.get(1), call.get(2), call.get(3)
    if _is_whole(month) and 1 <= int(month) <= 12:
        month = MONTHS[int(month) - 1]
    return " ".join(part for part in (day.lstrip("0"), month, year) if part)


def _age(call: Call) -> str:
    """Show the full years between two dates; without a second date, those up to the revision."""
    parts = [part for part in call.positional if part.isdecimal()]
    if len(parts) < 6:
        parts = parts[:3] + [part for part in call.date.split("-") if part.isdecimal()]
    if len(parts) != 6 or not all(map(_is_whole, parts)):
        return ""
    numbers = [int(part) for part in parts]
    (year, *first), (last_year, *last) = numbers[:3], numbers[3:]
    return str(last_year - year - (last < first))


def _fraction(call: Call) -> str:
    values = call.positional
    if len(values) == 1:
        return f"1/{values[0]}"
    return f"{values[0]} {values[1]}/{values[2]}" if len(values) == 3 else "/".join(values)


def _ship(call: Call) -> str:
    return " ".join(part for part in (call.name.upper(), call.get(1)) if part)


def _japanese(call: Call) -> str:
    inside = ", ".join(part for part in (call.get(2), call.get(3)) if part)
    return f"{call.get(1)} ({inside})" if call.get(1) and inside else call.get(1) or inside


def _value(call: Call) -> str:
    power = f" × 10^{call.named['e']}" if "e" in call.named else ""
    unit = call.named.get("u") or call.named.get("ul") or ""
    error = f" ± {call.get(2)}" if call.get(2) and not call.get(2).startswith("(") else call.get(2)
    return f"{grouped(call.get(1))}{error}{power}{' ' + unit if unit else ''}"


def _item(number: int) -> Show:
    return lambda call: call.get(number)


def _last(call: Call) -> str:
    return call.positional[-1] if call.positional else ""


def _quote(call: Call) -> str:
    return "\n" + (call.get(1) or call.named.get("text", "") or call.named.get("quote", "")) + "\n"


def _text(text: str) -> Show:
    return lambda call: text


def _names(show: Show, names: str) -> dict[str, Show]:
    return {name.strip(): show for name in names.split(",")}


TEMPLATES: dict[str, Show] = {
    **_names(
        _item(1),
        """nowrap, nobr, avoid wrap, nohyphenation, small, smaller, big, bigger, large, larger, noitalic, nobold,
        normal, strong, em, overline, underline, sc, sc2, smallcaps, allcaps, polytonic, unicode, hebrew, nastaliq, nq,
        korean, zh, script/hebrew, script/arabic, asiantitle, ipa, ipaslink, iast, gloss, lit, literal translation,
        wikt-lang, vanchor, visible anchor, math, mvar, var, tmath, vr, sub, su, key, key press, keypress, kbd, abbr,
        tooltip, flag, flagcountry, flagu, proper name, not a typo, typo, lc, uc, sclass, xt, railgauge""",
    ),
    **_names(_item(2), "lang, rtl-lang, script, native name, resize, font, color, lang-latn, hover title, stylenowrap"),
    **_names(_last, "transl, translit, transliteration, ill, interlanguage link, link-interwiki"),
    **_names(_quote, "quote, blockquote, bquote, cquote, quotation, quote box, centered quote, block quote, rquote"),
    **_names(_date, "dts, date, start date, end date, start-date, end-date, birth date, death date"),
    **_names(lambda call: ", ".join(call.positional), "hlist, ubl, unbulleted list, plainlist, cslist"),
    **_names(lambda call: "".join(call.positional), "chem, chem2, linktext"),
    **_names(lambda call: f"⟨{call.get(1)}⟩", "angbr, angle brackets"),
    **_names(lambda call: f"c. {call.get(1)}".strip(), "circa, ca, c."),
    **_names(lambda call: f"fl. {call.get(1)}".strip(), "fl., floruit"),
    **_names(lambda call: f"r. {'–'.join(call.positional)}", "reign, r."),
    **_names(lambda call: f"{call.get(1)}-{call.get(2)}", ", ".join(NUCLIDES)),
    **_names(lambda call: f"[{call.get(1)}]", "bracket, interp, sqbr"),
    **_names(lambda call: f"{call.get(1)}^{call.get(2)}" if call.get(2) else f"^{call.get(1)}", "sup, superscript"),
    **_names(lambda call: f" × 10^{call.get(1)}", "e, e-sp, x10^"),
    **_names(lambda call: grouped(call.get(1)), "nts, formatnum, number"),
    **_names(lambda call: f"US${call.get(1)}", "us$, usd, us dollar"),
    **_names(lambda call: f"£{call.get(1)}", "gbp, £"),
    **_names(lambda call: f"€{call.get(1)}", "eur, euro, €"),
    **_names(lambda call: f"₹{call.get(1)}", "inr, indian rupee"),
    **_names(lambda call: {"flat": "♭", "sharp": "♯", "natural": "♮"}.get(call.get(1), call.get(1)), "music"),
    **_names(lambda call: "/".join(call.positional), "sfrac"),
    **_names(lambda call: call.date[:4], "currentyear"),
    **_names(lambda call: " ".join(call.positional), "bibleref, bibleverse"),
    **_names(lambda call: f"US patent {call.get(1)}", "us patent"),
    **_names(lambda call: f"{call.get(1)}, {call.get(2)}", "oldstyledate"),
    **_names(_ship, "hms, uss, hmas, hmcs, ss, ms, rms, mv, uscgc, sms, hmnzs"),
    **_names(_fraction, "frac, fraction"),
    **_names(_japanese, "nihongo, nihongo2, nihongo3"),
    **_names(_convert, "convert, cvt, height"),
    **_names(_as_of, "as of, asof"),
    **_names(_age, "age, age in years"),
    **_names(_value, "val"),
    **_names(_text("–"), "ndash, en dash, endash, –"),
    **_names(_text(" – "), "snd, snds, spaced ndash, spndash, spaced en dash, dash"),
    **_names(_text("—"), "mdash, em dash, emdash, mdashb"),
    **_names(_text(" "), "nbsp, thinsp, space, spaces, thin space, hair space, zwsp, wbr, zwnj, ·nbsp, pad"),
    **_names(_text(" · "), "·, middot, dot, •, bullet"),
    "'": _text("'"), "' \"": _text("'\""), "\" '": _text("\"'"), "'s": _text("'s"), "'\"": _text("'\""),
    "=": _text("="), "!": _text("|"), "pipe": _text("|"), "okina": _text("ʻ"), "hamza": _text("ʾ"), "ayin": _text("ʿ"),
    "sic": lambda call: call.get(1) if call.get(1) not in ("hide", "?") else call.get(2),
}  # fmt: skip
PREFIXES: dict[str, Show] = {"lang-": _item(1), "formatnum:": lambda call: grouped(call.name.partition(":")[2])}


def show(call: Call) -> str:
    """Return the text that a template shows; empty when the template is not known."""
    found = TEMPLATES.get(call.name)
    if found is None:
        found = next((shown for prefix, shown in PREFIXES.items() if call.name.startswith(prefix)), None)
    return found(call) if found else ""
