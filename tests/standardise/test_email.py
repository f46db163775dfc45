"""E-mail addresses: what is read, what is refused and why."""

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given
from hypothesis import strategies as st

from crm_quality.standardise.email import standardise_email

ADDRESS_TEXT = st.text(alphabet="abAB01.@-+_<>; ,'。@＠", max_size=30)


@pytest.mark.parametrize(
    ("value", "address"),
    [
        (" Foo.Bar@Gmail.COM ", "foo.bar@gmail.com"),
        ("Wei Wang <w.wang@acme.cn>", "w.wang@acme.cn"),
        ("mailto:w.wang@acme.cn", "w.wang@acme.cn"),
        ("bad@@acme.cn; w.wang@acme.cn", "w.wang@acme.cn"),
        ("w.wang@acme.cn x@b.cn", "w.wang@acme.cn"),
        ("ｗａｎｇ＠163。com", "wang@163.com"),
        ("w.wang@acme.cn.", "w.wang@acme.cn"),
        ("o'neil+crm@acme.co.uk", "o'neil+crm@acme.co.uk"),
    ],
)
def test_an_address_is_found_and_written_in_lower_case(value: str, address: str) -> None:
    found = standardise_email(value)
    assert (found.email, found.problem) == (address, None)
    assert f"{found.local_part}@{found.domain}" == address


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("foo@bar", "syntax"),
        ("foo", "syntax"),
        ("foo@@acme.cn", "syntax"),
        ("john smith@acme.cn", "syntax"),
        ("john..smith@acme.cn", "syntax"),
        ("john@acme.c", "syntax"),
        ("张三@163.com", "syntax"),
        ("noreply@acme.cn", "placeholder"),
        ("test@qq.com", "placeholder"),
        ("123456@qq.com", "placeholder"),
        ("asdf@acme.cn", "placeholder"),
        ("jane@noemail.com", "placeholder"),
        ("a@a.com", "placeholder"),
        ("no@email.com", "placeholder"),
        ("n/a", "placeholder"),
        ("无", "placeholder"),
        ("jane@example.com", "domain cannot receive mail"),
        ("jane@mail.example.org", "domain cannot receive mail"),
        ("jane@acme.invalid", "domain cannot receive mail"),
        ("jane@acme.test", "domain cannot receive mail"),
    ],
)
def test_an_address_that_is_none_says_why(value: str, problem: str) -> None:
    found = standardise_email(value)
    assert (found.email, found.problem) == (None, problem)
    assert found.is_free is found.is_disposable is None


@pytest.mark.parametrize(
    "value", ["fest@acme.cn", "info@acme.cn", "wert@acme.cn", "ng@acme.cn", "a@acme.cn", "88562@qq.com"]
)
def test_short_and_odd_addresses_are_not_taken_for_placeholders(value: str) -> None:
    assert standardise_email(value).email == value


def test_free_and_throw_away_domains_are_marked() -> None:
    assert [standardise_email(f"jane@{domain}")[3:5] for domain in ("qq.com", "mailinator.com", "acme.cn")] == [
        (True, False),
        (False, True),
        (False, False),
    ]


@given(ADDRESS_TEXT | st.emails() | st.text())
@example("a@" + "b" * 300 + ".com")
def test_a_standard_address_stays_as_it_is_and_nothing_raises(value: str) -> None:
    found = standardise_email(value)
    if found.email:
        assert standardise_email(found.email) == found


@given(st.emails(domains=st.sampled_from(["acme.cn", "gmail.com"])))
def test_what_is_accepted_is_valid_for_email_validator_too(value: str) -> None:
    found = standardise_email(value)
    if found.email:
        try:
            validate_email(found.email, check_deliverability=False)
        except EmailNotValidError as error:
            raise AssertionError("accepted what email-validator refuses") from error
