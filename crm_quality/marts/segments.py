"""Read how customers are sorted, and tag them. Belongs here: segments.yaml. Does not: segments, which are SQL."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import duckdb
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from crm_quality.errors import CrmQualityError
from crm_quality.settings import explain_validation
from crm_quality.warehouse import literal, quoted

FILE_NAME = "segments.yaml"
DEFAULT = Path(__file__).with_name(FILE_NAME)
_STRICT = ConfigDict(extra="forbid", frozen=True)
_Bounds = tuple[int, int]


class _Rfm(BaseModel):
    model_config = _STRICT

    segment: str
    r: _Bounds
    f: _Bounds


class _Tier(BaseModel):
    model_config = _STRICT

    tier: str
    spend: float = Field(ge=0, le=1)
    tenure_days: int = Field(ge=0)
    complexity: int = Field(ge=0)


class _Stages(BaseModel):
    model_config = _STRICT

    new_days: int = Field(ge=0)
    loyal_orders: int = Field(ge=1)
    at_risk_probability: float = Field(ge=0, le=1)
    lost_probability: float = Field(ge=0, le=1)
    won_back_gap_days: int = Field(ge=1)


class _Loyalty(BaseModel):
    model_config = _STRICT

    tier: str
    points: float = Field(ge=0)


class _Theme(BaseModel):
    model_config = _STRICT

    theme: str
    words: list[str] = Field(min_length=1)

    @property
    def pattern(self) -> str:
        """A regular expression for texts in lower case; Chinese puts nothing between words."""
        return "|".join((r"\b" if word.isascii() else "") + re.escape(word.lower()) for word in self.words)


class Tag(BaseModel):
    """A tag for whom a condition holds, or one for each value of a column."""

    model_config = _STRICT

    tag: str
    when: str | None = None
    each: str | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Tag:
        if (self.when is None) == (self.each is None):
            raise ValueError("give either when or each")
        return self


class Segments(BaseModel):
    """The content of segments.yaml."""

    model_config = _STRICT

    rfm: list[_Rfm] = Field(min_length=1)
    tiers: list[_Tier] = Field(min_length=1)
    stages: _Stages
    loyalty: list[_Loyalty] = Field(min_length=1)
    tags: list[Tag]
    themes: list[_Theme]


def load_segments(folder: Path) -> Segments:
    """How the project in a folder sorts customers. Raises CrmQualityError naming file, key and what is allowed."""
    own = folder / FILE_NAME
    content = {**_read(DEFAULT), **(_read(own) if own.is_file() else {})}
    try:
        return Segments.model_validate(content)
    except ValidationError as error:
        raise CrmQualityError(explain_validation(own if own.is_file() else DEFAULT, error)) from error


def write_segments(con: duckdb.DuckDBPyConnection, segments: Segments) -> None:
    """Make meta.rfm_segment, meta.tier, meta.stage_rule, meta.loyalty_tier and meta.theme, for the SQL models to read."""
    con.execute(
        """
        create or replace table meta.rfm_segment
            (place integer, segment varchar, r_from integer, r_to integer, f_from integer, f_to integer);
        create or replace table meta.tier
            (place integer, tier varchar, spend double, tenure_days integer, complexity integer);
        create or replace table meta.loyalty_tier (tier varchar, points double);
        create or replace table meta.theme (theme varchar, pattern varchar);
        create or replace table meta.stage_rule (new_days integer, loyal_orders integer, at_risk_probability double,
            lost_probability double, won_back_gap_days integer);
        """
    )
    for place, rfm in enumerate(segments.rfm):
        con.execute("insert into meta.rfm_segment values (?, ?, ?, ?, ?, ?)", [place, rfm.segment, *rfm.r, *rfm.f])
    for place, tier in enumerate(segments.tiers):
        con.execute(
            "insert into meta.tier values (?, ?, ?, ?, ?)",
            [place, tier.tier, tier.spend, tier.tenure_days, tier.complexity],
        )
    for loyalty in segments.loyalty:
        con.execute("insert into meta.loyalty_tier values (?, ?)", [loyalty.tier, loyalty.points])
    for theme in segments.themes:
        con.execute("insert into meta.theme values (?, ?)", [theme.theme, theme.pattern])
    stages = segments.stages
    con.execute(
        "insert into meta.stage_rule values (?, ?, ?, ?, ?)",
        [
            stages.new_days,
            stages.loyal_orders,
            stages.at_risk_probability,
            stages.lost_probability,
            stages.won_back_gap_days,
        ],
    )


def build_customer_tag(con: duckdb.DuckDBPyConnection, segments: Segments) -> int:
    """(Re)create marts.customer_tag from marts.customer_360; returns the number of tags given.

    Raises CrmQualityError naming the tag whose condition cannot be evaluated.
    """
    con.execute("create or replace table marts.customer_tag (customer_id varchar, tag varchar)")
    con.execute(
        "comment on table marts.customer_tag is 'Tags by the rules of segments.yaml: one row per customer and tag.'"
    )
    con.execute("comment on column marts.customer_tag.customer_id is 'the customer'")
    con.execute(
        "comment on column marts.customer_tag.tag is 'the tag; with its value where a rule makes one of each value'"
    )
    for rule in segments.tags:
        try:
            if rule.when is not None:
                sql = f"select customer_id, {literal(rule.tag)} from marts.customer_360 where ({_condition(rule.when)})"
            else:
                column = quoted(str(rule.each))
                sql = (
                    f"select customer_id, {literal(rule.tag + ': ')} || {column} from marts.customer_360 "
                    f"where {column} is not null"
                )
            con.execute(f"insert into marts.customer_tag {sql}")
        except (duckdb.Error, ValueError) as error:
            raise CrmQualityError(f"{FILE_NAME}: tag {rule.tag!r}: {error}") from error
    row = con.execute("select count(*) from marts.customer_tag").fetchone()
    return int(row[0]) if row else 0


def _condition(text: str) -> str:
    """One SQL condition and nothing after it: a rule sorts customers, it runs no statements."""
    import sqlglot
    from sqlglot import exp

    found = sqlglot.parse_one(text, dialect="duckdb", into=exp.Condition)
    if found.find(exp.Query):
        raise ValueError("a condition may not hold a query")
    return found.sql(dialect="duckdb")


def _read(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CrmQualityError(f"{file}: cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise CrmQualityError(f"{file}: expected the entries {', '.join(Segments.model_fields)}")
    return content
