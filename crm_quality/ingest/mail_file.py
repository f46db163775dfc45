"""Read a mailbox or a message into a table: who wrote to whom, when, about what, and what came back as undeliverable.

Does not belong here: which party an address belongs to.
"""

import hashlib
import json
import mailbox
import tempfile
from collections.abc import Iterator
from datetime import UTC
from email import message_from_binary_file, policy
from email.message import EmailMessage
from email.utils import getaddresses, parsedate_to_datetime
from pathlib import Path
from typing import IO, Any, cast

import duckdb

from crm_quality.errors import SourceError
from crm_quality.ingest.csv_file import LineCount
from crm_quality.sources.layout import Mail
from crm_quality.warehouse import literal, quoted, scalar

SUFFIXES = (".mbox", ".eml")
COLUMNS = (
    "id", "message_id", "thread_id", "sent_at", "direction", "address", "name", "own_address", "subject",
    "bounced_address", "bounce_reason", "body",
)  # fmt: skip


def read_mail(
    con: duckdb.DuckDBPyConnection, file: Path, suffix: str, mail: Mail, shown: str, scratch: Path
) -> tuple[list[str], LineCount]:
    """Read mail into the temporary relations `incoming` and `incoming_reject`: a row per message and other party.

    direction   outbound, inbound, internal (nobody outside took part), or bounce: a notice that mail did not arrive
    address     the other party, in lower case; name: as it is written in the message
    thread_id   the first message of the exchange
    sent_at     in UTC
    bounced_address, bounce_reason   an address that refused for good (RFC 3464: action `failed`, status 5.x.x)

    A message without sender, or that cannot be understood, is rejected. Raises SourceError when there is none at all.
    """
    names = [name for name in COLUMNS if name != "body" or mail.body]
    messages = rejected = 0
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", dir=scratch, encoding="utf-8") as rows:
        for messages, message in enumerate(_messages(file, suffix), start=1):
            try:
                found = list(_rows(message, mail))
                reason = "" if found else "the message has no sender"
            except Exception as error:  # the standard library raises many kinds on mail that nobody should have sent
                found, reason = [], f"the message cannot be understood: {type(error).__name__}"
            rejected += not found
            for row in found or [{"reason": reason}]:
                rows.write(json.dumps({"message": messages, **row}).replace("\\u0000", "") + "\n")
        rows.flush()
        if not messages:
            raise SourceError(f"{shown}: holds no message. Ask for the export again, as mbox or EML.")
        types = ", ".join(f"{name}: 'VARCHAR'" for name in ("reason", *names))
        con.execute(
            f"create or replace temp table parsed as select * from read_json({literal(rows.name)}, "
            f"format = 'newline_delimited', columns = {{message: 'BIGINT', {types}}}, maximum_object_size = 268435456)"
        )
    con.execute(
        "create or replace temp table incoming_reject as select message as line, null::varchar as column_name, reason, "
        "null::varchar as content from parsed where reason is not null"
    )
    columns = ", ".join(map(quoted, names))
    con.execute(
        f"create or replace temp view incoming as select rowid + 1 as _line, {columns} from parsed where reason is null"
    )
    records = scalar(con, "select count(*) from incoming")
    read = scalar(con, "select count(distinct message) from parsed")
    return names, LineCount(records + rejected, records, rejected, unaccounted=messages - read)


def _messages(file: Path, suffix: str) -> Iterator[EmailMessage]:
    def parse(stream: IO[bytes]) -> EmailMessage:
        return message_from_binary_file(stream, policy=policy.default)

    if suffix == ".eml":
        with file.open("rb") as stream:
            yield parse(stream)
        return
    box: mailbox.mbox = mailbox.mbox(file, factory=parse, create=False)  # type: ignore[arg-type]
    try:
        yield from (box[key] for key in box.iterkeys())  # type: ignore[misc]
    finally:
        box.close()


def _rows(message: EmailMessage, mail: Mail) -> Iterator[dict[str, Any]]:
    senders = _addresses(message, "from")
    bounced = list(_bounces(message))
    if not senders and not bounced:
        return
    message_id = str(message.get("message-id", "")).strip() or _made_up_id(message)
    references = str(message.get("references") or message.get("in-reply-to") or "").split()
    common = {
        "message_id": message_id,
        "thread_id": references[0] if references else message_id,
        "sent_at": _sent_at(message),
        "subject": " ".join(str(message.get("subject", "")).split()),
        **({"body": _body(message)} if mail.body else {}),
    }
    if bounced:
        for address, reason in bounced:
            row = {"direction": "bounce", "bounced_address": address, "bounce_reason": reason}
            yield {**common, **row, "id": f"{message_id}/{address or ''}"}
        return
    receivers = [*_addresses(message, "to"), *_addresses(message, "cc")]
    outbound = _is_own(senders[0][1], mail)
    others = {address: name for name, address in (receivers if outbound else senders) if not _is_own(address, mail)}
    own = senders[0][1] if outbound else next((address for _, address in receivers if _is_own(address, mail)), None)
    if not others:
        yield {**common, "id": f"{message_id}/", "direction": "internal", "own_address": own}
    for address, name in others.items():
        direction = "outbound" if outbound else "inbound"
        party = {"address": address, "name": name or None, "own_address": own, "direction": direction}
        yield {**common, **party, "id": f"{message_id}/{address}"}


def _addresses(message: EmailMessage, header: str) -> list[tuple[str, str]]:
    found = getaddresses([str(value) for value in message.get_all(header, [])])
    return [(name, address.strip().lower()) for name, address in found if "@" in address]


def _is_own(address: str, mail: Mail) -> bool:
    return address.rpartition("@")[2] in {domain.lower() for domain in mail.own_domains}


def _bounces(message: EmailMessage) -> Iterator[tuple[str | None, str]]:
    """The addresses that refused, and why; a passing failure has no address."""
    for part in message.walk() if message.get_content_type() == "multipart/report" else ():
        if part.get_content_type() != "message/delivery-status":
            continue
        for group in cast("list[EmailMessage]", part.get_payload()):
            recipient = str(group.get("final-recipient") or group.get("original-recipient") or "")
            if not recipient:
                continue  # the group about the message as a whole
            status = str(group.get("status", "")).split(" ")[0]
            why = " ".join(str(group.get("diagnostic-code", "")).partition(";")[2].split())
            dead = str(group.get("action", "")).strip().lower() == "failed" and status.startswith("5")
            yield recipient.partition(";")[2].strip().lower() if dead else None, f"{status} {why}".strip()
    for failed in message.get_all("x-failed-recipients", []):  # how Exim and Gmail say it
        if message.get_content_type() != "multipart/report":
            for address in str(failed).split(","):
                yield address.strip().lower(), "returned as undeliverable"


def _sent_at(message: EmailMessage) -> str | None:
    try:
        sent = parsedate_to_datetime(str(message["date"]))
    except (TypeError, ValueError):
        return None
    return (sent.astimezone(UTC) if sent.tzinfo else sent).strftime("%Y-%m-%d %H:%M:%S")


def _made_up_id(message: EmailMessage) -> str:
    return hashlib.sha256(repr(message.items()).encode("utf-8", "replace")).hexdigest()[:32]


def _body(message: EmailMessage) -> str | None:
    part = message.get_body(("plain", "html"))
    return str(part.get_content()) if part else None
