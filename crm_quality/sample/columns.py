"""Build whole columns of text at once. Belongs here: formatting of arrays. Does not: what the values mean."""

# mypy: disable-error-code="no-any-return, import-untyped"
# (numpy types what is computed from text columns as Any; pyarrow brings no types.)

from collections.abc import Callable, Sequence
from datetime import date, time
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Array = npt.NDArray[Any]
Text = npt.NDArray[np.object_]
Mask = npt.NDArray[np.bool_]
Frame = dict[str, Array]

_FIRST_DAY = np.datetime64("1880-01-01", "D")


def text(values: Sequence[Any]) -> Text:
    """A column of text from Python values, even where they are nested or all of one length."""
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def blank(size: int) -> Text:
    """A column without values."""
    return np.full(size, None, dtype=object)


def digits(values: Array, width: int = 0) -> Text:
    """Whole numbers as text, with leading zeros up to a width."""
    column = pa.array(values.astype(np.int64)).cast(pa.string())
    if width:
        column = pc.utf8_lpad(column, width, "0")
    return column.to_numpy(zero_copy_only=False)


@cache
def _days(form: str) -> Text:
    span = np.arange(_FIRST_DAY, np.datetime64("2060-01-01", "D")).astype(str).tolist()
    return text([form.replace("%Y", day[:4]).replace("%m", day[5:7]).replace("%d", day[8:]) for day in span])


@cache
def _times(form: str) -> Text:
    day = [time(s // 3600, s // 60 % 60, s % 60) for s in range(86_400)]
    return text([moment.strftime(form) for moment in day])


def day_text(days: Array, form: str = "%Y-%m-%d") -> Text:
    """Days as text, with %Y, %m and %d in `form`; no day gives no value."""
    missing = np.isnat(days)
    at = (np.where(missing, _FIRST_DAY, days).astype("datetime64[D]") - _FIRST_DAY).astype(np.int64)
    written = _days(form)[at]
    written[missing] = None
    return written


def moment_text(moments: Array, form: str) -> Text:
    """Moments in a strptime form whose day comes before its time; no moment gives no value."""
    at = min((form.index(part) for part in ("%H", "%I") if part in form), default=len(form))
    missing = np.isnat(moments)
    filled = np.where(missing, np.datetime64("2000-01-01", "s"), moments).astype("datetime64[s]")
    day = filled.astype("datetime64[D]")
    written = day_text(day, form[:at])
    if at < len(form):
        written = written + _times(form[at:])[(filled - day).astype(np.int64)]
    written[missing] = None
    return written


def epoch_milliseconds(moments: Array) -> Text:
    """Moments as milliseconds since 1970, written as text; no moment gives no value."""
    missing = np.isnat(moments)
    filled = np.where(missing, np.datetime64(0, "s"), moments).astype("datetime64[ms]")
    written = digits(filled.astype(np.int64))
    written[missing] = None
    return written


def decimal_text(cents: Array) -> Text:
    """Hundredths as plain decimals: 123456 becomes 1234.56."""
    sign = choose(cents < 0, "-", "")
    return sign + digits(np.abs(cents) // 100) + "." + digits(np.abs(cents) % 100, 2)


def sap_decimal_text(cents: Array) -> Text:
    """Hundredths as a classic SAP list writes them: 1.234,56 and, for a credit, 1.234,56-."""
    whole, rest = np.divmod(np.abs(cents.astype(np.int64)), 100)
    written = digits(whole)
    for limit in (10**3, 10**6, 10**9):
        large = whole >= limit
        if large.any():
            written[large] = [_dotted(number) for number in whole[large].tolist()]
            break
    written = written + "," + digits(rest, 2)
    written[cents < 0] = written[cents < 0] + "-"
    return written


def _dotted(number: int) -> str:
    return f"{number:,}".replace(",", ".")


def join(parts: Sequence[Text | str]) -> Text:
    """Columns and constants joined without a separator; a missing part makes the whole missing."""
    missing = np.zeros(len(next(part for part in parts if not isinstance(part, str))), dtype=bool)
    for part in parts:
        if not isinstance(part, str):
            missing |= is_missing(part)
    whole: Any = ""
    for part in parts:
        whole = whole + (part if isinstance(part, str) else np.where(missing, "", part))
    whole[missing] = None
    return whole


def choose(where: Array, yes: Any, no: Any) -> Text:
    """Text of one or the other column (or constant, or None) row by row."""
    column = np.empty(len(where), dtype=object)
    column[:] = no
    column[where] = yes[where] if isinstance(yes, np.ndarray) else yes
    return column


def is_missing(column: Text) -> Mask:
    """Where a column has no value."""
    missing: Mask = np.equal(column, np.array(None, dtype=object)).astype(bool)
    return missing


def change(column: Text, where: Mask, how: Callable[[str], str]) -> None:
    """Change the chosen values of a column in place, leaving missing ones alone."""
    at = np.flatnonzero(where & ~is_missing(column))
    column[at] = text([how(value) for value in column[at].tolist()])


def per_value(column: Text, how: Callable[[Any], str | None]) -> Text:
    """A column of what `how` makes of each value, worked out once per distinct value, None included."""
    encoded = pa.array(column, pa.string()).dictionary_encode()
    made = text([*(how(value) for value in encoded.dictionary.to_pylist()), how(None)])
    return made[encoded.indices.fill_null(len(made) - 1).to_numpy(zero_copy_only=False)]


def pick(rng: np.random.Generator, options: Sequence[Any] | Text, size: int, skew: float = 0.0) -> Text:
    """Random choices; with a skew, choices follow Zipf's law in the order of the options."""
    table = options if isinstance(options, np.ndarray) else text(list(options))
    return table[pick_index(rng, len(table), size, skew)]


def pick_index(rng: np.random.Generator, options: int, size: int, skew: float = 0.0) -> Array:
    """Positions chosen at random among a number of options, by Zipf's law when skewed."""
    if not skew:
        return rng.integers(0, options, size)
    weight = 1.0 / (np.arange(options) + 2.0) ** skew
    return np.searchsorted(np.cumsum(weight) / weight.sum(), rng.random(size), side="right").clip(0, options - 1)


def moments_between(rng: np.random.Generator, first: Array, last: Array) -> Array:
    """Moments during working hours on random days from `first` to `last`, both included."""
    low = first.astype("datetime64[D]")
    span = np.maximum((last.astype("datetime64[D]") - low).astype(np.int64), 0) + 1
    day = low + (rng.random(len(low)) * span).astype("timedelta64[D]")
    second = rng.integers(8 * 3600, 20 * 3600, len(low)).astype("timedelta64[s]")
    return day.astype("datetime64[s]") + second


def as_day(day: date) -> np.datetime64:
    """A Python date as numpy's."""
    return np.datetime64(day, "D")


def take(frame: Frame, where: Array) -> Frame:
    """The chosen rows of a frame."""
    return {name: column[where] for name, column in frame.items()}


def stack(frames: Sequence[Frame]) -> Frame:
    """Frames with the same columns, one under the other."""
    return {name: np.concatenate([frame[name] for frame in frames]) for name in frames[0]}
