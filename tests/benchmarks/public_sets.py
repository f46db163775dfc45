"""Public sets with known truth, as projects of YAML files. Belongs here: what their columns mean. Does not: measuring.

The columns are mapped as a new user would map them; nothing else is set, and nothing is different between the sets.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import yaml

_PERSON = {"party_type": {"constant": "person"}}
_ORGANISATION = {"party_type": {"constant": "organisation"}}
_FEBRL = {
    **_PERSON,
    "source_id": "rec_id",
    "given_name": "given_name",
    "family_name": "surname",
    "house_number": "street_number",
    "street": {"columns": ["address_1", "address_2"], "join": " "},
    "city": "suburb",
    "postal_code": "postcode",
    "region": "state",
    "birth_date": "date_of_birth",
    "national_id": "soc_sec_id",
}


@dataclass(frozen=True)
class Extract:
    """One file, the object made of it, and the dialect where it is not plain CSV."""

    file: str
    columns: dict[str, object]
    format: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class PublicSet:
    """One set: its files, its country, and a query of (source_system, source_object, source_id, entity_id)."""

    name: str
    country: str
    extracts: dict[str, Extract]
    truth: str


def _febrl(number: int) -> PublicSet:
    return PublicSet(
        f"febrl {number}",
        "AU",
        {"people": Extract(f"febrl/dataset{number}.csv", _FEBRL, {"dates": ["%Y%m%d"]})},
        "select 'people', 'records', rec_id, cluster_id"
        f" from read_csv('{{data}}/febrl/dataset{number}_truth.csv', all_varchar = true)",
    )


_DUPLICATES = """
    with pair as (
        select least(l, r) as l, greatest(l, r) as r
        from read_csv('{data}/restaurants/duplicates.csv', delim = '|', header = false, names = ['l', 'r'])
    )
    select 'guide', 'records', cast(id as varchar), cast(coalesce(min(pair.l), id) as varchar)
    from read_csv('{data}/restaurants/restaurantProfiles.csv', delim = '|') as profile
    left join pair on profile.id = pair.r
    group by id
"""

PUBLIC_SETS = (
    _febrl(1),
    _febrl(2),
    _febrl(3),
    PublicSet(
        "splink_fake",
        "GB",
        {
            "people": Extract(
                "splink_fake/fake_1000.csv",
                {
                    **_PERSON,
                    "source_id": "unique_id",
                    "given_name": "first_name",
                    "family_name": "surname",
                    "birth_date": "dob",
                    "city": "city",
                    "email": "email",
                },
            )
        },
        "select 'people', 'records', unique_id, cluster from read_csv('{data}/splink_fake/fake_1000.csv', all_varchar = true)",
    ),
    PublicSet(
        "restaurants",
        "US",
        {
            "guide": Extract(
                "restaurants/restaurantProfiles.csv",
                {
                    **_ORGANISATION,
                    "source_id": "id",
                    "company_name": "name",
                    "street": "addr",
                    "phone": "phone",
                    "city": "city",
                    "industry": "type",
                },
                {"delimiter": "|"},
            )
        },
        _DUPLICATES,
    ),
    PublicSet(
        "early childhood",
        "US",
        {
            "sites": Extract(
                "dedupe_early_childhood/csv_example_input_with_true_ids.csv",
                {
                    **_ORGANISATION,
                    "source_id": "Id",
                    "company_name": "Site name",
                    "street": "Address",
                    "postal_code": "Zip",
                    "phone": "Phone",
                    "website": "Website",
                    "email": "Email Address",
                },
            )
        },
        """select 'sites', 'records', "Id", "True Id"
        from read_csv('{data}/dedupe_early_childhood/csv_example_input_with_true_ids.csv', all_varchar = true)""",
    ),
    PublicSet(
        "cn link",
        "CN",
        {
            "crm": Extract(
                "cn_listed_companies/task_link/crm_short_2025.csv",
                {
                    **_ORGANISATION,
                    "source_id": "crm_id",
                    "company_name": "name",
                    "region": "area",
                    "industry": "industry",
                },
            ),
            "erp": Extract(
                "cn_listed_companies/task_link/erp_legal_2020.csv",
                {
                    **_ORGANISATION,
                    "source_id": "erp_id",
                    "company_name": "full_name",
                    "region": "area",
                    "industry": "industry",
                },
            ),
        },
        """
        with link as (select * from read_csv('{data}/cn_listed_companies/task_link/truth_pairs.csv'))
        select 'crm', 'records', crm_id, crm_id from read_csv('{data}/cn_listed_companies/task_link/crm_short_2025.csv')
        union all
        select 'erp', 'records', erp_id, coalesce(link.crm_id, erp_id)
        from read_csv('{data}/cn_listed_companies/task_link/erp_legal_2020.csv') left join link using (erp_id)
        """,
    ),
    PublicSet(
        "cn dedupe",
        "CN",
        {
            "crm": Extract(
                "cn_listed_companies/task_dedupe/records.csv",
                {
                    **_ORGANISATION,
                    "source_id": "rec_id",
                    "company_name": "name",
                    "region": "area",
                    "industry": "industry",
                },
            )
        },
        "select 'crm', 'records', rec_id, cluster_id"
        " from read_csv('{data}/cn_listed_companies/task_dedupe/truth.csv', all_varchar = true)",
    ),
    PublicSet(
        "patstat",
        "US",
        {
            "patents": Extract(
                "patstat_patent_holders/patstat_reference.csv",
                {**_ORGANISATION, "source_id": "person_id", "company_name": "person_name"},
            )
        },
        "select 'patents', 'records', person_id, leuven_id"
        " from read_csv('{data}/patstat_patent_holders/patstat_reference.csv', all_varchar = true)",
    ),
)


def make_project(public: PublicSet, data: Path, folder: Path, objective: str | float = "best_f1") -> Path:
    """Write settings, sources, extracts and truth.csv of one set; returns the truth file."""
    (folder / "sources").mkdir(parents=True)
    settings = {"name": public.name, "default_country": public.country, "identity": {"objective": objective}}
    (folder / "crm_quality.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    for priority, (system, extract) in enumerate(public.extracts.items()):
        (folder / "extracts" / system).mkdir(parents=True)
        shutil.copy(data / extract.file, folder / "extracts" / system / "records.csv")
        source = {
            "kind": "erp" if system == "erp" else "crm",
            "priority": priority,
            "path": f"extracts/{system}",
            "format": extract.format,
            "objects": {"records": {"files": "records.csv", "maps": {"party": {"columns": extract.columns}}}},
        }
        (folder / "sources" / f"{system}.yaml").write_text(yaml.safe_dump(source), encoding="utf-8")
    truth = folder / "truth.csv"
    with duckdb.connect() as con:
        con.execute(
            f"copy (from ({public.truth.format(data=data)}) as t(source_system, source_object, source_id, entity_id))"
            f" to '{truth}' (header)"
        )
    return truth
