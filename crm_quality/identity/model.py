"""Store and load match models. Belongs here: the file format. Does not: how a model is fitted."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb

from crm_quality.errors import CrmQualityError
from crm_quality.identity.blocking import BlockingPlan
from crm_quality.identity.training import Fit


@dataclass(frozen=True)
class MatchModel:
    """A trained model of one party type: Splink's settings, the blocking plan, and what its training saw.

    `term_frequency_file` holds (column_name, value, frequency) of the values that several records share, of all words
    of company names, and of all names of persons where nothing else is known; the row without a value is for all others.
    `namesakes`, `relatives`: see `Fit`.
    """

    party_type: str
    version: str
    settings: dict[str, Any]
    records: int
    training: dict[str, float]
    term_frequency_file: str
    blocking: dict[str, Any]
    namesakes: dict[str, list[float]] = field(default_factory=dict)
    relatives: dict[str, list[float]] = field(default_factory=dict)

    @property
    def plan(self) -> BlockingPlan:
        """The blocking keys that training chose."""
        return BlockingPlan(tuple(self.blocking["keys"]), int(self.blocking["token_frequency"]))

    @property
    def comparisons(self) -> list[str]:
        """Names of the comparisons, in the order of the settings."""
        return [str(comparison["output_column_name"]) for comparison in self.settings["comparisons"]]


def save_model(
    con: duckdb.DuckDBPyConnection,
    models_dir: Path,
    party_type: str,
    fitted: Fit,
    records: int,
    plan: BlockingPlan,
    frequency_query: str,
) -> MatchModel:
    """Write model and term frequencies under a version that depends on nothing but their content."""
    models_dir.mkdir(parents=True, exist_ok=True)
    frequencies = con.execute(f"select * from ({frequency_query}) order by all").fetchall()
    blocking = asdict(plan)
    digest = sha256(
        json.dumps(
            [fitted.settings, fitted.training, fitted.namesakes, fitted.relatives, blocking, frequencies],
            sort_keys=True,
            ensure_ascii=False,
        ).encode()
    ).hexdigest()
    version = digest[:12]
    frequency_file = f"{party_type}-{version}.parquet"
    con.execute(
        f"copy (select * from ({frequency_query}) order by all) to '{_quoted(models_dir / frequency_file)}' (format parquet)"
    )
    model = MatchModel(
        party_type,
        version,
        fitted.settings,
        records,
        fitted.training,
        frequency_file,
        blocking,
        fitted.namesakes,
        fitted.relatives,
    )
    _write(models_dir / f"{party_type}-{version}.json", asdict(model))
    _write(models_dir / f"{party_type}.json", {"version": version})
    return model


def load_model(models_dir: Path, party_type: str, pinned: str | None = None) -> MatchModel | None:
    """The pinned or else the last trained model of a party type, None before the first training.

    Raises CrmQualityError on a broken file, and where the pinned version is not there.
    """
    current = models_dir / f"{party_type}.json"
    if pinned is None and not current.exists():
        return None
    if pinned is not None and not (models_dir / f"{party_type}-{pinned}.json").exists():
        stored = ", ".join(
            sorted(file.stem.removeprefix(f"{party_type}-") for file in models_dir.glob(f"{party_type}-*.json"))
        )
        raise CrmQualityError(
            f"identity.pinned_models names version {pinned!r} of {party_type}; {models_dir} holds {stored or 'none'}"
        )
    try:
        version = pinned or json.loads(current.read_text(encoding="utf-8"))["version"]
        content = json.loads((models_dir / f"{party_type}-{version}.json").read_text(encoding="utf-8"))
        model = MatchModel(**content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CrmQualityError(f"{current}: the match model cannot be read ({error}); train a new one") from error
    if not (models_dir / model.term_frequency_file).exists():
        raise CrmQualityError(f"{models_dir / model.term_frequency_file} is missing; train a new match model")
    return model


def frequencies_sql(models_dir: Path, model: MatchModel) -> str:
    """The stored term frequencies as a table expression."""
    return f"read_parquet('{_quoted(models_dir / model.term_frequency_file)}')"


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _write(file: Path, content: dict[str, Any]) -> None:
    """Write whole or not at all: a killed training must not leave half a model."""
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True), encoding="utf-8")
    partial.replace(file)
