"""Whatever happens to a file on its way, no line of it is lost without a word, and no run ends without naming it.

`CRM_QUALITY_MUTATIONS` sets how many damaged files are tried; 1,000 take about half a minute.
"""

import csv
import io
import os
import re
from datetime import date
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_quality.ingest import raw, staging
from crm_quality.ingest.raw import load_object
from crm_quality.ingest.staging import build_staging
from crm_quality.project import Project, open_project
from crm_quality.sources.layout import load_sources
from crm_quality.warehouse import quoted

DAY = date(2026, 11, 21)
LINE_END = r"\r\n|\n|\r"
EXAMPLES = int(os.environ.get("CRM_QUALITY_MUTATIONS", "150"))
SOURCE = """\
kind: crm
path: in
format: {encoding: ENCODING, delimiter: ";"}
objects:
  customer:
    files: "customers*.csv"
    maps:
      party:
        columns: {source_id: id, full_name: name, birth_date: born}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("mutated")
    (folder / "sources").mkdir()
    (folder / "in").mkdir()
    (folder / "crm_quality.yaml").write_text("name: mutated")
    return open_project(folder)


@pytest.fixture(scope="module")
def con() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("create schema meta;" + raw.TABLES + staging.TABLES)
    return con


texts = st.text("ab é王;\"'\n\r\t=\u2028", max_size=8)
rows = st.lists(
    st.tuples(st.integers(0, 999), texts, st.sampled_from(["", "1990-01-31", "x"])), min_size=1, max_size=12
)
encodings = st.sampled_from(["utf-8", "gb18030", "utf-16", "utf-8-sig"])
line_ends = st.sampled_from(["\n", "\r\n"])


def written(table: list[list[str]], line_end: str) -> str:
    content = io.StringIO()
    csv.writer(content, delimiter=";", lineterminator=line_end).writerows(table)
    return content.getvalue()


@st.composite
def damaged_file(draw: st.DrawFn) -> tuple[str, bytes]:
    """The encoding that the source declares, and a file that suffered one or two mishaps."""
    table = [["id", "name", "born"], *([str(i), name, born] for i, name, born in draw(rows))]
    declared = actual = draw(encodings)
    line_end = draw(line_ends)
    bytewise = []
    for mishap in draw(st.lists(st.sampled_from(sorted(MISHAPS)), min_size=1, max_size=2)):
        if mishap == "encodings swapped":
            actual = draw(encodings)
        elif mishap in TABLE_MISHAPS:
            table = TABLE_MISHAPS[mishap](table, draw(st.integers(0, 2)))
        else:
            bytewise.append(mishap)
    content = written(table, line_end).encode(actual)
    for mishap in bytewise:
        content = BYTE_MISHAPS[mishap](
            content, draw(st.integers(0, max(len(content) - 1, 0))), draw(st.binary(min_size=1, max_size=3))
        )
    return declared.removesuffix("-sig"), content


TABLE_MISHAPS = {
    "column dropped": lambda table, at: [row[:at] + row[at + 1 :] for row in table],
    "column doubled": lambda table, at: [[*row, *row[at : at + 1]] for row in table],
    "columns reordered": lambda table, at: [row[at:] + row[:at] for row in table],
    "field lost in a line": lambda table, at: [*table[:-1], *(row[:at] for row in table[-1:])],
    "line doubled": lambda table, at: [*table, *table[-1:]],
    "header lost": lambda table, at: table[1:],
}
BYTE_MISHAPS = {
    "byte flipped": lambda content, at, noise: (
        content[:at] + bytes([content[at] ^ noise[0]]) + content[at + 1 :] if content else noise
    ),
    "bytes inserted": lambda content, at, noise: content[:at] + noise + content[at:],
    "bytes overwritten": lambda content, at, noise: content[:at] + noise + content[at + len(noise) :],
    "cut off": lambda content, at, noise: content[:at],
    "head lost": lambda content, at, noise: content[at:],
    "NUL inserted": lambda content, at, noise: content[:at] + b"\0" + content[at:],
    "quote inserted": lambda content, at, noise: content[:at] + b'"' + content[at:],
    "line ends mixed": lambda content, at, noise: content[:at] + content[at:].replace(b"\n", b"\r"),
    "blank lines": lambda content, at, noise: content[:at] + content[at:].replace(b"\n", b"\n\n"),
}
MISHAPS = {*TABLE_MISHAPS, *BYTE_MISHAPS, "encodings swapped"}


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(damaged_file())
def test_a_damaged_file_loses_no_line_and_is_named_when_it_cannot_be_used(project, con, damaged):
    encoding, content = damaged
    Path(project.sources / "crm.yaml").write_text(SOURCE.replace("ENCODING", encoding))
    (project.folder / "in" / "customers.csv").write_bytes(content)
    (source,) = load_sources(project)
    # Or it would gather the columns of all damaged headers.
    con.execute("drop table if exists raw.crm__customer; delete from meta.loaded_file; delete from raw.rejected_line")

    report = load_object(con, project, source, "customer", DAY)  # never an exception

    assert all("in/customers.csv" in problem for problem in report.problems)
    build_staging(con, [source], "party", DAY)
    if not report.files:
        assert report.problems  # nothing was read, and the message above says of which file
        return
    lines, records, rejected, unaccounted, header = con.execute(
        "select lines, records, rejected, unaccounted, header from meta.loaded_file where source_object = 'customer'"
    ).fetchone()
    physical = physical_lines(content, encoding)
    solid = [number for number, text in enumerate(physical, start=1) if text]
    assert lines == len(solid)
    assert unaccounted == 0 or any("neither loaded nor rejected" in problem for problem in report.problems)
    columns = ", ".join(quoted(name) for name in header)
    kept = con.sql(f"select _line, {columns} from raw.crm__customer order by _line").fetchall()
    refused = con.sql("select line, content from raw.rejected_line order by line").fetchall()
    assert (len(kept), len(refused)) == (records, rejected)
    starts = [row[0] for row in kept] + [line for line, _ in refused]
    assert len(set(starts)) == len(starts)
    if unaccounted:
        return
    # Every record stands on the line that it is said to stand on, and together they cover the file.
    covered = sum(1 + sum(len(re.findall(r"[\r\n]+", value or "")) for value in row[1:]) for row in kept)
    covered += sum(1 + len(re.findall(r"[\r\n]+", text or "")) for _, text in refused)
    above = min(starts, default=len(physical) + 1) - 1
    assert covered == len([number for number in solid if number > above])
    for line, *values in kept:
        first = re.split(r"[\r\n]", values[0] or "")[0]
        assert first.replace('"', "") in physical[line - 1].replace('"', "")


def physical_lines(content: bytes, encoding: str) -> list[str]:
    """The lines of a file as an editor shows them."""
    for mark, codec in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return re.split(LINE_END, content.decode(codec, "replace"))
    return re.split(LINE_END, content.decode("utf-16-le" if encoding == "utf-16" else encoding, "replace"))
