"""Ids and official numbers with right check digits. Does not belong here: who gets one."""

# mypy: disable-error-code="no-any-return"
# (numpy types what is computed from text columns as Any.)

import numpy as np

from crm_quality.sample.columns import Array, Text, digits, per_value, text

_BASE62 = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", dtype=np.uint8)
_SUFFIX = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", dtype=np.uint8)
_USCC = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def salesforce_ids(prefix: str, numbers: Array) -> Text:
    """18-character Salesforce ids: 15 case-sensitive characters and the suffix that encodes their case."""
    codes = np.empty((len(numbers), 18), dtype=np.uint8)
    codes[:, :6] = np.frombuffer(f"{prefix}5i0".encode(), dtype=np.uint8)
    rest = numbers.astype(np.int64) * 7 + 62**6
    for place in range(14, 5, -1):
        rest, digit = np.divmod(rest, 62)
        codes[:, place] = _BASE62[digit]
    upper = (codes[:, :15] >= ord("A")) & (codes[:, :15] <= ord("Z"))
    codes[:, 15:] = _SUFFIX[(upper.reshape(-1, 3, 5) * (1 << np.arange(5))).sum(axis=2)]
    return _as_text(codes)


def mongo_ids(created: Array, numbers: Array, machine: int) -> Text:
    """24 hexadecimal digits: seconds of creation, machine, counter; unique by the counter."""
    seconds = created.astype("datetime64[s]").astype(np.int64)
    return text(
        [
            f"{second & 0xFFFFFFFF:08x}{machine & 0xFFFFFFFF:08x}{number & 0xFFFFFFFF:08x}"
            for second, number in zip(seconds.tolist(), numbers.tolist(), strict=True)
        ]
    )


def _as_text(codes: Array) -> Text:
    return codes.view(f"S{codes.shape[1]}").ravel().astype(str).astype(object)


def resident_ids(area: Text, birth_date: Text, sequence: Array) -> Text:
    """Chinese resident identity numbers (GB 11643): area, birth date YYYYMMDD, sequence, check character."""
    body = area + birth_date + digits(sequence, 3)
    numbers = _digit_matrix(body, 17)
    weights = np.array([2**power % 11 for power in range(17, 0, -1)])
    return body + text(list("10X98765432"))[(numbers * weights).sum(axis=1) % 11]


def credit_codes(area: Text, sequence: Array) -> Text:
    """Unified social credit codes (GB 32100), each with an organisation code (GB 11714) inside."""
    organisation = digits(sequence % 10**8, 8)
    code_sum = (_digit_matrix(organisation, 8) * np.array([3, 7, 9, 10, 5, 8, 4, 2])).sum(axis=1)
    body = "91" + area + organisation + text(list("0X987654321"))[code_sum % 11]
    position = np.zeros(128, dtype=np.int64)
    position[[ord(character) for character in _USCC]] = np.arange(31)
    # X stands in the alphabet of the credit code too, so the organisation code may be used as it is.
    codes = np.array(body.tolist(), dtype="S17").view(np.uint8).reshape(-1, 17)
    weights = np.array([3**power % 31 for power in range(17)])
    check = (31 - (position[codes] * weights).sum(axis=1) % 31) % 31
    return body + text(list(_USCC))[check]


def german_vat(sequence: Array) -> Text:
    """DE and nine digits, the last by ISO 7064 MOD 11,10."""
    body = digits(sequence % 9 * 10**7 + 10**7 + sequence // 9 % 10**7, 8)
    product = np.full(len(body), 10)
    for digit in _digit_matrix(body, 8).T:
        total = (digit + product) % 10
        product = 2 * np.where(total == 0, 10, total) % 11
    return "DE" + body + digits((11 - product) % 10)


def french_vat(sequence: Array) -> Text:
    """FR, two key digits and a SIREN of nine digits that passes Luhn's check."""
    body = digits(sequence % 7 * 10**7 + 30_000_000 + sequence // 7 % 10**7, 8)
    numbers = _digit_matrix(body, 8)
    doubled = numbers * np.array([1, 2] * 4)
    luhn = (10 - (doubled // 10 + doubled % 10).sum(axis=1) % 10) % 10
    siren = body + digits(luhn)
    return "FR" + digits((12 + 3 * (siren.astype(np.int64) % 97)) % 97, 2) + siren


def british_vat(sequence: Array) -> Text:
    """GB and nine digits, the last two by modulus 97."""
    body = digits(sequence % 9 * 10**6 + 10**6 + sequence // 9 % 10**6, 7)
    total = (_digit_matrix(body, 7) * np.arange(8, 1, -1)).sum(axis=1)
    return "GB" + body + digits((97 - total % 97) % 97, 2)


def spanish_vat(sequence: Array) -> Text:
    """ES, B for a limited company, seven digits and a control digit."""
    body = digits(sequence % 10**7, 7)
    numbers = _digit_matrix(body, 7)
    odd = numbers[:, ::2] * 2
    total = (odd // 10 + odd % 10).sum(axis=1) + numbers[:, 1::2].sum(axis=1)
    return "ESB" + body + digits((10 - total % 10) % 10)


def japanese_corporate(sequence: Array) -> Text:
    """T and the 13-digit corporate number, whose first digit is the check digit."""
    body = digits(10**11 + sequence % 10**10, 12)
    weights = np.array([2, 1] * 6)
    check = 9 - (_digit_matrix(body, 12) * weights).sum(axis=1) % 9
    return "T" + digits(check) + body


def american_ein(sequence: Array) -> Text:
    """Employer identification numbers; they carry no check digit."""
    return digits(20 + sequence % 75, 2) + "-" + digits(sequence // 75 % 10**7, 7)


def _digit_matrix(values: Text, width: int) -> Array:
    codes = np.array(values.tolist(), dtype=f"S{width}").view(np.uint8)
    return codes.reshape(-1, width).astype(np.int64) - ord("0")


# What the first three characters of a Salesforce id, or the first two of an ERP's number, stand for.
_KINDS = {
    "001": "account", "003": "contact", "00Q": "lead", "006": "opportunity", "008": "stage", "00T": "interaction",
    "00U": "meeting", "500": "ticket", "00": "customer", "99": "customer", "45": "order", "90": "invoice", "14": "payment",
}  # fmt: skip
# Ids of records that are not there are numbered from here.
_NOBODY = 40_000_000_000


def renumbered(ids: Text, forms: dict[str, str]) -> Text:
    """Ids in the form of another system: a format string per kind of record, over `n`, the number of the record.

    Systems with short ids use `m`, the last eight digits, behind `o`, which is 9 for records that are not there.
    """
    if not forms:
        return ids

    def renumber(value: str | None) -> str | None:
        return ";".join(_renumber(one, forms) for one in value.split(";")) if value else None

    return per_value(ids, renumber)


def _renumber(value: str, forms: dict[str, str]) -> str:
    kind = _KINDS.get(value[:3] if len(value) == 18 else value[:2])
    if kind not in forms:
        return value
    number = _number(value) if len(value) == 18 else int(value)
    return forms[kind].format(n=number, m=number % 10**8, o=9 if number >= _NOBODY else 0)


def _number(salesforce_id: str) -> int:
    number = 0
    for sign in salesforce_id[6:15]:
        number = number * 62 + _BASE62.tobytes().index(sign.encode())
    return (number - 62**6) // 7
