"""Alerts on a real mail server and a real webhook. Does not belong here: finding what they tell of."""

import json
import socket
import threading
from collections.abc import Iterator
from datetime import date
from email import message_from_bytes
from email.header import decode_header, make_header
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import duckdb
import pytest
from aiosmtpd.controller import Controller
from scenario import warehouse

from crm_quality.errors import CrmQualityError
from crm_quality.project import open_project
from crm_quality.quality.alerts import send_alerts
from crm_quality.quality.results import create_result_tables
from crm_quality.settings import AlertSettings


class Mailbox:
    def __init__(self) -> None:
        self.titles: list[str] = []
        self.bodies: list[str] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        message = message_from_bytes(envelope.content)
        self.titles.append(str(make_header(decode_header(message["Subject"]))))
        parts = [part for part in message.walk() if not part.is_multipart()]
        self.bodies.append("\n".join(part.get_payload(decode=True).decode() for part in parts))  # type: ignore[union-attr]
        return "250 OK"


@pytest.fixture
def mail() -> Iterator[tuple[Mailbox, str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mailbox = Mailbox()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield mailbox, f"mailto://127.0.0.1:{port}?from=crm@x.cn&to=team@x.cn&mode=insecure"
    controller.stop()


@pytest.fixture
def webhook() -> Iterator[tuple[list[dict[str, Any]], str]]:
    received: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield received, f"json://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    con = warehouse()
    create_result_tables(con)
    con.execute("create table meta.run (run_id varchar, extract_date date, status varchar)")
    con.execute("create table meta.step (run_id varchar, step varchar)")
    return con


def night(
    con: duckdb.DuckDBPyConnection, settings: AlertSettings, day: int, failed: int | None, **check: Any
) -> list[str]:
    """A run in which one check fails for so many rows (None: the check did not run); the titles that went out."""
    run_id = f"run {day}"
    con.execute("delete from quality.check_result")
    con.execute(
        "insert into meta.run values (?, ?, ?)", [run_id, date(2026, 11, day), check.get("status", "published")]
    )
    if failed is not None:
        con.execute(
            "insert into quality.check_result (run_id, check_id, severity, success, failed_rows, evaluated_rows, owner, why)"
            " values (?, 'core_party__email_valid', ?, ?, ?, 1000, 'sales operations', 'Nothing arrives.')",
            [run_id, check.get("severity", "critical"), failed == 0, failed],
        )
    return send_alerts(con, settings, "Acme", run_id, date(2026, 11, day))


def rules(address: str, *entries: dict[str, Any]) -> AlertSettings:
    return AlertSettings.model_validate({"to": {"team": address}, "rules": [{"to": ["team"], **e} for e in entries]})


def test_one_message_per_incident_again_only_when_worse_and_one_when_resolved(
    con: duckdb.DuckDBPyConnection, mail: tuple[Mailbox, str]
) -> None:
    mailbox, address = mail
    settings = rules(address, {"name": "critical", "what": "check"})
    for day, failed in ((1, 50), (2, 50), (3, 54), (4, 90), (5, 80), (6, None), (7, 0), (8, 0), (9, 3)):
        night(con, settings, day, failed)
    # 54 is no more than a tenth worse than 50; on the 6th nobody could tell; on the 9th it is a new incident
    assert mailbox.titles == [
        "[Acme] core_party__email_valid fails for 50 of 1,000 rows",
        "[Acme] Worse: core_party__email_valid fails for 90 of 1,000 rows",
        "[Acme] Resolved: core_party__email_valid",
        "[Acme] core_party__email_valid fails for 3 of 1,000 rows",
    ]
    assert "Nothing arrives. Owner: sales operations." in mailbox.bodies[0]


def test_two_rules_that_tell_the_same_people_of_one_incident_are_one_message(
    con: duckdb.DuckDBPyConnection, webhook: tuple[list[dict[str, Any]], str]
) -> None:
    received, address = webhook
    settings = rules(
        address, {"name": "all", "what": "check", "severity": "info"}, {"name": "critical", "what": "check"}
    )
    for day, failed in ((1, 50), (2, 50), (3, 90), (4, 0)):
        night(con, settings, day, failed)
    assert [message["title"] for message in received] == [
        "[Acme] core_party__email_valid fails for 50 of 1,000 rows",
        "[Acme] Worse: core_party__email_valid fails for 90 of 1,000 rows",
        "[Acme] Resolved: core_party__email_valid",
    ]


def test_rules_say_what_is_bad_enough(
    con: duckdb.DuckDBPyConnection, webhook: tuple[list[dict[str, Any]], str]
) -> None:
    received, address = webhook
    settings = rules(
        address,
        {"name": "all", "what": "check", "severity": "warning", "at_least": 10},
        {"name": "critical", "what": "check"},
    )
    night(con, settings, 1, 9, severity="warning")
    night(con, settings, 2, 10, severity="info")
    assert received == []
    night(con, settings, 3, 10, severity="warning")
    assert [message["title"] for message in received] == ["[Acme] core_party__email_valid fails for 10 of 1,000 rows"]


def test_a_night_without_a_publish_a_falling_score_and_money_are_told(
    con: duckdb.DuckDBPyConnection, webhook: tuple[list[dict[str, Any]], str]
) -> None:
    received, address = webhook
    con.execute(
        """
        insert into meta.step values ('run 1', 'quality.score_change'), ('run 1', 'quality.reconciliation_difference'),
            ('run 2', 'quality.score_change'), ('run 2', 'quality.reconciliation_difference');
        create table quality.score_change as select 'source' as scope, 'crm' as source_system, null::varchar as dimension,
            null::varchar as owner, 0.9 as score, 0.96 as usual_score, 0.95 as expected_least, true as is_alert;
        create table quality.reconciliation_difference as select 'invoice_unpaid' as kind, 'EUR' as currency,
            'open' as status, 'private@x.cn' as crm_value from range(3);
        """
    )
    settings = rules(
        address,
        {"name": "nothing published", "what": "run"},
        {"name": "scores", "what": "score", "at_least": 2},
        {"name": "money", "what": "difference", "at_least": 3},
    )
    night(con, settings, 1, 0, status="failed")
    con.execute("delete from quality.score_change; delete from quality.reconciliation_difference")
    night(con, settings, 2, 0)
    assert [message["title"] for message in received] == [
        "[Acme] The nightly run did not publish",
        "[Acme] Score of source, crm fell to 90.0%",
        "[Acme] invoice_unpaid: 3 open differences",
        "[Acme] Resolved: The nightly run",
        "[Acme] Resolved: Score of source, crm",
        "[Acme] Resolved: invoice_unpaid",
    ]
    assert "private" not in json.dumps(received)


def test_what_could_not_be_delivered_is_tried_again(con: duckdb.DuckDBPyConnection, mail: tuple[Mailbox, str]) -> None:
    mailbox, address = mail
    rule = {"name": "critical", "what": "check"}
    assert night(con, rules("json://127.0.0.1:9", rule), 1, 5) == []
    assert night(con, rules(address, rule), 2, 5) == ["core_party__email_valid fails for 5 of 1,000 rows"]
    assert len(mailbox.titles) == 1


def test_a_key_in_an_address_comes_from_the_environment(
    con: duckdb.DuckDBPyConnection, mail: tuple[Mailbox, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox, address = mail
    settings = rules("$ALERT_ADDRESS", {"name": "critical", "what": "check"})
    with pytest.raises(CrmQualityError, match=r"alerts\.to\.team: the environment variable ALERT_ADDRESS is not set"):
        night(con, settings, 1, 5)
    monkeypatch.setenv("ALERT_ADDRESS", address)
    night(con, settings, 2, 5)
    assert len(mailbox.titles) == 1


def test_a_rule_for_somebody_without_an_address_is_refused(tmp_path: Path) -> None:
    (tmp_path / "crm_quality.yaml").write_text(
        "alerts: {to: {a: 'json://x'}, rules: [{name: money, what: difference, to: [b]}]}", encoding="utf-8"
    )
    with pytest.raises(CrmQualityError, match="rule 'money' tells 'b', of whom"):
        open_project(tmp_path)
