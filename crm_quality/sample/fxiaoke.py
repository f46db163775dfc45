"""The export of the Chinese CRM for a chunk. Belongs here: its files and columns. Does not: the values."""

import numpy as np

from crm_quality.sample.columns import (
    Array,
    Frame,
    Text,
    blank,
    choose,
    decimal_text,
    digits,
    epoch_milliseconds,
    pick,
    text,
)
from crm_quality.sample.files import Columns, Dialect, ExtractFolder
from crm_quality.sample.pipeline import STAGES_FX
from crm_quality.sample.records import FX_ACCOUNT, FX_CONTACT, FX_LEAD, FXIAOKE

DIALECT = Dialect("gb18030", ",", quoted=True)
_SOURCES = {
    "Web": "官网", "Trade Show": "展会", "Partner Referral": "转介绍", "Phone Inquiry": "来电咨询",
    "Purchased List": "外购名单", "Employee Referral": "员工推荐",
}  # fmt: skip
_CHANNELS = {"Call": "电话", "Email": "邮件", "Meeting": "会议", "WeChat": "微信", "Visit": "拜访"}
_KINDS = {FX_ACCOUNT: "客户", FX_CONTACT: "联系人", FX_LEAD: "销售线索"}
_INDUSTRY = {
    "machinery": "机械",
    "construction": "建筑",
    "electronics": "电子",
    "logistics": "物流",
    "trading": "贸易",
}


def _life_status(deleted: Array) -> Text:
    return choose(deleted, "作废", "正常")


def _translated(values: Text, words: dict[str, str]) -> Text:
    return text([words.get(value, value) for value in values.tolist()])


def write_parties(rng: np.random.Generator, extract: ExtractFolder, records: Frame) -> None:
    """客户.csv, 联系人.csv and 销售线索.csv."""
    for number, stem, name, columns in (
        (FX_ACCOUNT, "客户", "AccountObj", _accounts),
        (FX_CONTACT, "联系人", "ContactObj", _contacts),
        (FX_LEAD, "销售线索", "LeadsObj", _leads),
    ):
        at = np.flatnonzero(records["object"] == number)
        part = {field: column[at] for field, column in records.items()}
        extract.append(rng, stem, name, "party", columns(rng, part))


def _address_columns(part: Frame) -> Columns:
    return {"国家": part["country"], "省": part["region"], "市": part["city"], "详细地址": part["street"]}


def _system_columns(part: Frame) -> Columns:
    return {
        "负责人": part["owner"],
        "最后跟进时间": epoch_milliseconds(part["last_activity_at"]),
        "生命状态": _life_status(part["is_deleted"]),
        "创建人": part["created_by"],
        "创建时间": epoch_milliseconds(part["created_at"]),
        "最后修改时间": epoch_milliseconds(part["modified_at"]),
    }


def _accounts(rng: np.random.Generator, part: Frame) -> Columns:
    size = len(part["source_id"])
    return {
        "唯一性ID": part["source_id"],
        "客户名称": part["company_name"],
        "上级客户ID": part["parent_source_id"],
        "ERP编号": part["account_number"],
        "统一社会信用代码": part["tax_id"],
        "客户级别": pick(rng, ("普通客户", "重点客户", "战略客户"), size, 1.2),
        "成交状态": choose(part["in_erp"], "已成交", "未成交"),
        "一级行业": _translated(part["industry"], _INDUSTRY),
        "电话": part["phone"],
        "邮件": part["email"],
        "网址": part["website"],
        **_address_columns(part),
        "备注": choose(rng.random(size) < 0.02, "请月底联系\n开票后发货", None),
        **_system_columns(part),
    }


def _contacts(rng: np.random.Generator, part: Frame) -> Columns:
    gender = part["gender"]
    return {
        "唯一性ID": part["source_id"],
        "姓名": part["full_name"],
        "客户ID": part["parent_source_id"],
        "客户名称": part["company_name"],
        "职务": part["job_title"],
        "性别": choose(gender == "male", "男", choose(gender == "female", "女", None)),
        "生日": part["birth_date"],
        "身份证号": part["national_id"],
        "手机": part["mobile"],
        "电话": part["phone"],
        "邮件": part["email"],
        **_address_columns(part),
        **_system_columns(part),
    }


def _leads(rng: np.random.Generator, part: Frame) -> Columns:
    size = len(part["source_id"])
    return {
        "唯一性ID": part["source_id"],
        "姓名": part["full_name"],
        "公司": part["company_name"],
        "手机": part["mobile"],
        "电话": part["phone"],
        "邮件": part["email"],
        **_address_columns(part),
        "来源": pick(rng, tuple(_SOURCES.values()), size),
        "线索状态": pick(rng, ("跟进中", "未处理", "无效"), size, 0.8),
        **_system_columns(part),
    }


def write_opportunities(rng: np.random.Generator, extract: ExtractFolder, opportunities: Frame) -> None:
    """商机.csv."""
    part = {name: column[opportunities["system"] == FXIAOKE] for name, column in opportunities.items()}
    state = part["state"]
    missing = np.isnan(part["amount"])
    amount = decimal_text(np.where(missing, 0, part["amount"]).astype(np.int64))
    amount[missing] = None
    columns = {
        "唯一性ID": part["source_id"],
        "商机名称": part["title"],
        "客户ID": part["party_id"],
        "销售阶段": np.select([state == "won", state == "lost"], ["赢单", "输单"], text(list(STAGES_FX))[part["step"]]),
        "商机状态": np.select([state == "won", state == "lost"], ["赢单", "输单"], "进行中").astype(object),
        "商机金额": amount,
        "币种": part["currency"],
        "赢率": digits(part["probability"]),
        "预计结单日期": epoch_milliseconds(part["close_date"].astype("datetime64[s]")),
        "来源": _translated(part["lead_source"], _SOURCES),
        "负责人": part["owner"],
        "生命状态": _life_status(part["is_deleted"]),
        "创建时间": epoch_milliseconds(part["created_at"]),
        "最后修改时间": epoch_milliseconds(part["modified_at"]),
    }
    extract.append(rng, "商机", "NewOpportunityObj", "opportunity", columns)


def write_interactions(rng: np.random.Generator, extract: ExtractFolder, interactions: Frame, records: Frame) -> None:
    """销售记录.csv."""
    at = np.flatnonzero(interactions["system"] == FXIAOKE)
    part = {name: column[at] for name, column in interactions.items()}
    kinds = blank(len(at))
    for number, kind in _KINDS.items():
        kinds[records["object"][part["row"]] == number] = kind
    columns = {
        "唯一性ID": part["source_id"],
        "关联对象": kinds,
        "关联数据ID": part["party_id"],
        "记录类型": _translated(part["channel"], _CHANNELS),
        "销售记录内容": part["subject"],
        "记录人": part["owner"],
        "生命状态": _life_status(np.zeros(len(at), bool)),
        "创建时间": epoch_milliseconds(part["happened_at"]),
    }
    extract.append(rng, "销售记录", "ActiveRecordObj", "interaction", columns)
