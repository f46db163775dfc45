"""Every line of a delimited file is a record, a reject with its reason, or the header."""

import re
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_quality.errors import SourceError
from crm_quality.ingest import csv_file
from crm_quality.ingest.csv_file import LineCount, ends_inside_a_line, read_csv
from crm_quality.sources.layout import Format


def read(tmp_path: Path, content: bytes, **shape: str) -> tuple[duckdb.DuckDBPyConnection, list[str], LineCount]:
    file = tmp_path / "f.csv"
    file.write_bytes(content)
    con = duckdb.connect()
    names, count = read_csv(con, file, Format.model_validate(shape), "f.csv")
    return con, names, count


def test_line_numbers_are_those_of_an_editor_in_spite_of_breaks_in_quotes_blank_lines_and_rejects(tmp_path):
    content = (
        b"id,name,x\r\n"
        b'1,"a\r\n\r\nb",2\r\n'  # lines 2 to 4: a legal line break, with a blank line in it
        b"\r\n"
        b"2,b\r\n"  # line 6: too few fields
        b"3,c,d,e\r\n"  # line 7: too many fields
        b'4,"un"escaped",5\r\n'  # line 8: a quote that ends too early
        b"5,ok,1\r\n"  # line 9
    )
    con, _, count = read(tmp_path, content)
    assert con.sql("select _line, id from incoming order by _line").fetchall() == [(2, "1"), (9, "5")]
    rejects = con.sql("select line, column_name, reason from incoming_reject order by line").fetchall()
    assert [line for line, *_ in rejects] == [6, 7, 8]
    assert rejects[0][1] == "x"
    assert "MISSING COLUMNS" in rejects[0][2]
    assert count == LineCount(lines=7, records=2, rejected=3, unaccounted=0)


def test_a_record_that_lost_its_closing_quote_is_rejected_with_all_the_lines_it_swallowed(tmp_path):
    con, _, count = read(tmp_path, b'id,name\n1,a\n2,"b\n3,c\n4,d\n')
    assert con.sql("select id from incoming").fetchall() == [("1",)]
    assert count.rejected == 1
    assert count.unaccounted == 0
    assert con.sql("select line, content from incoming_reject").fetchone() == (3, '2,"b\n3,c\n4,d')


def test_bytes_of_another_encoding_reject_the_line_and_name_the_column(tmp_path):
    con, _, count = read(tmp_path, "id,name\n1,王\n".encode() + b"2,\xcd\xf5\n3,c\n")
    assert con.sql("select line, column_name from incoming_reject").fetchall() == [(3, "name")]
    assert (count.records, count.rejected, count.unaccounted) == (2, 1, 0)


def test_gb18030_utf16_and_byte_order_marks_are_read(tmp_path):
    for encoding, content in (
        ("gb18030", "编号,姓名\n1,王伟\n".encode("gb18030")),
        ("utf-16", "编号,姓名\n1,王伟\n".encode("utf-16")),
        ("utf-8", b"\xef\xbb\xbf" + "编号,姓名\n1,王伟\n".encode()),
    ):
        con, names, count = read(tmp_path, content, encoding=encoding)
        assert names == ["编号", "姓名"]
        assert con.sql("select 姓名 from incoming").fetchall() == [("王伟",)]
        assert count == LineCount(lines=2, records=1, rejected=0, unaccounted=0)


def test_double_and_empty_headers_get_names_of_their_own(tmp_path):
    _, names, _ = read(tmp_path, b"id,Name,name,\n1,a,b,c\n")
    assert names == ["id", "Name", "name_3", "column_4"]


def test_an_empty_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(SourceError, match=r"f\.csv: the file is empty"):
        read(tmp_path, b"")


def test_a_file_cut_inside_a_line_is_told_from_one_without_a_last_line_end(tmp_path):
    for content, cut in ((b"id,name\n1,a\n2", True), (b"id,name\n1,a\n2,b", False)):
        con, _, _ = read(tmp_path, content)
        assert ends_inside_a_line(con, tmp_path / "f.csv") is cut


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(0, 99), st.text('ab,"\n\r \x00é', max_size=6), st.text("xy", max_size=2)),
        max_size=8,
    ),
    st.integers(0, 200),
    st.binary(max_size=3),
    st.sampled_from(["cut", "insert", "replace"]),
)
def test_no_line_of_a_damaged_file_is_lost_or_counted_twice(tmp_path, rows, at, noise, how):
    quoted = ('{},"{}",{}\n'.format(i, text.replace('"', '""'), x) for i, text, x in rows)
    content = b"id,name,x\n" + "".join(quoted).encode()
    at = 10 + at % max(len(content) - 9, 1)  # the header stays whole
    if how == "cut":
        content = content[:at]
    else:
        content = content[:at] + noise + content[at + (len(noise) if how == "replace" else 0) :]
    con, _, count = read(tmp_path, content)
    physical = [line for line in re.split(rb"\r\n|\n|\r", content) if line]
    assert count.lines == len(physical)
    assert count.unaccounted == 0, content
    lines = [
        line for (line,) in con.sql("select _line from incoming union all select line from incoming_reject").fetchall()
    ]
    assert len(lines) == len(set(lines))


def test_of_a_large_file_with_many_broken_quotes_every_line_is_accounted_for(tmp_path):
    """DuckDB's parallel readers lose tens of thousands of lines of such a file."""
    lines = [f'{i},"a ""quoted"" name\nof two lines",{i % 7}' for i in range(3000)]
    lines[700::1000] = ['7,na"me,1', '8,"na"me",1', "9,too few"]
    block = ("\n".join(lines) + "\n").encode()
    copies = 330
    con, _, count = read(tmp_path, b"id,name,x\n" + block * copies)
    assert (tmp_path / "f.csv").stat().st_size > 36_000_000
    assert (count.records, count.rejected, count.unaccounted) == (2998 * copies, 2 * copies, 0)
    # Line 702 of the first block stands on line 2 + 2 * 700.
    firsts = con.sql("select line, content from incoming_reject order by line limit 2").fetchall()
    assert firsts == [(3401, '8,"na"me",1'), (5400, "9,too few")]


def test_a_large_file_most_of_whose_lines_do_not_parse_is_refused_with_its_first_line(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_file, "_LARGE", 0)
    with pytest.raises(SourceError, match=r"f.csv, line 2: this line and most others do not parse: TOO MANY COLUMNS"):
        read(tmp_path, b"id,name\n1,a,x\n2,b,x\n3,c\n4,d,x\n")
