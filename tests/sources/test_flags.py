"""What each system says of deletion, merges, blocks and duplicates arrives as evidence, in its connectors' names too."""

from datetime import date
from pathlib import Path

import duckdb
import pytest

from crm_quality.ingest import raw, staging
from crm_quality.ingest.raw import load_object
from crm_quality.ingest.staging import build_staging
from crm_quality.project import open_project
from crm_quality.sources.layout import load_sources

DAY = date(2026, 11, 21)


def read(folder: Path, layout: str, files: dict[str, str], columns: str) -> list[tuple[object, ...]]:
    """Some columns of the parties in a folder of files, in the order of their ids."""
    (folder / "sources").mkdir()
    (folder / "in").mkdir()
    (folder / "crm_quality.yaml").write_text("name: flags")
    own = "{delimiter: ';', encoding: utf-8}"
    (folder / "sources" / "x.yaml").write_text(f"layout: {layout}\npath: in\nformat: {own}")
    for name, content in files.items():
        (folder / "in" / name).write_text(content.replace(" ", "") + "\n", encoding="utf-8")
    project = open_project(folder)
    (source,) = load_sources(project)
    con = duckdb.connect()
    con.execute("create schema meta;" + raw.TABLES + staging.TABLES)
    for name in source.objects:
        load_object(con, project, source, name, DAY)
    build_staging(con, [source], "party", DAY)
    return con.sql(f"select {columns} from staging.party order by source_id").fetchall()


@pytest.mark.parametrize(
    ("layout", "files", "columns", "expected"),
    [
        (
            "salesforce",
            {"Lead.csv": "Id;IsDeleted;MasterRecordId;ConvertedContactId\n1;1;2;\n2;0;;\n3;0;;9"},
            "source_id, is_deleted, merged_into_source_id",
            [("1", True, "2"), ("2", False, None), ("3", False, "9")],
        ),
        (
            "hubspot",
            {
                "contact.csv": "id;hs_calculated_merged_vids;is_deleted\n1;;true\n2;1:1520000000000;false",
                "contact_merge_audit.csv": "canonical_vid;contact_id;vid_to_merge\n2;2;1",
            },
            "source_id, is_deleted, merged_into_source_id, merged_source_ids",
            [("1", True, "2", None), ("2", False, None, "1")],
        ),
        (
            "dynamics",
            {
                "account.csv": "accountid;name;statecode;masterid;creditonhold;industrycode;statuscode\n"
                "1;a;1;2;0;7;2\n2;b;0;;1;8;1",
                "stringmap.csv": "objecttypecode;attributename;attributevalue;value\n"
                "account;industrycode;7;Consulting\ncontact;industrycode;8;wrong\naccount;statuscode;1;Active",
                "Customer.csv": "CustomerId;PreviousCustomerId\n9;5,6",
            },
            "source_id, is_deleted, is_blocked, merged_into_source_id, merged_source_ids, industry, status",
            [
                ("1", True, False, "2", None, "Consulting", "2"),
                ("2", False, True, None, None, "8", "Active"),
                ("9", None, None, None, "5,6", None, None),
            ],
        ),
        (
            "zoho",
            {"Leads.csv": "id;Last_Name;Converted_Contact.id\nzcrm_1;a;zcrm_9"},
            "source_id, merged_into_source_id",
            [("1", "9")],
        ),
        (
            "sap",
            {"KNA1.csv": "kunnr;loevm;aufsd;xcpdk;cvp_xblck\n1;X;;;\n2;;01;;\n3;;;X;\n4;;;;X"},
            "source_id, coalesce(is_deleted, false), coalesce(is_blocked, false), coalesce(is_one_time, false)",
            [("1", True, False, False), ("2", False, True, False), ("3", False, False, True), ("4", False, True, False)],
        ),
        (
            "sap_crm",
            {"BUT000.csv": "PARTNER;TYPE;XDELE;XBLCK\n1;1;X;\n2;2;;X\n3;3;;"},
            "source_id, coalesce(is_deleted, false), coalesce(is_blocked, false)",
            [("1", True, False), ("2", False, True)],
        ),
        (
            "fxiaoke",
            {"LeadsObj.csv": "_id;name;life_status;is_deleted;is_duplicated\n1;a;normal;false;1\n2;b;invalid;false;0\n3;c;normal;true;0"},
            "source_id, is_deleted, is_flagged_duplicate",
            [("1", False, True), ("2", True, False), ("3", True, False)],
        ),
        (
            "netsuite",
            {"customer.csv": "id;isinactive;duplicate;oncredithold\n1;T;F;F\n2;F;T;T"},
            "source_id, is_deleted, is_flagged_duplicate, is_blocked",
            [("1", True, False, False), ("2", False, True, True)],
        ),
        (
            "u8",
            {"Customer.csv": "cCusCode;cCusName;dEndDate;bFreeze\n1;a;2024-01-01;0\n2;b;;1"},
            "source_id, is_deleted, is_blocked",
            [("1", True, False), ("2", False, True)],
        ),
        (
            "k3cloud",
            {"BD_Customer.csv": "FNumber;FName;FForbidStatus\n1;a;B\n2;b;A"},
            "source_id, is_deleted",
            [("1", True), ("2", False)],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value.islower() and " " not in value else "",
)  # fmt: skip
def test_the_flags_of_a_system_are_understood(tmp_path, layout, files, columns, expected):
    assert read(tmp_path, layout, files, columns) == expected
