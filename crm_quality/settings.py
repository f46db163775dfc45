"""The settings of a project, from its YAML file and the environment. Does not belong here: what a source looks like."""

import os
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from crm_quality.errors import CrmQualityError

FILE_NAME = "crm_quality.yaml"
_MIN_SECRET = 16


class IdentitySettings(BaseModel):
    """How sure the matching must be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    objective: Annotated[float, Field(gt=0.5, lt=1)] | Literal["best_f1"] = Field(
        default=0.995,
        description="the precision to reach, as the model expects it (persons who may be relatives or namesakes are then "
        "kept apart for review), or `best_f1` for the best balance, where the model decides",
    )
    pinned_models: dict[Annotated[str, Field(pattern="^(person|organisation)$")], str] = Field(
        default={}, description="version of the match model to score with, where it is not to be the last trained"
    )
    full_run_every_days: int = Field(
        default=7,
        ge=0,
        description="nights compare only changed records; every so many days one compares all, and they must agree "
        "(0: never)",
    )


class ContractSettings(BaseModel):
    """A table of contracts with what is known of each, and which of them were cancelled."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = Field(description="CSV or Parquet file, below the project folder")
    id: str = Field(description="column that names the contract or customer")
    churned: str = Field(description="column that says whether it was cancelled")
    churned_value: str = Field(default="Yes", description="what stands there if it was")
    amount: str | None = Field(default=None, description="column with what the contract brings a month")
    renews: str | None = Field(default=None, description="column with the day on which it ends unless it is renewed")
    ignore: list[str] = Field(default=[], description="columns that say nothing, or what is only known afterwards")
    source_system: str | None = Field(default=None, description="source whose party records the ids belong to")


class AuditSettings(BaseModel):
    """Who verifies a random sample of a table's records, and how often."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    every_days: int = Field(default=90, ge=1, description="days after which the next sample is due")
    owner: str = Field(default="data stewards", min_length=1, description="on whose worklist it comes")


SurvivorRule = Literal["real", "most_children", "most_complete", "longest_known", "most_recent"]


class WritebackSettings(BaseModel):
    """What a system is told that holds a customer several times."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    survivor: tuple[SurvivorRule, ...] = Field(
        default=("real", "most_children", "most_complete", "longest_known"),
        min_length=1,
        description="which of several records stays when they are merged: rules in turn, then the smallest id",
    )


class CopySettings(BaseModel):
    """How the copy for analysts is protected; the keys are in the environment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    masked: bool = Field(default=True, description="pseudonyms for what names a person or company")
    encrypted: bool = Field(default=False, description="who opens the file needs the key")


class Stage(BaseModel):
    """One stage of the sales process; systems may call it by several names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    names: tuple[str, ...] = Field(min_length=1, description="what the sources call it, in any case")
    max_days: int | None = Field(default=None, ge=1, description="longer than this and a deal is stuck")
    required: tuple[Literal["amount", "close_date", "owner", "party_source_id", "lead_source"], ...] = ()


class Promise(BaseModel):
    """Within how many hours a ticket of some priority is to be answered and to be resolved."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    priorities: tuple[str, ...] = Field(min_length=1, description="what the sources call it, in any case")
    answer_hours: float = Field(gt=0)
    resolve_hours: float = Field(gt=0)


_PROMISES = (
    Promise(priorities=("Critical", "Urgent", "High", "紧急", "高"), answer_hours=8, resolve_hours=72),
    Promise(priorities=("Medium", "Normal", "中"), answer_hours=24, resolve_hours=168),
    Promise(priorities=("Low", "低"), answer_hours=48, resolve_hours=336),
)
_STAGES = (
    Stage(names=("Prospecting", "初步接触"), max_days=60, required=("owner", "party_source_id")),
    Stage(names=("Qualification", "需求确认"), max_days=45, required=("owner", "party_source_id")),
    Stage(names=("Needs Analysis", "方案设计"), max_days=45, required=("owner", "party_source_id")),
    Stage(names=("Proposal/Price Quote", "报价"), max_days=45, required=("amount", "close_date", "owner")),
    Stage(names=("Negotiation/Review", "商务谈判"), max_days=60, required=("amount", "close_date", "owner")),
)


class AlertRule(BaseModel):
    """What is told, from how bad on, and to whom."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    what: Literal["run", "check", "score", "difference"]
    severity: Literal["info", "warning", "critical"] = Field(default="critical", description="of checks: from here on")
    at_least: float = Field(default=1, ge=0, description="failing rows, points of score, or open differences")
    worse_by: float = Field(default=0.1, ge=0, description="growth since the last message that is worth another")
    to: tuple[str, ...] = Field(min_length=1, description="names of alerts.to")


class AlertSettings(BaseModel):
    """Who is told what. Addresses are those of Apprise; `$NAME` in one is taken from the environment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    to: dict[str, str] = {}
    rules: tuple[AlertRule, ...] = ()

    @model_validator(mode="after")
    def _known(self) -> "AlertSettings":
        for rule in self.rules:
            unknown = sorted(set(rule.to) - set(self.to))
            if unknown:
                raise ValueError(f"rule {rule.name!r} tells {unknown[0]!r}, of whom alerts.to holds no address")
        return self


class Settings(BaseSettings):
    """What `crm_quality.yaml` may hold; `CRM_QUALITY_<KEY>` in the environment wins over the file."""

    model_config = SettingsConfigDict(env_prefix="CRM_QUALITY_", env_nested_delimiter="__", extra="forbid", frozen=True)
    yaml_file: ClassVar[Path | None] = None

    name: str = Field(default="my company", description="shown in reports")
    default_country: str = Field(
        default="CN", pattern="^[A-Z]{2}$", description="ISO 3166 code, for numbers that name no country"
    )
    memory_limit: str = Field(
        default="4GB", pattern=r"^\d+(\.\d+)?(MB|GB|TB)$", description="memory DuckDB may use in a run"
    )
    threads: int = Field(default=2, ge=1, description="threads DuckDB may use in a run")
    keep_raw_days: int | None = Field(
        default=35,
        ge=1,
        description="days of extracts kept in raw beyond those that today's state is made of; null: all",
    )
    keep_versions: int = Field(default=7, ge=1, description="published versions kept for rollback")
    lock_timeout_seconds: float = Field(
        default=0, ge=0, description="how long a second run waits for the first before it stops"
    )
    identity: IdentitySettings = IdentitySettings()
    analyst_copy: CopySettings | None = Field(
        default=None, description="every publish also writes published/analyst.duckdb, protected like this"
    )
    writeback: WritebackSettings = WritebackSettings()
    contracts: ContractSettings | None = Field(default=None, description="customers under contract, for their churn")
    audits: dict[Annotated[str, Field(pattern="^core[.](party|opportunity|sales_order)$")], AuditSettings] = Field(
        default={"core.party": AuditSettings()}, description="tables of which people verify a sample now and then"
    )
    nightly_at: str = Field(
        default="02:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="time of the nightly run, HH:MM"
    )
    timezone: str = Field(default="UTC", description="IANA time zone of nightly_at")
    alerts: AlertSettings = AlertSettings()
    service_promises: tuple[Promise, ...] = Field(
        default=_PROMISES, description="by priority; tickets of other priorities are promised nothing"
    )
    sales_process: tuple[Stage, ...] = Field(
        default=_STAGES,
        description="the stages before a deal is won or lost, in their order; a deal may be lost in any of them",
    )
    checks: dict[str, dict[str, Any]] = Field(
        default={},
        description="by check id: enabled, severity, tolerate (share of rows that may fail), or a threshold of the check",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment first, then the file that `load_settings` named."""
        return env_settings, YamlConfigSettingsSource(settings_cls, yaml_file=cls.yaml_file)


def load_settings(file: Path) -> Settings:
    """Read and check the settings. Raises CrmQualityError naming the key, its value and what is allowed."""

    class _FromFile(Settings):
        yaml_file: ClassVar[Path | None] = file

    try:
        return _FromFile()
    except ValidationError as error:
        raise CrmQualityError(explain_validation(file, error)) from error
    except (ValueError, OSError, yaml.YAMLError) as error:
        raise CrmQualityError(f"{file}: cannot be read as settings: {error}") from error


def explain_validation(file: Path, error: ValidationError) -> str:
    """One line per wrong key: the key, the value found and what is allowed."""
    lines = [f"{file}: {len(error.errors())} setting(s) are wrong"]
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        value: Any = problem.get("input")
        shown = "" if isinstance(value, dict) else f" (found {value!r})"
        hint = " - remove it or correct its name" if problem["type"] == "extra_forbidden" else ""
        lines.append(f"  {key}: {problem['msg']}{shown}{hint}")
    return "\n".join(lines)


def secret(variable: str) -> str:
    """A secret from the environment. Raises CrmQualityError where it is missing or shorter than 16 characters."""
    value = os.environ.get(variable, "")
    if len(value) < _MIN_SECRET:
        raise CrmQualityError(f"Set {variable} in the environment to a secret of at least {_MIN_SECRET} characters.")
    return value
