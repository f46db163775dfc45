"""The SAP table downloads of a chunk. Belongs here: their files and columns. Does not: the values."""

import numpy as np

from crm_quality.sample.columns import (
    Array,
    Frame,
    Text,
    choose,
    day_text,
    digits,
    is_missing,
    sap_decimal_text,
    text,
)
from crm_quality.sample.files import Dialect, ExtractFolder
from crm_quality.sample.records import KNA1
from crm_quality.sample.trade import Trade, catalogue

DIALECT = Dialect("utf-8", ";", quoted=False)
_NAME_WIDTH = 35


def _day(days: Array) -> Text:
    return day_text(days.astype("datetime64[D]"), "%Y%m%d")


def _mark(values: Array) -> Text:
    return choose(values, "X", None)


def _client(size: int) -> Text:
    return np.full(size, "800", object)


def _clean(values: Text) -> Text:
    """Unquoted files cannot hold their own delimiter."""
    return text([None if value is None else value.replace(";", ",").replace('"', "'") for value in values.tolist()])


def _split_names(names: Text) -> tuple[Text, Text]:
    """NAME1 takes 35 characters, the rest goes on in NAME2 with the next word."""
    first, second = names.copy(), np.full(len(names), None, object)
    for row in np.flatnonzero([name is not None and len(name) > _NAME_WIDTH for name in names.tolist()]).tolist():
        cut = names[row].rfind(" ", 0, _NAME_WIDTH + 1)
        if cut > 0:
            first[row], second[row] = names[row][:cut], names[row][cut + 1 :]
    return first, second


def write_customers(rng: np.random.Generator, extract: ExtractFolder, records: Frame) -> None:
    """KNA1.csv: customers, one line per KUNNR with its leading zeros."""
    at = np.flatnonzero(records["object"] == KNA1)
    part = {name: column[at] for name, column in records.items()}
    person = part["is_person"]
    name1, name2 = _split_names(_clean(np.where(person, part["full_name"], part["company_name"])))
    columns = {
        "KUNNR": part["source_id"],
        "MANDT": _client(len(at)),
        "LAND1": part["country"],
        "NAME1": name1,
        "NAME2": name2,
        "ORT01": _clean(part["city"]),
        "PSTLZ": part["postal_code"],
        "REGIO": _clean(part["region"]),
        "STRAS": _clean(part["street"]),
        "TELF1": _clean(part["phone"]),
        "TELF2": _clean(part["mobile"]),
        "ERDAT": _day(part["created_at"]),
        "ERNAM": part["created_by"],
        "KTOKD": np.select([part["is_one_time"], person], ["CPD", "0170"], "0001").astype(object),
        "BRSCH": part["industry"],
        "STCEG": part["tax_id"],
        "STKZN": _mark(person),
        "XCPDK": _mark(part["is_one_time"]),
        "AUFSD": choose(part["is_blocked"], "01", None),
        "LOEVM": _mark(part["is_deleted"]),
        "UPDAT": _day(part["modified_at"]),
    }
    extract.append(rng, "KNA1", "KNA1", "party", columns)


def write_products(rng: np.random.Generator, extract: ExtractFolder) -> None:
    """MARA.csv: materials with their text, group, list price and standard price."""
    products = catalogue()
    size = len(products["source_id"])
    columns = {
        "MATNR": products["source_id"],
        "MAKTX": products["name"],
        "MATKL": products["category"],
        "WGBEZ": products["subcategory"],
        "KBETR": sap_decimal_text(products["price"]),
        "STPRS": sap_decimal_text(products["cost"]),
        "KONWA": np.full(size, "CNY", object),
        "MSTAE": choose(products["is_active"], None, "Z9"),
        "ERSDA": _day(products["valid_from"]),
        "LAEDA": _day(products["valid_from"] + np.timedelta64(200, "D")),
    }
    extract.append(rng, "MARA", "MARA", "product", columns)


def write_trade(rng: np.random.Generator, extract: ExtractFolder, trade: Trade) -> None:
    """VBAK, VBAP, VBRK and BSAD."""
    _write_orders(rng, extract, trade)
    invoices, payments = trade.invoices, trade.payments
    columns = {
        "VBELN": invoices["source_id"],
        "FKART": choose(invoices["amount"] < 0, "G2", "F2"),
        "WAERK": invoices["currency"],
        "KUNAG": invoices["party_id"],
        "KUNRG": invoices["party_id"],
        "FKDAT": _day(invoices["invoiced_on"]),
        "VALDT": _day(invoices["due_on"]),
        "NETWR": sap_decimal_text(invoices["amount"]),
        "MWSBK": sap_decimal_text(invoices["tax"]),
        "FKSTO": _mark(invoices["cancelled"]),
        "ZUONR": invoices["order_id"],
        "RFBSK": choose(invoices["cancelled"], "E", "C"),
        "AEDAT": _day(invoices["invoiced_on"]),
    }
    extract.append(rng, "VBRK", "VBRK", "invoice", columns)
    columns = {
        "BELNR": payments["source_id"],
        "BUKRS": np.full(len(payments["source_id"]), "1000", object),
        "GJAHR": day_text(payments["paid_on"], "%Y"),
        "BUZEI": np.full(len(payments["source_id"]), "002", object),
        "KUNNR": payments["party_id"],
        "VBELN": payments["invoice_id"],
        "BUDAT": _day(payments["paid_on"]),
        "AUGDT": _day(payments["paid_on"]),
        "BLART": np.full(len(payments["source_id"]), "DZ", object),
        "SHKZG": choose(payments["amount"] < 0, "S", "H"),
        "WRBTR": sap_decimal_text(payments["amount"]),
        "WAERS": payments["currency"],
        "ZLSCH": payments["method"],
    }
    extract.append(rng, "BSAD", "BSAD", "payment", columns)


def _write_orders(rng: np.random.Generator, extract: ExtractFolder, trade: Trade) -> None:
    orders, lines = trade.orders, trade.lines
    number = digits(orders["row"] % 90_000, 5)
    columns = {
        "VBELN": orders["source_id"],
        "ERDAT": _day(orders["ordered_on"]),
        "ERNAM": orders["owner"],
        "AUDAT": _day(orders["ordered_on"]),
        "VBTYP": choose(orders["is_return"], "H", "C"),
        "AUART": choose(orders["is_return"], "RE", "TA"),
        "NETWR": sap_decimal_text(orders["amount"]),
        "WAERK": orders["currency"],
        "VKORG": choose(orders["country"] == 0, "CN01", "EX01"),
        "KUNNR": orders["party_id"],
        "BSTNK": np.where(is_missing(orders["opportunity_id"]), "WEB-" + number, "PO-" + number),
        "VDATU": _day(orders["due_on"]),
        "ABSTK": choose(orders["cancelled"], "C", "A"),
        "AEDAT": _day(orders["ordered_on"] + np.timedelta64(1, "D")),
        "ZZ_CRM_OPPORTUNITY": orders["opportunity_id"],
    }
    extract.append(rng, "VBAK", "VBAK", "sales_order", columns)
    products = catalogue()
    product, order = lines["product"], lines["order"]
    columns = {
        "VBELN": lines["source_id"],
        "POSNR": digits(lines["number"], 6),
        "MATNR": products["source_id"][product],
        "ARKTX": products["name"][product],
        "KWMENG": sap_decimal_text(lines["quantity"] * 100) + text(["0"])[np.zeros(len(order), np.int64)],
        "VRKME": np.full(len(order), "ST", object),
        "NETPR": sap_decimal_text(lines["price"]),
        "NETWR": sap_decimal_text(lines["amount"]),
        "WAERK": orders["currency"][order],
        "ABGRU": choose(orders["cancelled"][order], "02", None),
        "ERDAT": _day(orders["ordered_on"])[order],
    }
    negative = lines["quantity"] < 0
    columns["KWMENG"][negative] = text([value.replace("-", "") + "-" for value in columns["KWMENG"][negative].tolist()])
    extract.append(rng, "VBAP", "VBAP", "order_line", columns)
