"""Company names: cores, legal forms, branches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_quality.standardise.company_name import standardise_company_name

WORDS = st.lists(
    st.sampled_from(
        [
            "北京",
            "上海市",
            "广东省",
            "华为",
            "创泰",
            "技术",
            "机械",
            "银行",
            "集团",
            "有限公司",
            "股份有限公司",
            "分公司",
            "(中国)",
            "Acme",
            "&",
            "Co.",
            "Ltd.",
            "GmbH",
            "KG",
            "S.A.",
            "branch",
            "The",
        ]
    ),
    max_size=6,
).map(" ".join)


@pytest.mark.parametrize(
    ("value", "core", "key", "form"),
    [
        ("北京华为技术有限公司", "华为技术", "hua wei ji shu", "有限公司"),
        ("華為技術有限責任公司", "华为技术", "hua wei ji shu", "有限公司"),
        ("腾讯科技（深圳）有限公司", "腾讯科技", "teng xun ke ji", "有限公司"),
        ("深圳市腾讯科技有限公司", "腾讯科技", "teng xun ke ji", "有限公司"),
        ("阿里巴巴(中国)网络技术有限公司", "阿里巴巴网络技术", "a li ba ba wang luo ji shu", "有限公司"),
        ("中国移动通信集团", "中国移动通信", "zhong guo yi dong tong xin", "集团"),
        ("重庆长安汽车股份有限公司", "长安汽车", "chang an qi che", "股份有限公司"),
        ("Siemens AG", "siemens", "siemens", "ag"),
        ("SIEMENS A.G.", "siemens", "siemens", "ag"),
        ("Siemens (China) Ltd.", "siemens", "siemens", "ltd"),
        ("Siemens Ltd., China", "siemens", "siemens", "ltd"),
        ("Huawei Technologies Co., Ltd.", "huawei technologies", "huawei technologies", "co ltd"),
        ("Müller GmbH & Co. KG", "muller", "muller", "gmbh & co kg"),
        ("Smith & Sons Limited", "smith and sons", "smith and sons", "ltd"),
        ("Novo Nordisk A/S", "novo nordisk", "novo nordisk", "as"),
        ("Acme S.A. de C.V.", "acme", "acme", "sa de cv"),
        ("The Coca-Cola Company", "coca cola", "coca cola", "co"),
        ("UNILEVER N.V., ROTTERDAM, NL", "unilever", "unilever", "nv"),
        ("N.V. Philips' Gloeilampenfabrieken", "philips gloeilampenfabrieken", "philips gloeilampenfabrieken", "nv"),
        ("N V NUTRICIA", "nutricia", "nutricia", "nv"),
        ("Akzo Nobel NV Naamlooze Vennootschap", "akzo nobel", "akzo nobel", "nv"),
        ("Piaggio Società per Azioni", "piaggio", "piaggio", "spa"),
        ("주식회사 삼성전자", "삼성전자", "samseongjeonja", "주식회사"),
        ("삼성전자 주식회사", "삼성전자", "samseongjeonja", "주식회사"),
        ("(주)삼성전자", "삼성전자", "samseongjeonja", None),
        ("(株)東洋電機", "东洋电机", "dong yang dian ji", None),
        ("شركة النور للتجارة المحدودة", "النور للتجارة", "lnwr lltjrh", "شركة"),
        ("บริษัท ใจดี จำกัด (มหาชน)", "ใจดี", "aichdi", "บริษัท"),
        ("Ford Otomotiv A.Ş.", "ford otomotiv", "ford otomotiv", "as"),
        ("ИП Иванов", "иванов", "ivanov", "ип"),
        ("Công ty cổ phần FPT", "fpt", "fpt", "congtycophan"),
    ],
)
def test_the_core_is_what_tells_a_company_from_others(value: str, core: str, key: str, form: str | None) -> None:
    found = standardise_company_name(value)
    assert (found.core_name, found.core_key, found.legal_form, found.problem) == (core, key, form, None)


@pytest.mark.parametrize("value", ["上海银行股份有限公司", "北京大学", "南京医药有限公司"])
def test_a_region_stays_where_only_an_industry_would_be_left(value: str) -> None:
    assert (standardise_company_name(value).core_name or "")[:2] == value[:2]


@pytest.mark.parametrize(
    ("value", "core"),
    [
        ("华为技术有限公司上海分公司", "华为技术"),
        ("中国工商银行股份有限公司北京分行", "中国工商银行"),
        ("工商银行上海分行", "工商银行"),
        ("Siemens AG Shanghai Branch", "siemens"),
        ("Siemens AG, Zweigniederlassung Wien", "siemens"),
    ],
)
def test_a_branch_is_marked_and_has_the_core_of_its_head_office(value: str, core: str) -> None:
    found = standardise_company_name(value)
    assert (found.core_name, found.is_branch) == (core, True)


@pytest.mark.parametrize("value", ["Branch Brothers Ltd", "华为技术有限公司", "Siemens AG"])
def test_other_companies_are_no_branches(value: str) -> None:
    assert standardise_company_name(value).is_branch is False


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("测试公司", "placeholder"),
        ("测试有限公司", "placeholder"),
        ("有限公司", "placeholder"),
        ("Test GmbH", "placeholder"),
        ("n/a", "placeholder"),
        ("个人", "placeholder"),
        ("TEST USER", "placeholder"),
        ("old - closed", "placeholder"),
        ("qweasd gmbh", "keyboard mash"),
        ("qwe", "keyboard mash"),
        ("---", "no letters"),
        ("12345678", "no letters"),
    ],
)
def test_what_is_no_company_name_says_why(value: str, problem: str) -> None:
    found = standardise_company_name(value)
    assert (found.problem, found.core_name, found.core_key) == (problem, None, None)


@pytest.mark.parametrize("value", ["360", "3M", "BP", "A", "SAS", "Zwyx", "Ltd", "TBD Solutions", "Null & Co"])
def test_short_and_odd_company_names_are_names(value: str) -> None:
    assert standardise_company_name(value).problem is None


@given(WORDS | st.text())
def test_a_cleaned_company_name_stays_as_it_is(value: str) -> None:
    once = standardise_company_name(value)
    assert standardise_company_name(once.company_name) == once._replace(written_name=None)


@given(WORDS | st.text())
def test_a_name_without_a_problem_has_a_core(value: str) -> None:
    found = standardise_company_name(value)
    assert bool(found.core_name) == (found.company_name is not None and found.problem is None)
