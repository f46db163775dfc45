"""Mailboxes become interactions of the contacts they were with; bounces say which addresses are dead."""

import mailbox
import zipfile
from datetime import date, datetime
from email.message import EmailMessage, Message
from pathlib import Path

import duckdb
import pytest

from crm_quality.ingest import raw, staging
from crm_quality.ingest.raw import LoadReport, load_object
from crm_quality.ingest.staging import build_staging
from crm_quality.project import open_project
from crm_quality.sources.layout import load_sources

DAY = date(2026, 11, 21)
SOURCE = """
kind: crm
path: in/{date}
objects:
  Contact:
    files: contacts.csv
    maps:
      party:
        look_up: {Mail: {bounced_address: Email}}
        any_case: true
        columns:
          source_id: Id
          email: Email
          email_bounce_reason: {column: Mail.bounce_reason, optional: true}
  Mail:
    files: ["*.mbox", "*.eml"]
    mail: {own_domains: [acme.example]}
    maps:
      interaction:
        look_up: {Contact: {Email: address}}
        any_case: true
        where: {Contact.Id: ".+"}
        columns:
          source_id: id
          party_source_id: Contact.Id
          party_source_object: {constant: Contact}
          channel: {constant: email}
          direction: direction
          subject: subject
          owner: own_address
          happened_at: sent_at
"""
CONTACTS = "Id,Email\nC1,Ann@Client.example\nC2,bob@client.example\nC3,gone@client.example\n"


def message(sender: str, to: str, subject: str, sent: str, number: int, **headers: str) -> EmailMessage:
    mail = EmailMessage()
    for header, value in {
        "From": sender,
        "To": to,
        "Subject": subject,
        "Date": sent,
        "Message-ID": f"<{number}@x>",
    }.items():
        mail[header] = value
    for header, value in headers.items():
        mail[header.replace("_", "-")] = value
    mail.set_content("Secret words.\nFrom here on more of them.")
    return mail


def bounce(address: str, action: str, status: str, number: int) -> Message:
    text = f"""\
From: MAILER-DAEMON@mx.example
To: sales@acme.example
Subject: Undelivered Mail
Date: Tue, 03 Nov 2026 10:00:00 +0000
Message-ID: <{number}@mx>
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

It did not arrive.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; {address}
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 5.1.1 user unknown

--b--
"""
    from email import message_from_string

    return message_from_string(text)


MAILS = [
    message(
        "Sales <sales@acme.example>",
        "Ann <ann@client.example>, bob@client.example",
        "王先生 Angebot",
        "Mon, 02 Nov 2026 09:30:00 +0100",
        1,
    ),
    message(
        "ann@CLIENT.example",
        "sales@acme.example",
        "Re: Angebot",
        "Mon, 02 Nov 2026 11:00:00 +0100",
        2,
        In_Reply_To="<1@x>",
        References="<1@x>",
    ),
    message("stranger@elsewhere.example", "sales@acme.example", "Hello", "Mon, 02 Nov 2026 12:00:00 +0100", 3),
    message("a@acme.example", "b@acme.example", "Lunch", "Mon, 02 Nov 2026 12:00:00 +0100", 4),
    bounce("Gone@client.example", "failed", "5.1.1", 5),
    bounce("bob@client.example", "delayed", "4.4.1", 6),
    message("", "sales@acme.example", "From nobody", "never", 7),
]


class Mailbox:
    def __init__(self, folder: Path, source: str = SOURCE) -> None:
        (folder / "sources").mkdir()
        (folder / "crm_quality.yaml").write_text("name: mail")
        (folder / "sources" / "crm.yaml").write_text(source)
        self.folder = folder / "in" / DAY.isoformat()
        self.folder.mkdir(parents=True)
        (self.folder / "contacts.csv").write_text(CONTACTS)
        self.project = open_project(folder)
        (self.source,) = load_sources(self.project)
        self.con = duckdb.connect()
        self.con.execute("create schema meta;" + raw.TABLES + staging.TABLES)

    def load(self) -> LoadReport:
        load_object(self.con, self.project, self.source, "Contact", DAY)
        report = load_object(self.con, self.project, self.source, "Mail", DAY)
        for table in ("party", "interaction"):
            build_staging(self.con, [self.source], table, DAY)
        return report


@pytest.fixture
def loaded(tmp_path: Path) -> Mailbox:
    box = Mailbox(tmp_path)
    file = mailbox.mbox(box.folder / "sales.mbox")
    for mail in MAILS:
        file.add(mail)
    file.close()
    report = box.load()
    assert report.problems == []
    assert (report.records, report.rejected, report.unaccounted) == (7, 1, 0)
    return box


def test_a_mail_is_an_interaction_of_every_contact_it_was_with(loaded):
    rows = loaded.con.sql(
        "select party_source_id, direction, subject, owner, happened_at from staging.interaction order by happened_at, 1"
    ).fetchall()
    assert rows == [
        ("C1", "outbound", "王先生 Angebot", "sales@acme.example", datetime(2026, 11, 2, 8, 30)),
        ("C2", "outbound", "王先生 Angebot", "sales@acme.example", datetime(2026, 11, 2, 8, 30)),
        ("C1", "inbound", "Re: Angebot", "sales@acme.example", datetime(2026, 11, 2, 10, 0)),
    ]


def test_a_reply_belongs_to_the_thread_of_the_first_message(loaded):
    threads = loaded.con.sql("select distinct thread_id from raw.crm__mail where subject like '%Angebot'").fetchall()
    assert threads == [("<1@x>",)]


def test_mail_of_strangers_and_colleagues_stays_in_raw_only(loaded):
    rows = loaded.con.sql(
        "select direction, address from raw.crm__mail where subject in ('Hello', 'Lunch') order by 1"
    ).fetchall()
    assert rows == [("inbound", "stranger@elsewhere.example"), ("internal", None)]


def test_a_lasting_bounce_is_evidence_against_the_address_and_a_passing_one_is_not(loaded):
    rows = loaded.con.sql("select source_id, email_bounce_reason from staging.party order by 1").fetchall()
    assert rows == [("C1", None), ("C2", None), ("C3", "5.1.1 550 5.1.1 user unknown")]


def test_a_message_without_sender_is_rejected_with_the_reason(loaded):
    assert loaded.con.sql("select line, reason from raw.rejected_line").fetchall() == [(7, "the message has no sender")]


def test_the_body_is_read_only_when_asked_for(tmp_path):
    box = Mailbox(tmp_path, SOURCE.replace("own_domains: [acme.example]", "own_domains: [acme.example], body: true"))
    with zipfile.ZipFile(box.folder / "mails.zip", "w") as archive:
        archive.writestr("one.eml", MAILS[0].as_bytes())
    assert box.load().problems == []
    assert "Secret words." in box.con.sql("select body from raw.crm__mail").fetchone()[0]


def test_without_asking_no_body_is_kept(loaded):
    assert "body" not in [column for (column, *_rest) in loaded.con.sql("describe raw.crm__mail").fetchall()]


def test_mail_of_a_source_that_does_not_say_whose_it_is_is_a_problem_that_says_what_to_do(tmp_path):
    box = Mailbox(tmp_path, SOURCE.replace("    mail: {own_domains: [acme.example]}\n", ""))
    (box.folder / "one.eml").write_bytes(MAILS[0].as_bytes())
    (problem,) = box.load().problems
    assert "one.eml" in problem
    assert "own_domains" in problem


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b"From: \xff\xfe <a@b\nDate: 99\n\nx", b"From x\nContent-Type: multipart/report\n\n"]
)
def test_mail_that_is_no_mail_is_rejected_or_named(tmp_path, content):
    box = Mailbox(tmp_path)
    (box.folder / "odd.eml").write_bytes(content)
    report = box.load()
    assert report.unaccounted == 0
    assert report.rejected + report.records == 1
