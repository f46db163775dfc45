"""The sample company: same seed same bytes, complete truth, layouts that fit, dirt at the rates asked for."""

import csv
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import phonenumbers
import pytest

from crm_quality.ingest.files import find_files
from crm_quality.project import open_project
from crm_quality.sample import DirtRates, SampleSummary, generate
from crm_quality.sources.headers import missing_columns
from crm_quality.sources.layout import Source, canonical, load_source

CUSTOMERS = 3_000
DAY = date(2026, 11, 21)
Row = dict[str, str]
Key = tuple[str, str, str]


@dataclass(frozen=True)
class Sample:
    """A generated project and its sources."""

    folder: Path
    summary: SampleSummary
    sources: dict[str, Source]

    def truth(self, name: str) -> list[Row]:
        with (self.folder / "truth" / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    def file(self, system: str, name: str) -> Path:
        (part,) = find_files(open_project(self.folder), self.sources[system], name, DAY)
        return part.path

    def rows(self, system: str, name: str) -> list[Row]:
        """The lines of a file that have the right number of fields."""
        shape = self.sources[system].format
        quoting = csv.QUOTE_MINIMAL if shape.quote else csv.QUOTE_NONE
        with self.file(system, name).open(encoding=shape.encoding, newline="") as stream:
            reader = csv.reader(stream, delimiter=shape.delimiter, quoting=quoting)
            header = next(reader)
            return [dict(zip(header, row, strict=True)) for row in reader if len(row) == len(header)]

    def objects(self) -> Iterator[tuple[str, str]]:
        for system, source in self.sources.items():
            for name in source.objects:
                if find_files(open_project(self.folder), source, name, DAY):
                    yield system, name


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return make(tmp_path_factory.mktemp("sample") / "company", CUSTOMERS)


def make(folder: Path, customers: int, seed: int = 7, dirt: DirtRates | None = None) -> Sample:
    summary = generate(folder, customers, seed, DAY, dirt or DirtRates())
    return Sample(folder, summary, {f.stem: load_source(f) for f in (folder / "sources").glob("*.yaml")})


def digest(folder: Path) -> dict[str, str]:
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def parties(sample: Sample) -> dict[Key, Row]:
    found: dict[Key, Row] = {}
    for system, name in sample.objects():
        mapping = sample.sources[system].objects[name].maps.get("party")
        if mapping:
            header = mapping.columns["source_id"].column[0]
            found |= {(system, name, row[header]): row for row in sample.rows(system, name)}
    return found


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    first, second = make(tmp_path / "a", 300), make(tmp_path / "b", 300)
    assert digest(first.folder) == digest(second.folder)
    assert first.summary == second.summary
    assert digest(make(tmp_path / "c", 300, seed=8).folder) != digest(first.folder)


def test_chunks_neither_repeat_ids_nor_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crm_quality.sample.company.CHUNK", 150)
    many = make(tmp_path / "chunks", 500)
    keys = [(row["source_system"], row["source_object"], row["source_id"]) for row in many.truth("entity")]
    assert len(keys) == len(set(keys)) == many.summary.records
    assert len({row["entity_id"] for row in many.truth("entity_value")}) == 500
    for system, name in many.objects():
        first = next(iter(many.rows(system, name)))
        assert not any(row == {header: header for header in first} for row in many.rows(system, name))


def test_a_folder_that_holds_a_project_is_left_alone(sample: Sample) -> None:
    with pytest.raises(ValueError, match="already holds a project"):
        generate(sample.folder, 10, 1, DAY)


def test_a_rate_outside_zero_and_one_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"ghosts is 1\.5"):
        DirtRates(ghosts=1.5)


def test_settings_hold_the_two_keys_of_the_company_and_nothing_else(sample: Sample) -> None:
    lines = (sample.folder / "crm_quality.yaml").read_text(encoding="utf-8").splitlines()
    assert [line.split(":")[0] for line in lines] == ["name", "default_country"]
    assert lines[1] == "default_country: CN"


def test_every_canonical_object_is_mapped_by_some_layout(sample: Sample) -> None:
    mapped = {table for system, name in sample.objects() for table in sample.sources[system].objects[name].maps}
    assert mapped == set(canonical())


def test_layouts_name_only_headers_that_the_files_have(sample: Sample) -> None:
    for system, name in sample.objects():
        headers = list(sample.rows(system, name)[0])
        missed = [found for found in missing_columns(sample.sources[system], name, headers) if not found.optional]
        assert missed == [], f"{system}.{name}"


def test_every_party_record_has_an_entity_and_every_entity_record_a_line(sample: Sample) -> None:
    truth = {(row["source_system"], row["source_object"], row["source_id"]) for row in sample.truth("entity")}
    found = set(parties(sample))
    assert found <= truth
    broken = {
        (row["source_system"], row["source_object"], row["source_id"])
        for row in sample.truth("damage")
        if row["kind"] == "broken_line"
    }
    assert truth - found <= broken
    assert len(truth) == sample.summary.records


def test_a_customer_has_about_one_and_a_half_records(sample: Sample) -> None:
    assert sample.summary.customers == CUSTOMERS
    assert 1.4 < (sample.summary.records - sample.summary.ghosts) / CUSTOMERS < 1.65


def test_each_ghost_is_an_entity_of_its_own(sample: Sample) -> None:
    entity = {
        (row["source_system"], row["source_object"], row["source_id"]): row["entity_id"]
        for row in sample.truth("entity")
    }
    ghosts = sample.truth("ghost")
    ids = [entity[row["source_system"], row["source_object"], row["source_id"]] for row in ghosts]
    assert len(set(ids)) == len(ids) == sample.summary.ghosts
    assert not set(ids) & {row["entity_id"] for row in sample.truth("entity_value")}
    kinds = {row["kind"] for row in ghosts}
    expected = {"keyboard_mash", "test_record", "bulk_created", "invented", "one_time_account", "leftover"}
    assert kinds == expected


def test_the_chinese_files_are_gb18030_with_chinese_headers_and_epoch_milliseconds(sample: Sample) -> None:
    raw = sample.file("fxiaoke", "AccountObj").read_bytes()
    assert raw.decode("gb18030").startswith('"唯一性ID","客户名称"')
    with pytest.raises(UnicodeDecodeError):
        raw.decode("utf-8")
    assert all(len(row["创建时间"]) == 13 for row in sample.rows("fxiaoke", "AccountObj"))


def test_sap_numbers_keep_leading_zeros_and_the_sign_behind(sample: Sample) -> None:
    customers = {row["KUNNR"] for row in sample.rows("sap", "KNA1")}
    assert all(len(number) == 10 and number.startswith("000") for number in customers)
    orders = sample.rows("sap", "VBAK")
    returned = [row["NETWR"] for row in orders if row["VBTYP"] == "H"]
    assert returned
    assert all(amount.endswith("-") for amount in returned)
    assert any("." in row["NETWR"] for row in orders)
    assert all(row["NETWR"].rstrip("-")[-3] == "," for row in orders)


def number(text: str) -> float:
    plain = text.replace(".", "").replace(",", ".")
    return -float(plain[:-1]) if plain.endswith("-") else float(plain)


def test_orders_are_the_sum_of_their_lines_and_payments_never_exceed_the_invoice(sample: Sample) -> None:
    spoilt = {row["source_id"] for row in sample.truth("damage") if row["kind"] in ("broken_line", "repeated_line")}
    lines: dict[str, float] = defaultdict(float)
    for row in sample.rows("sap", "VBAP"):
        lines[row["VBELN"]] += number(row["NETWR"])
    orders = [row for row in sample.rows("sap", "VBAK") if row["VBELN"] not in spoilt]
    assert all(abs(lines[row["VBELN"]] - number(row["NETWR"])) < 0.01 for row in orders)
    invoices = {row["VBELN"]: number(row["NETWR"]) + number(row["MWSBK"]) for row in sample.rows("sap", "VBRK")}
    paid: dict[str, float] = defaultdict(float)
    for row in sample.rows("sap", "BSAD"):
        if row["BELNR"] not in spoilt:
            paid[row["VBELN"]] += number(row["WRBTR"]) * (-1 if row["SHKZG"] == "S" else 1)
    assert all(abs(paid[key]) <= abs(invoices[key]) + 0.01 for key in paid.keys() & invoices.keys())


def test_nobody_spends_points_that_they_do_not_have(sample: Sample) -> None:
    spoilt = {row["source_id"] for row in sample.truth("damage")}
    balance: dict[str, float] = defaultdict(float)
    for row in sorted(sample.rows("salesforce", "Loyalty_Event__c"), key=lambda row: row["Event_Time__c"]):
        if row["Id"] not in spoilt:
            balance[row["Contact__c"]] += float(row["Points__c"])
    assert balance
    assert min(balance.values()) >= 0


def test_order_counts_are_skewed_and_the_lines_as_many_as_expected(sample: Sample) -> None:
    per_customer = Counter(row["KUNNR"] for row in sample.rows("sap", "VBAK"))
    orders, customers = sum(per_customer.values()), len(per_customer)
    assert 2.5 < orders / customers < 5
    assert sum(count for _, count in per_customer.most_common(customers // 5)) > orders * 0.45
    assert 3 < len(sample.rows("sap", "VBAP")) / orders < 5


def test_mobile_numbers_nobody_damaged_are_valid_in_their_country(sample: Sample) -> None:
    damaged = {
        (row["source_object"], row["source_id"])
        for row in sample.truth("damage")
        if row["column"] in ("mobile", "phone", "country")
    } | {(row["source_object"], row["source_id"]) for row in sample.truth("ghost")}
    rows = [row for row in sample.rows("sap", "KNA1") if row["TELF2"]][:800]
    checked = [row for row in rows if ("KNA1", row["KUNNR"]) not in damaged]
    assert len(checked) > 600
    for row in checked:
        assert phonenumbers.is_valid_number(
            phonenumbers.parse(
                row["TELF2"].replace("00", "+", 1) if row["TELF2"].startswith("00") else row["TELF2"],
                row["LAND1"],
            )
        )


def test_credit_codes_and_resident_ids_carry_right_check_characters(sample: Sample) -> None:
    alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    chinese = [row for row in sample.truth("entity_value") if row["country"] == "CN"]
    codes = [row["tax_id"] for row in chinese if row["tax_id"]]
    assert len(codes) > 500
    for code in codes:
        total = sum(alphabet.index(sign) * pow(3, at, 31) for at, sign in enumerate(code[:17]))
        assert alphabet[(31 - total % 31) % 31] == code[17]
    people = [row for row in chinese if row["national_id"]]
    for row in people:
        total = sum(int(sign) * pow(2, 17 - at, 11) for at, sign in enumerate(row["national_id"][:17]))
        assert "10X98765432"[total % 11] == row["national_id"][17]
        assert row["national_id"][6:14] == row["birth_date"].replace("-", "")


def test_namesakes_share_a_name_and_nothing_else_and_groups_are_not_one_company(sample: Sample) -> None:
    values = {row["entity_id"]: row for row in sample.truth("entity_value")}
    pairs = defaultdict(list)
    for row in sample.truth("relation"):
        pairs[row["kind"]].append((values[row["entity_id"]], values[row["related_entity_id"]]))
    assert set(pairs) == {"namesake", "same_household", "same_group"}
    for one, other in pairs["namesake"]:
        assert one["display_name"] == other["display_name"]
        assert one["mobile"] != other["mobile"]
        assert one["birth_date"] != other["birth_date"]
    for one, other in pairs["same_household"]:
        assert (one["city"], one["phone"], one["postal_code"]) == (
            other["city"],
            other["phone"],
            other["postal_code"],
        )
        assert one["mobile"] != other["mobile"]
    assert all(one["tax_id"] != other["tax_id"] for one, other in pairs["same_group"])


@pytest.mark.parametrize(
    ("damage", "rate", "of"),
    [
        ("party.birth_date.impossible_date", 0.2, "dated"),
        ("opportunity.amount.won_without_amount", 0.3, "won"),
        ("opportunity.currency.wrong_currency", 0.2, "opportunities"),
        ("sales_order.party_source_id.orphan", 0.2, "orders"),
        ("sales_order.currency.wrong_currency", 0.2, "orders"),
        ("interaction.party_source_id.orphan", 0.2, "interactions"),
    ],
)
def test_dirt_comes_at_the_rate_asked_for(dirty: Sample, damage: str, rate: float, of: str) -> None:
    noted = Counter(f"{row['table']}.{row['column']}.{row['kind']}" for row in dirty.truth("damage"))
    hit = noted[damage]
    opportunities = [*dirty.rows("salesforce", "Opportunity"), *dirty.rows("fxiaoke", "NewOpportunityObj")]
    ghosts = {row["source_id"] for row in dirty.truth("ghost")}
    contacts = [*dirty.rows("salesforce", "Contact"), *dirty.rows("fxiaoke", "ContactObj")]
    base = {
        "dated": sum(
            1
            for row in contacts
            if (row.get("Birthdate") or row.get("生日")) and next(iter(row.values())) not in ghosts
        ),
        "won": sum(1 for row in opportunities if row.get("IsWon") == "1" or row.get("商机状态") == "赢单"),
        "opportunities": len(opportunities),
        "orders": len(dirty.rows("sap", "VBAK")),
        "interactions": sum(
            len(dirty.rows(system, name))
            for system, name in (
                ("salesforce", "Task"),
                ("salesforce", "Event"),
                ("fxiaoke", "ActiveRecordObj"),
            )
        ),
    }[of]
    assert hit / base == pytest.approx(rate, rel=0.2)


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    rates = DirtRates(
        impossible_birth_date=0.2, won_without_amount=0.3, wrong_currency=0.2, orphans=0.2, broken_lines=0.02
    )
    return make(tmp_path_factory.mktemp("dirty") / "company", 1_500, dirt=rates)


def test_every_kind_of_damage_is_found_at_the_default_rates(sample: Sample) -> None:
    kinds = {row["kind"] for row in sample.truth("damage")}
    assert kinds >= {
        *(
            "typo",
            "swapped_names",
            "nickname",
            "pinyin",
            "short_name",
            "old_address",
            "old_phone",
            "shared_phone",
        ),
        *(
            "placeholder",
            "invalid_email",
            "invalid_phone",
            "invalid_check_digit",
            "impossible_date",
            "missing",
        ),
        *(
            "orphan",
            "wrong_currency",
            "won_without_amount",
            "close_before_create",
            "repeated_line",
            "broken_line",
        ),
    }


def test_the_original_of_a_damaged_cell_is_not_what_the_file_says(sample: Sample) -> None:
    found = parties(sample)
    contacts = [row for row in sample.truth("damage") if row["column"] == "email" and row["source_object"] == "Contact"]
    assert contacts
    for row in contacts:
        key = row["source_system"], row["source_object"], row["source_id"]
        assert key not in found or found[key]["Email"] != row["original"]


def test_broken_lines_are_the_only_ones_with_a_wrong_number_of_fields(dirty: Sample) -> None:
    broken = Counter(row["source_object"] for row in dirty.truth("damage") if row["kind"] == "broken_line")
    text = dirty.file("sap", "VBAP").read_text(encoding="utf-8").splitlines()
    odd = [line for line in text if line.count(";") != text[0].count(";")]
    assert len(odd) == broken["VBAP"] > 20
    assert {line.count(";") > text[0].count(";") for line in odd} == {True, False}


def test_a_company_without_dirt_has_no_damage_and_no_ghosts(tmp_path: Path) -> None:
    clean = make(tmp_path / "clean", 400, dirt=DirtRates.none())
    assert clean.truth("damage") == clean.truth("ghost") == clean.truth("relation") == []
    assert clean.summary.ghosts == clean.summary.damaged_cells == 0


def test_the_extract_date_is_the_newest_day_there_is(sample: Sample) -> None:
    newest = max(row["LastModifiedDate"] for row in sample.rows("salesforce", "Contact"))
    assert newest[:10] <= DAY.isoformat()
    assert max(row["AUDAT"] for row in sample.rows("sap", "VBAK")) <= DAY.strftime("%Y%m%d")
