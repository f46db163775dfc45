"""What checks find of known damage, worked out by hand. Does not belong here: the sample's own damage."""

from pathlib import Path

import duckdb
import pytest

from crm_quality.errors import CrmQualityError
from crm_quality.quality.damage import Found, measure_damage


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    """A published file in which e-mail 1 and 3 are flagged, one line was repeated and one was broken."""
    file = tmp_path / "golden.duckdb"
    with duckdb.connect(str(file)) as con:
        con.execute(
            """
            create schema core; create schema quality;
            create table core.party as select 'crm' as source_system, 'Account' as source_object, n as source_id
            from unnest(['1', '2', '3', '4']) as t(n);
            create table core.opportunity as select 'crm' as source_system, 'Deal' as source_object, 'D1' as source_id,
                '9' as party_source_id;
            create table quality.failure as from (values
                ('core_party__email_valid', 'crm', 'Account', '1'),
                ('core_party__email_valid', 'crm', 'Account', '3'),
                ('core_party__email_valid', 'crm', 'Account', '4'),
                ('core_opportunity__party_exists', 'crm', 'Deal', 'D1')
            ) as t(check_id, source_system, source_object, source_id);
            create table quality.quarantine as select 'crm' as source_system, 'Line' as source_object,
                unnest(['77-10', 'CD-7']) as source_id, 'repeated line' as reason;
            create table quality.rejected_line as select 'crm' as source_system, 'Account' as source_object,
                '"9","Acme' as content;
            """
        )
    return file


def truth(tmp_path: Path, *damage: str) -> Path:
    folder = tmp_path / "truth"
    folder.mkdir()
    header = "source_system,source_object,source_id,table,column,kind,original\n"
    (folder / "damage.csv").write_text(header + "".join(f"{line}\n" for line in damage))
    (folder / "ghost.csv").write_text("source_system,source_object,source_id,kind\ncrm,Account,4,invented\n")
    return folder


def test_recall_counts_the_damaged_and_precision_the_flagged(golden: Path, tmp_path: Path) -> None:
    folder = truth(
        tmp_path,
        "crm,Account,1,party,email,invalid_email,a@x.cn",
        "crm,Account,2,party,email,invalid_email,b@x.cn",  # no check says so
        "crm,Account,8,party,email,invalid_email,c@x.cn",  # its line never became a record
    )
    (email, *_) = measure_damage(golden, folder).found
    # 3 was never damaged; 4 is a ghost, whose address is made up
    assert email == Found("party", "invalid_email", 2, 1, 3, 2, "email_valid")
    assert (email.recall, email.precision) == (0.5, pytest.approx(2 / 3))


def test_lines_are_told_by_the_id_they_begin_with(golden: Path, tmp_path: Path) -> None:
    folder = truth(
        tmp_path,
        "crm,Line,77,order_line,,repeated_line,",
        "crm,Line,CD-7,product,,repeated_line,",  # an id that itself looks like two parts
        "crm,Account,9,party,,broken_line,",
        "crm,Account,8,party,,broken_line,",
    )
    repeated, broken = measure_damage(golden, folder).found
    assert repeated == Found("any", "repeated_line", 2, 2, 2, 2, "quality.quarantine")
    assert broken == Found("any", "broken_line", 2, 1, 1, 1, "quality.rejected_line")


def test_a_record_whose_party_was_in_a_broken_line_is_rightly_flagged(golden: Path, tmp_path: Path) -> None:
    folder = truth(tmp_path, "crm,Account,9,party,,broken_line,", "crm,Deal,D9,opportunity,party_source_id,orphan,1")
    (orphan, *_) = measure_damage(golden, folder).found
    assert (orphan.flagged, orphan.right) == (1, 1)


def test_what_no_rule_can_see_is_listed_with_the_reason(golden: Path, tmp_path: Path) -> None:
    report = measure_damage(golden, truth(tmp_path, "crm,Account,1,party,given_name,nickname,William"))
    assert report.unseen == (("party", "nickname", 1, "a nickname is a name; found by identity resolution"),)
    assert "a nickname is a name" in str(report)
    assert '"kind": "repeated_line"' in report.to_json()


def test_a_kind_that_nobody_has_spoken_for_is_an_error(golden: Path, tmp_path: Path) -> None:
    with pytest.raises(CrmQualityError, match="no check is known for party moon_phase"):
        measure_damage(golden, truth(tmp_path, "crm,Account,1,party,email,moon_phase,x"))


def test_a_missing_truth_names_the_file_and_its_columns(golden: Path, tmp_path: Path) -> None:
    with pytest.raises(CrmQualityError, match=r"damage\.csv does not exist; it must hold the columns source_system"):
        measure_damage(golden, tmp_path)
