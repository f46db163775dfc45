"""Names of persons: splitting, keys, placeholders."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crm_quality.standardise.person_name import PersonName, standardise_person_name

LATIN = st.text(alphabet="abcdefghijklmnopqrstuvwxyzäöüéñłß", min_size=2, max_size=10)
CHINESE = st.builds(
    str.__add__,
    st.sampled_from(["王", "李", "张", "欧阳", "司马", "曾", "单", "翟"]),
    st.text(alphabet="伟小明芳娜建国长乐", min_size=1, max_size=2),
)


def name(full: str = "", given_name: str = "", family: str = "") -> PersonName:
    return standardise_person_name(full, given_name, family)


@pytest.mark.parametrize(
    "fields",
    [
        ("王伟", "", ""),
        ("王伟 先生", "", ""),
        ("王 伟", "", ""),
        ("伟 王", "", ""),
        ("", "伟", "王"),
        ("", "王", "伟"),
        ("Wang Wei", "", ""),
        ("Wei Wang", "", ""),
        ("Wang, Wei", "", ""),
        ("WANG Wei", "", ""),
        ("Mr. Wei WANG", "", ""),
        ("", "Wei", "Wang"),
        ("", "Wang", "Wei"),
        ("王伟 (David)", "", ""),
        ("Wang Wei 王伟", "", ""),
    ],
)
def test_one_name_has_one_key_in_every_script_and_order(fields: tuple[str, str, str]) -> None:
    assert name(*fields).name_key == "wang wei"


@pytest.mark.parametrize(
    ("full", "key"),
    [
        ("Иван Петров", "ivan petrov"),
        ("Γιώργος Ράλλης", "giorgos rallis"),
        ("김정자", "jeongja kim"),
        ("タナカ ハナコ", "hanako tanaka"),
        ("محمد علي", "ly mhmd"),
        ("ნინო გელაშვილი", "gelashvili nino"),
    ],
)
def test_the_key_of_a_name_is_latin_whatever_its_script(full: str, key: str) -> None:
    assert name(full).name_key == key


@pytest.mark.parametrize(
    ("full", "family", "given_name"),
    [
        ("王小明", "王", "小明"),
        ("欧阳娜娜", "欧阳", "娜娜"),
        ("歐陽娜娜", "欧阳", "娜娜"),
        ("诸葛亮", "诸葛", "亮"),
        ("买买提·艾力", "艾力", "买买提"),
        ("Ludwig van Beethoven", "van Beethoven", "Ludwig"),
        ("Dr. Jane Roe, PhD", "Roe", "Jane"),
        ("Martin Luther King Jr.", "King", "Martin Luther"),
        ("King, Martin Luther, Jr.", "King", "Martin Luther"),
        ("Zhang Xiaoming", "Zhang", "Xiaoming"),
        ("Xiaoming Zhang", "Zhang", "Xiaoming"),
        ("Yao Ming", "Yao", "Ming"),
        ("Jack Ma", "Ma", "Jack"),
        ("David 王", "王", "David"),
        ("O'BRIEN, PAT", "O'Brien", "Pat"),
        ("佐藤 涼平", "佐藤", "凉平"),
        ("中村香織", "中村", "香织"),
        ("佐々木希", "佐々木", "希"),
        ("田中华", "田", "中华"),
        ("김정자", "김", "정자"),
        ("정자 김", "김", "정자"),
        ("남궁민", "남궁", "민"),
        ("Иван Петров", "Петров", "Иван"),
    ],
)
def test_a_full_name_is_split(full: str, family: str, given_name: str) -> None:
    found = name(full)
    assert (found.std_family_name, found.std_given_name, found.problem) == (family, given_name, None)


@pytest.mark.parametrize(
    ("full", "key"),
    [
        ("单雄信", "shan"),
        ("曾国藩", "zeng"),
        ("解晓东", "xie"),
        ("仇英", "qiu"),
        ("万俟卨", "moqi"),
        ("吕布", "lyu"),
        ("Bu Lü", "lyu"),
    ],
)
def test_surnames_are_read_as_surnames(full: str, key: str) -> None:
    assert name(full).family_key == key


def test_given_names_of_two_characters_have_one_key_however_spaced() -> None:
    spaced = ["王小明", "Wang Xiaoming", "Xiao Ming Wang", "Xiao-Ming Wang", "Wang Xiao Ming"]
    assert {name(text).name_key for text in spaced} == {"wang xiaoming"}


def test_the_standard_full_name_is_given_family_in_latin_and_family_given_in_chinese() -> None:
    assert name(given_name="jane", family="roe").std_full_name == "Jane Roe"
    assert name(given_name="小明", family="王").std_full_name == "王小明"
    assert name("Martin Luther King Jr.").std_full_name == "Martin Luther King Jr."


def test_nicknames_and_mixed_case_are_left_as_they_are() -> None:
    assert name("Bob McDonald").std_full_name == "Bob McDonald"
    assert name("Bob McDonald").given_key == "bob"


@pytest.mark.parametrize(
    ("full", "problem"),
    [
        ("test", "placeholder"),
        ("Test User", "placeholder"),
        ("TEST 2", "placeholder"),
        ("测试", "placeholder"),
        ("测试客户", "placeholder"),
        ("未知", "placeholder"),
        ("John Doe", "placeholder"),
        ("张三", "placeholder"),
        ("王某某", "placeholder"),
        ("xxx", "placeholder"),
        ("aaaa bbbb", "placeholder"),
        ("n/a", "placeholder"),
        ("qweasd", "keyboard mash"),
        ("sdfghj dfgdfg", "keyboard mash"),
        ("12345", "no letters"),
        ("???", "no letters"),
    ],
)
def test_what_is_no_name_says_why_and_has_no_keys(full: str, problem: str) -> None:
    found = name(full)
    assert found.problem == problem
    assert (found.name_key, found.given_key, found.family_key, found.hanzi) == (None, None, None, None)


@pytest.mark.parametrize(
    "full",
    ["Ng", "Krzysztof Schwarz", "Jim Null", "An Na", "Wert Trew", "Ai Xxu", "王一一", "Na Li", "Oo Test"],
)
def test_rare_names_are_names(full: str) -> None:
    assert name(full).problem is None


@given(LATIN, LATIN)
def test_the_key_does_not_depend_on_the_order_of_names(first: str, second: str) -> None:
    one, other = name(given_name=first, family=second), name(given_name=second, family=first)
    # What lies side by side on a keyboard does so in one order only.
    assume(not one.problem and not other.problem)
    assert one.name_key == other.name_key


@given(LATIN, LATIN)
def test_one_field_and_two_fields_give_the_same_key(first: str, second: str) -> None:
    assert name(f"{first} {second}").name_key == name(given_name=first, family=second).name_key


@given(CHINESE)
def test_a_split_chinese_name_joins_to_the_same_name(full: str) -> None:
    found = name(full)
    again = name(given_name=found.std_given_name or "", family=found.std_family_name or "")
    if found.problem is None and found.std_given_name:
        assert found.std_full_name == found.hanzi == full
        assert again.name_key == found.name_key


@given(st.text(), st.text(), st.text())
def test_no_text_is_too_odd(full: str, given_name: str, family: str) -> None:
    found = name(full, given_name, family)
    assert found.problem is None or found.name_key is None


def test_nothing_is_no_problem() -> None:
    assert set(standardise_person_name(None, "", "  ")) == {None}


@pytest.mark.parametrize(
    ("fields", "written"),
    [
        (("王小東", "", ""), ("王小東", "小東", None)),
        (("", "小東", "鄭"), ("鄭小東", "小東", "鄭")),
        (("佐藤 涼平", "", ""), ("佐藤涼平", "涼平", None)),
        (("David 鄭", "", ""), ("David 鄭", None, "鄭")),
        (("王小东", "", ""), (None, None, None)),
        (("Wei Wang", "", ""), (None, None, None)),
    ],
)
def test_the_characters_that_simplification_replaced_are_kept_beside(
    fields: tuple[str, str, str], written: tuple[str | None, ...]
) -> None:
    found = name(*fields)
    assert (found.written_full_name, found.written_given_name, found.written_family_name) == written
