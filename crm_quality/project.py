"""The folder of a project: where each thing lies. Belongs here: paths and `init`. Does not: reading what is in them."""

from dataclasses import dataclass
from pathlib import Path

from crm_quality.errors import CrmQualityError
from crm_quality.settings import FILE_NAME, Settings, load_settings


@dataclass(frozen=True)
class Project:
    """A project folder and its settings."""

    folder: Path
    settings: Settings

    @property
    def sources(self) -> Path:
        """One YAML file per source."""
        return self.folder / "sources"

    @property
    def warehouse(self) -> Path:
        """The file that a run writes; nobody else opens it."""
        return self.folder / "warehouse.duckdb"

    @property
    def spill(self) -> Path:
        """What does not fit into memory, for the length of a run."""
        return self.folder / ".spill"

    @property
    def models(self) -> Path:
        """Versioned match models."""
        return self.folder / "models"

    @property
    def decisions(self) -> Path:
        """The append-only log of the stewards' decisions."""
        return self.folder / "decisions.jsonl"

    @property
    def audits(self) -> Path:
        """Samples drawn for people to verify, with their verdicts: one append-only file per audit."""
        return self.folder / "audits"

    @property
    def suppressed(self) -> Path:
        """Who was forgotten and must not come back, as keyed hashes."""
        return self.folder / "suppressed.txt"

    @property
    def expectations(self) -> Path:
        """Rules of the project's own, added to the shipped ones: one `<schema>.<table>.json` per table."""
        return self.folder / "expectations"

    @property
    def published(self) -> Path:
        """What readers open: golden.duckdb and data_docs, links to the current version."""
        return self.folder / "published"

    @property
    def data_docs(self) -> Path:
        """The data docs of the last run, published or refused."""
        return self.folder / "data_docs"

    @property
    def golden(self) -> Path:
        """The link that always names the current published version."""
        return self.published / "golden.duckdb"

    @property
    def analyst_copy(self) -> Path:
        """The masked or encrypted copy of the current version, where the settings ask for one."""
        return self.published / "analyst.duckdb"

    @property
    def dagster_home(self) -> Path:
        """Run history of Dagster."""
        return self.folder / ".dagster"


def open_project(folder: Path) -> Project:
    """The project in a folder. Raises CrmQualityError when there is none, or its settings are wrong."""
    folder = folder.resolve()
    file = folder / FILE_NAME
    if not file.is_file():
        raise CrmQualityError(
            f"{folder} is not a project: it has no {FILE_NAME}. "
            f"Make one with `crm-quality init {folder}`, or a sample with `crm-quality sample --to {folder}`."
        )
    return Project(folder, load_settings(file))


SETTINGS_TEMPLATE = """\
# Settings of this project. Each may also be set as CRM_QUALITY_<KEY> in the environment.
name: my company
default_country: CN        # for phone numbers that name no country (ISO 3166)
# memory_limit: 4GB        # what DuckDB may use in a run
# threads: 2
# keep_raw_days: 35        # days of extracts kept in the warehouse; the files themselves are never touched
# keep_versions: 7         # published versions kept for `crm-quality rollback`
# nightly_at: "02:00"
# timezone: Asia/Shanghai
# checks:                  # thresholds of the shipped rules; their ids are in quality.check_result
#   core_party__email_present: {tolerate: 0.2}              # share of rows that may fail
#   core_party__reviewed_lately: {days: 365, severity: warning}
#   core_ticket__answered_in_time: {enabled: false}
# alerts:                  # one message per incident; again when it is worse, and when it is resolved
#   to:
#     data team: mailto://$SMTP_USER:$SMTP_PASSWORD@mail.my.company?to=data@my.company
#     sales: slack://$SLACK_TOKEN     # also wecombot://, dingtalk://, lark://, json:// and what else Apprise knows
#   rules:
#     - {name: nothing published, what: run, to: [data team]}
#     - {name: critical checks, what: check, severity: critical, to: [data team]}
#     - {name: scores, what: score, at_least: 2, to: [data team, sales]}
#     - {name: money, what: difference, at_least: 50, to: [sales]}
"""

SOURCE_TEMPLATE = """\
# One file like this per source system; the file's name is the name of the source.
# Rename it to `my_crm.yaml` (or what you like) when it fits your export.
# Instead of `objects`, one line `layout: salesforce` uses a built-in layout (`crm-quality sources layouts`).
kind: crm                  # crm | erp | other: the side it takes when CRM and ERP are compared
priority: 10               # the lower, the more trusted when records disagree
path: extracts/my_crm/{date}   # the day's folder, as 2026-11-21 or 20261121; without {date}: one undated export
format:
  encoding: utf-8          # or gb18030, latin-1, utf-16
  delimiter: ","
  dates: ["%Y-%m-%d"]
objects:
  customer:                # one entry per file
    files: "customers*.csv"
    maps:
      party:               # the canonical object it becomes
        columns:           # canonical column: header in your file
          source_id: id
          party_type: {constant: person}
          given_name: first name
          family_name: last name
          email: [email, e-mail]            # the first header that is there
          birth_date: {column: born, optional: true}
"""


def init_project(folder: Path) -> Project:
    """Make a new project folder. Raises CrmQualityError when the folder already holds one."""
    if (folder / FILE_NAME).exists():
        raise CrmQualityError(f"{folder} already holds a project; nothing was changed.")
    (folder / "sources").mkdir(parents=True, exist_ok=True)
    (folder / "extracts" / "my_crm").mkdir(parents=True, exist_ok=True)
    (folder / FILE_NAME).write_text(SETTINGS_TEMPLATE, encoding="utf-8")
    (folder / "sources" / "my_crm.yaml.example").write_text(SOURCE_TEMPLATE, encoding="utf-8")
    return open_project(folder)
