"""What a masked or encrypted copy shows, and to whom. Does not belong here: what is published."""

from pathlib import Path

import duckdb
import pytest

from crm_quality.errors import CrmQualityError
from crm_quality.project import Project, init_project
from crm_quality.publish.share import share

SECRETS = (
    "Wilhelmina Featherstone",
    "wilhelmina@featherstone.example",
    "+4917012345678",
    "0031-SECRET-ID",
    "C0CUSTOMERID1",
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A published customer with two records, a text column that no policy knows, and free text that names her."""
    monkeypatch.setenv("CRM_QUALITY_MASKING_KEY", "a masking key of some length")
    monkeypatch.setenv("CRM_QUALITY_ENCRYPTION_KEY", "an encryption key of some length")
    project = init_project(tmp_path / "company")
    project.published.mkdir()
    name, email, phone, source_id, customer_id = SECRETS
    version = project.published / "golden-1.duckdb"
    project.golden.symlink_to(version.name)
    with duckdb.connect(str(version)) as con:
        con.execute("create schema core; create schema golden")
        con.execute(
            "create table golden.customer as select ? as customer_id, ? as display_name, ? as email, ? as phone, "
            "date '1980-05-17' as birth_date, 'DE' as country, 0.5 as quality_score",
            [customer_id, name, email, phone],
        )
        con.execute("comment on column golden.customer.email is 'valid e-mail address'")
        con.execute(
            "create table golden.customer_xref as select ? as customer_id, 'crm' as source_system, ? as source_id, "
            "[?] as lost_values, ? as nickname from range(2)",
            [customer_id, source_id, name, name],
        )
        con.execute("create table core.survey_response as select 'Yours, ' || ? as comment", [name])
    return project


def test_a_masked_copy_holds_no_original_anywhere_in_its_bytes(project: Project, tmp_path: Path) -> None:
    share(project, tmp_path / "masked.duckdb", masked=True, encrypted=False)
    content = (tmp_path / "masked.duckdb").read_bytes()
    assert [secret for secret in SECRETS if secret.encode() in content] == []
    # The search itself finds what is there.
    assert all(secret.encode() in project.golden.read_bytes() for secret in SECRETS)


def test_what_is_written_without_compression_holds_no_original_either(project: Project, tmp_path: Path) -> None:
    """DuckDB compresses texts, so that the bytes of a file as it is show but a part of them."""
    with duckdb.connect(str(project.golden.resolve())) as con:
        con.execute(
            "insert into golden.customer_xref select 'C' || n, 'crm', 'Id-of-' || n, ['Name of ' || n], 'Nick ' || n from range(5000) as t(n)"
        )
    share(project, tmp_path / "masked.duckdb", masked=True, encrypted=False)

    def plain(file: Path, target: Path) -> bytes:
        with duckdb.connect() as con:
            con.execute("set force_compression = 'uncompressed'")
            con.execute(
                f"attach '{file}' as origin (read_only); attach '{target}' as target; copy from database origin to target"
            )
        return target.read_bytes()

    shown = plain(tmp_path / "masked.duckdb", tmp_path / "plain.duckdb")
    originals = plain(project.golden.resolve(), tmp_path / "originals.duckdb")
    secrets = [*SECRETS, *(f"Id-of-{n}" for n in range(1000, 5000)), *(f"Name of {n}" for n in range(1000, 5000))]
    assert [secret for secret in secrets if secret.encode() not in originals] == []
    assert [secret for secret in secrets if secret.encode() in shown] == []


def test_pseudonyms_still_join_and_depend_on_the_key(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ids() -> list[str]:
        share(project, tmp_path / "masked.duckdb", masked=True, encrypted=False)
        with duckdb.connect(str(tmp_path / "masked.duckdb"), read_only=True) as con:
            joined = con.execute(
                "select customer_id from golden.customer join golden.customer_xref using (customer_id)"
            ).fetchall()
        (tmp_path / "masked.duckdb").unlink()
        return [name for (name,) in joined]

    first, again = ids(), ids()
    assert len(first) == 2
    assert first == again
    monkeypatch.setenv("CRM_QUALITY_MASKING_KEY", "another masking key of some length")
    assert ids() != first


def test_a_masked_copy_keeps_what_can_be_counted_and_empties_free_text(project: Project, tmp_path: Path) -> None:
    share(project, tmp_path / "masked.duckdb", masked=True, encrypted=False)
    with duckdb.connect(str(tmp_path / "masked.duckdb"), read_only=True) as con:
        row = con.execute("select birth_date::varchar, country, quality_score::double from golden.customer").fetchone()
        assert row == ("1980-01-01", "DE", 0.5)
        assert con.execute("select comment from core.survey_response").fetchall() == [(None,)]
        assert con.execute("select any_value(lost_values) from golden.customer_xref").fetchall() == [(None,)]
        assert con.execute(
            "select comment from duckdb_columns() where table_name = 'customer' and column_name = 'email'"
        ).fetchall() == [("valid e-mail address",)]


def test_a_project_chooses_per_column(project: Project, tmp_path: Path) -> None:
    (project.folder / "masking.yaml").write_text(
        "leave_out: [core.survey_response]\ncolumns: {golden.customer.display_name: empty, country: pseudonym}\n"
    )
    assert share(project, tmp_path / "masked.duckdb", masked=True, encrypted=False) == 2
    with duckdb.connect(str(tmp_path / "masked.duckdb"), read_only=True) as con:
        ((name, country),) = con.execute("select display_name, country from golden.customer").fetchall()
    assert name is None
    assert country.startswith("P")
    (project.folder / "masking.yaml").write_text("columns: {country: hide}\n")
    with pytest.raises(CrmQualityError, match=r"masking.yaml.*\n.*columns.country.*keep"):
        share(project, tmp_path / "masked.duckdb", masked=True, encrypted=False)


def test_an_encrypted_copy_opens_with_its_key_only(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "encrypted.duckdb"
    share(project, file, masked=False, encrypted=True)
    assert [secret for secret in SECRETS if secret.encode() in file.read_bytes()] == []
    with pytest.raises(duckdb.Error, match="without a key"):
        duckdb.connect(str(file), read_only=True)
    with duckdb.connect(":memory:") as con:
        with pytest.raises(duckdb.Error):
            con.execute(f"attach '{file}' as wrong (read_only, encryption_key 'some other key of some length')")
        con.execute(f"attach '{file}' as opened (read_only, encryption_key 'an encryption key of some length')")
        assert con.execute("select display_name from opened.golden.customer").fetchall() == [(SECRETS[0],)]


@pytest.mark.parametrize(
    ("masked", "variable"), [(True, "CRM_QUALITY_MASKING_KEY"), (False, "CRM_QUALITY_ENCRYPTION_KEY")]
)
def test_without_its_key_nothing_is_written_and_the_variable_is_named(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, masked: bool, variable: str
) -> None:
    monkeypatch.setenv(variable, "short")
    with pytest.raises(CrmQualityError, match=f"Set {variable} .* at least 16 characters"):
        share(project, tmp_path / "copy.duckdb", masked=masked, encrypted=not masked)
    assert not list(tmp_path.glob("copy*"))
