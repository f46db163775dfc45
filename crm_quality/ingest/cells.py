"""A mapped column as SQL over the columns of its headers. Belongs here: texts. Does not: types, joins."""

from crm_quality.sources.layout import Column
from crm_quality.warehouse import literal


def cell_text(spec: Column, values: list[str]) -> str:
    """The text of a column, made of the columns of its headers, as SQL."""
    if spec.constant is not None:
        return literal(spec.constant)
    if spec.formula is not None:
        return f"nullif(concat_ws(' ', {', '.join(values)}), '')"
    joined = values[0] if len(values) == 1 else f"concat_ws({literal(spec.join)}, {', '.join(values)})"
    return f"nullif({translated(spec, joined)}, '')"


def translated(spec: Column, text: str) -> str:
    """`extract`, `remove` and `values` of a column, applied to a text."""
    if spec.extract:
        text = f"regexp_extract({text}, {literal(spec.extract)})"
    if spec.remove:
        text = f"regexp_replace({text}, {literal(spec.remove)}, '', 'g')"
    if not spec.values:
        return text
    results = {old: "null" if new is None else literal(new) for old, new in spec.values.items()}
    rest = results.pop("*", text)
    results.setdefault("", "null")
    cases = " ".join(f"when {literal(old)} then {new}" for old, new in results.items())
    return f"case coalesce(trim({text}), '') {cases} else {rest} end"
