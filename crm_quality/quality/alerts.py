"""Tell people what went wrong: one message per incident. Belongs here: incidents, delivery. Does not: finding faults.

A message names checks, scores, kinds of difference and numbers; never a record, a customer or a value of one.
"""

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import duckdb

from crm_quality.errors import CrmQualityError
from crm_quality.settings import FILE_NAME, AlertRule, AlertSettings

_log = logging.getLogger(__name__)
_RANK = {"info": 1, "warning": 2, "critical": 3}
_VARIABLE = re.compile(r"\$\{?([A-Z][A-Z0-9_]*)\}?")
_TABLE = """
create schema if not exists meta;
create table if not exists meta.incident (
    rule varchar, incident varchar, opened_on date, magnitude double, sent_on date, closed_on date)
"""


@dataclass(frozen=True)
class Incident:
    """One thing that is wrong; the larger the magnitude, the worse. The same thing has the same name every night."""

    name: str
    title: str
    body: str
    magnitude: float


def send_alerts(
    con: duckdb.DuckDBPyConnection, settings: AlertSettings, company: str, run_id: str, extract_date: date
) -> list[str]:
    """Send what is new or worse, and what has been resolved; returns the titles of the messages that went out.

    Where several rules tell the same people of one incident, it is one message. What could not be delivered is tried
    again by the next run. Raises CrmQualityError for an address that names an environment variable that is not set.
    """
    con.execute(_TABLE)
    sent: list[str] = []
    told: set[tuple[str, ...]] = set()

    def deliver(addresses: Sequence[str], title: str, body: str) -> bool:
        message = (title, *sorted(addresses))
        if message in told:
            return True
        if not _deliver(addresses, f"[{company}] {title}", body):
            return False
        told.add(message)
        sent.append(title)
        return True

    for rule in settings.rules:
        addresses = [_address(settings.to[name], name) for name in rule.to]
        found, judged = _incidents(con, rule, run_id)
        for incident in found:
            news = _news(con, rule, incident)
            if news is not None and deliver(addresses, f"{news}{incident.title}", incident.body):
                _remember(con, rule, incident, extract_date)
        for name in _resolved(con, rule, found, judged):
            if deliver(addresses, f"Resolved: {name}", f"Gone since {extract_date}."):
                con.execute(
                    "update meta.incident set closed_on = ? where rule = ? and incident = ? and closed_on is null",
                    [extract_date, rule.name, name],
                )
    return sent


def _address(url: str, name: str) -> str:
    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if found is None:
            raise CrmQualityError(f"{FILE_NAME}: alerts.to.{name}: the environment variable {match[1]} is not set")
        return found

    return _VARIABLE.sub(value, url)


def _incidents(con: duckdb.DuckDBPyConnection, rule: AlertRule, run_id: str) -> tuple[list[Incident], set[str] | None]:
    """The incidents of a rule, and the names of those that could be judged tonight (None: all)."""
    if rule.what == "run":
        return _run_incidents(con, run_id), None
    if rule.what == "check":
        return _check_incidents(con, rule, run_id)
    complete = con.execute(
        "select count(*) from meta.step where run_id = ? and step = ?", [run_id, _TABLE_OF[rule.what]]
    ).fetchone()
    if not complete or not complete[0]:
        return [], set()
    found = _score_incidents(con) if rule.what == "score" else _difference_incidents(con)
    return [incident for incident in found if incident.magnitude >= rule.at_least], None


_TABLE_OF = {"score": "quality.score_change", "difference": "quality.reconciliation_difference"}


def _run_incidents(con: duckdb.DuckDBPyConnection, run_id: str) -> list[Incident]:
    row = con.execute("select extract_date, status from meta.run where run_id = ?", [run_id]).fetchone()
    if row is None or row[1] == "published":
        return []
    critical = con.execute(
        "select count(*) from quality.check_result where run_id = ? and severity = 'critical' and not success", [run_id]
    ).fetchone()
    failed = critical[0] if critical else 0
    body = f"The run for {row[0]} did not publish; the file of the day before stays. Critical checks that failed: {failed}."
    return [Incident("The nightly run", "The nightly run did not publish", body, 1)]


def _check_incidents(con: duckdb.DuckDBPyConnection, rule: AlertRule, run_id: str) -> tuple[list[Incident], set[str]]:
    rows = con.execute(
        "select check_id, severity, success, failed_rows, evaluated_rows, owner, why, error is not null"
        " from quality.check_result where run_id = ? and success is not null order by check_id",
        [run_id],
    ).fetchall()
    found = []
    for check_id, severity, success, failed, evaluated, owner, why, broken in rows:
        if success or _RANK[severity] < _RANK[rule.severity] or failed < rule.at_least:
            continue
        what = "could not be run" if broken else f"fails for {failed:,} of {evaluated:,} rows"
        body = f"{check_id} ({severity}) {what}. {why} Owner: {owner}. Rows: quality.failure where check_id = '{check_id}'."
        found.append(Incident(check_id, f"{check_id} {what}", body, float(failed)))
    return found, {row[0] for row in rows}


def _score_incidents(con: duckdb.DuckDBPyConnection) -> list[Incident]:
    rows = con.execute(
        "select concat_ws(', ', scope, source_system, dimension, owner), score, usual_score, expected_least"
        " from quality.score_change where is_alert order by 1"
    ).fetchall()
    return [
        Incident(
            f"Score of {name}",
            f"Score of {name} fell to {score:.1%}",
            f"Usual in the 28 days before: {usual:.1%}; expected at least {least:.1%}. See quality.score_change.",
            round(100 * (least - score), 4),
        )
        for name, score, usual, least in rows
    ]


def _difference_incidents(con: duckdb.DuckDBPyConnection) -> list[Incident]:
    rows = con.execute(
        "select kind, count(*), string_agg(distinct currency, ', ' order by currency) from"
        " quality.reconciliation_difference where status = 'open' group by kind order by kind"
    ).fetchall()
    return [
        Incident(
            kind,
            f"{kind}: {count:,} open differences",
            f"CRM and ERP differ in {count:,} cases of {kind} ({currencies or 'no money'}). "
            f"See quality.reconciliation_difference.",
            float(count),
        )
        for kind, count, currencies in rows
    ]


def _news(con: duckdb.DuckDBPyConnection, rule: AlertRule, incident: Incident) -> str | None:
    """'' for a new incident, 'Worse: ' for one that grew since the last message, None for an old one."""
    row = con.execute(
        "select magnitude from meta.incident where rule = ? and incident = ? and closed_on is null",
        [rule.name, incident.name],
    ).fetchone()
    if row is None:
        return ""
    return "Worse: " if incident.magnitude > row[0] * (1 + rule.worse_by) else None


def _remember(con: duckdb.DuckDBPyConnection, rule: AlertRule, incident: Incident, day: date) -> None:
    known = con.execute(
        "update meta.incident set magnitude = ?, sent_on = ? where rule = ? and incident = ? and closed_on is null",
        [incident.magnitude, day, rule.name, incident.name],
    ).fetchone()
    if not known or not known[0]:
        con.execute(
            "insert into meta.incident values (?, ?, ?, ?, ?, null)",
            [rule.name, incident.name, day, incident.magnitude, day],
        )


def _resolved(
    con: duckdb.DuckDBPyConnection, rule: AlertRule, found: Sequence[Incident], judged: set[str] | None
) -> list[str]:
    """Open incidents that are gone; what could not be judged tonight stays open."""
    rows = con.execute(
        "select incident from meta.incident where rule = ? and closed_on is null order by 1", [rule.name]
    ).fetchall()
    still = {incident.name for incident in found}
    return [name for (name,) in rows if name not in still and (judged is None or name in judged)]


def _deliver(addresses: Sequence[str], title: str, body: str) -> bool:
    import apprise

    # Apprise would log the addresses, and with them their keys.
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    messenger = apprise.Apprise()
    understood = [messenger.add(address) for address in addresses]
    delivered = all(understood) and bool(messenger.notify(title=title, body=body))
    if not delivered:
        _log.warning("An alert could not be delivered; the next run tries again: %s", title)
    return delivered
