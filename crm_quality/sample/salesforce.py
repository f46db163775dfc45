"""The Salesforce export of a chunk. Belongs here: its files and columns. Does not: the values."""

import numpy as np

from crm_quality.sample.activity import Activity
from crm_quality.sample.columns import (
    Array,
    Frame,
    Text,
    blank,
    choose,
    day_text,
    decimal_text,
    digits,
    is_missing,
    text,
    time_text,
)
from crm_quality.sample.files import Columns, Dialect, ExtractFolder
from crm_quality.sample.pipeline import LOST, STAGES, WON
from crm_quality.sample.records import ACCOUNT, CONTACT, LEAD, OWNERS, SALESFORCE

DIALECT = Dialect("utf-8", ",", quoted=True)
_NOTES = (
    "Called twice, prefers e-mail",
    "Key contact for service\nCall after 14:00",
    "Invoice by post",
    "VIP\n\nnegotiates hard",
)


def _flag(values: Array) -> Text:
    return choose(values, "1", "0")


def _user(names: Text) -> Text:
    """User ids; the temporary import user and the reps have one each."""
    known = {name: f"0055i000000{number:04d}AAA" for number, name in enumerate(OWNERS.tolist())}
    return text([known.get(name, "0055i0000009999AAA") for name in names.tolist()])


def _share(amount: Array) -> Text:
    written = decimal_text(np.where(np.isnan(amount), 0, amount).astype(np.int64))
    written[np.isnan(amount)] = None
    return written


def write_parties(rng: np.random.Generator, extract: ExtractFolder, records: Frame) -> None:
    """Account.csv, Contact.csv and Lead.csv."""
    for number, write in ((ACCOUNT, _accounts), (CONTACT, _contacts), (LEAD, _leads)):
        at = np.flatnonzero(records["object"] == number)
        part = {name: column[at] for name, column in records.items()}
        name = write.__name__.strip("_").removesuffix("s").capitalize()
        extract.append(rng, name, name, "party", write(rng, extract, part))


def _system_columns(part: Frame) -> Columns:
    return {
        "OwnerId": _user(part["owner"]),
        "CreatedDate": time_text(part["created_at"]),
        "CreatedById": _user(part["created_by"]),
        "LastModifiedDate": time_text(part["modified_at"]),
        "LastModifiedById": _user(part["owner"]),
        "SystemModstamp": time_text(part["modified_at"]),
        "LastActivityDate": day_text(part["last_activity_at"].astype("datetime64[D]")),
    }


def _notes(rng: np.random.Generator, extract: ExtractFolder, size: int) -> Text:
    """Free texts; some hold a line break, which is legal inside quotes."""
    notes = blank(size)
    short = rng.random(size) < 0.05
    notes[short] = _NOTES[0]
    broken = rng.random(size) < extract.rates.line_breaks
    notes[broken] = text(list(_NOTES))[rng.integers(0, 2, int(broken.sum())) * 2 + 1]
    return notes


def _accounts(rng: np.random.Generator, extract: ExtractFolder, part: Frame) -> Columns:
    return {
        "Id": part["source_id"],
        "IsDeleted": _flag(part["is_deleted"]),
        "MasterRecordId": part["master_id"],
        "Name": part["company_name"],
        "Type": choose(part["in_erp"], "Customer - Direct", "Prospect"),
        "ParentId": part["parent_source_id"],
        "BillingStreet": part["street"],
        "BillingCity": part["city"],
        "BillingState": part["region"],
        "BillingPostalCode": part["postal_code"],
        "BillingCountry": part["country"],
        "Phone": part["phone"],
        "AccountNumber": part["account_number"],
        "Website": part["website"],
        "Industry": part["industry"],
        "Email__c": part["email"],
        "Tax_ID__c": part["tax_id"],
        "Description": _notes(rng, extract, len(part["source_id"])),
        **_system_columns(part),
    }


def _salutation(gender: Text) -> Text:
    return choose(gender == "male", "Mr.", choose(gender == "female", "Ms.", None))


def _contacts(rng: np.random.Generator, extract: ExtractFolder, part: Frame) -> Columns:
    return {
        "Id": part["source_id"],
        "IsDeleted": _flag(part["is_deleted"]),
        "MasterRecordId": part["master_id"],
        "AccountId": part["parent_source_id"],
        "LastName": part["family_name"],
        "FirstName": part["given_name"],
        "Salutation": _salutation(part["gender"]),
        "Name": part["full_name"],
        "MailingStreet": part["street"],
        "MailingCity": part["city"],
        "MailingState": part["region"],
        "MailingPostalCode": part["postal_code"],
        "MailingCountry": part["country"],
        "Phone": part["phone"],
        "MobilePhone": part["mobile"],
        "Email": part["email"],
        "Title": part["job_title"],
        "Birthdate": part["birth_date"],
        "Description": _notes(rng, extract, len(part["source_id"])),
        **_system_columns(part),
        "EmailBouncedDate": time_text(part["bounced_at"]),
    }


def _leads(rng: np.random.Generator, extract: ExtractFolder, part: Frame) -> Columns:
    return {
        "Id": part["source_id"],
        "IsDeleted": _flag(part["is_deleted"]),
        "MasterRecordId": part["master_id"],
        "LastName": part["family_name"],
        "FirstName": part["given_name"],
        "Salutation": _salutation(part["gender"]),
        "Title": part["job_title"],
        # Company is a required field of a lead; consumers get a dash.
        "Company": np.where(is_missing(part["company_name"]), "-", part["company_name"]),
        "Street": part["street"],
        "City": part["city"],
        "State": part["region"],
        "PostalCode": part["postal_code"],
        "Country": part["country"],
        "Phone": part["phone"],
        "MobilePhone": part["mobile"],
        "Email": part["email"],
        "LeadSource": text(["Web", "Trade Show", "Purchased List", "Partner"])[
            rng.integers(0, 4, len(part["source_id"]))
        ],
        "Status": choose(part["converted"], "Closed - Converted", "Working - Contacted"),
        "IsConverted": _flag(part["converted"]),
        "ConvertedContactId": part["merged_into"],
        **_system_columns(part),
        "EmailBouncedDate": time_text(part["bounced_at"]),
    }


def write_opportunities(rng: np.random.Generator, extract: ExtractFolder, opportunities: Frame, stages: Frame) -> None:
    """Opportunity.csv and OpportunityHistory.csv."""
    part = {name: column[opportunities["system"] == SALESFORCE] for name, column in opportunities.items()}
    state = part["state"]
    stage = text(list(STAGES))[part["step"]]
    columns = {
        "Id": part["source_id"],
        "IsDeleted": _flag(part["is_deleted"]),
        "AccountId": part["party_id"],
        "Name": part["title"],
        "StageName": np.select([state == "won", state == "lost"], [WON, LOST], stage),
        "Amount": _share(part["amount"]),
        "CurrencyIsoCode": part["currency"],
        "Probability": digits(part["probability"]),
        "CloseDate": day_text(part["close_date"]),
        "LeadSource": part["lead_source"],
        "IsClosed": _flag(state != "open"),
        "IsWon": _flag(state == "won"),
        "OwnerId": _user(part["owner"]),
        "CreatedDate": time_text(part["created_at"]),
        "LastModifiedDate": time_text(part["modified_at"]),
    }
    extract.append(rng, "Opportunity", "Opportunity", "opportunity", columns)
    columns = {
        "Id": stages["source_id"],
        "OpportunityId": stages["opportunity_id"],
        "CreatedById": _user(stages["changed_by"]),
        "CreatedDate": time_text(stages["changed_at"]),
        "StageName": stages["stage"],
        "Amount": _share(stages["amount"]),
        "CloseDate": day_text(stages["close_date"]),
        "Probability": digits(stages["probability"]),
    }
    extract.append(rng, "OpportunityHistory", "OpportunityHistory", "opportunity_stage", columns)


def write_activity(rng: np.random.Generator, extract: ExtractFolder, activity: Activity) -> None:
    """Task, Event, Case, CampaignMember and the custom objects."""
    _tasks_and_events(rng, extract, activity.interactions)
    tickets, surveys, loyalty = activity.tickets, activity.surveys, activity.loyalty
    referrals, responses = activity.referrals, activity.responses
    append = extract.append
    columns = {
        "Id": tickets["source_id"],
        "CaseNumber": digits(tickets["number"], 8),
        "ContactId": tickets["party_id"],
        "AccountId": tickets["account_id"],
        "Type": tickets["category"],
        "Status": tickets["status"],
        "Origin": tickets["channel"],
        "Subject": tickets["subject"],
        "Priority": tickets["priority"],
        "ClosedDate": time_text(tickets["closed_at"]),
        "First_Response__c": time_text(tickets["answered_at"]),
        "OwnerId": _user(tickets["owner"]),
        "CreatedDate": time_text(tickets["opened_at"]),
        "LastModifiedDate": time_text(np.fmax(tickets["closed_at"], tickets["opened_at"])),
    }
    append(rng, "Case", "Case", "ticket", columns)
    columns = {
        "Id": surveys["source_id"],
        "Contact__c": surveys["party_id"],
        "Case__c": surveys["ticket_id"],
        "Kind__c": surveys["kind"],
        "Score__c": digits(surveys["score"]),
        "Comment__c": surveys["comment"],
        "Responded_At__c": time_text(surveys["responded_at"]),
    }
    append(rng, "Survey_Response__c", "Survey_Response__c", "survey_response", columns)
    columns = {
        "Id": loyalty["source_id"],
        "Contact__c": loyalty["party_id"],
        "Kind__c": loyalty["kind"],
        "Points__c": digits(loyalty["points"]),
        "Order_Number__c": loyalty["order_id"],
        "Event_Time__c": time_text(loyalty["happened_at"]),
    }
    append(rng, "Loyalty_Event__c", "Loyalty_Event__c", "loyalty_event", columns)
    columns = {
        "Id": referrals["source_id"],
        "Referrer__c": referrals["party_id"],
        "Referred__c": referrals["referred_id"],
        "Status__c": referrals["status"],
        "CreatedDate": time_text(referrals["referred_at"]),
    }
    append(rng, "Referral__c", "Referral__c", "referral", columns)
    columns = {
        "Id": responses["source_id"],
        "LeadOrContactId": responses["party_id"],
        "Campaign_Name__c": responses["campaign"],
        "Channel__c": responses["channel"],
        "Status": responses["response"],
        "CreatedDate": time_text(responses["responded_at"]),
    }
    append(rng, "CampaignMember", "CampaignMember", "campaign_response", columns)


def _tasks_and_events(rng: np.random.Generator, extract: ExtractFolder, interactions: Frame) -> None:
    ours = interactions["system"] == SALESFORCE
    tasks = {name: column[ours & ~interactions["is_event"]] for name, column in interactions.items()}
    events = {name: column[ours & interactions["is_event"]] for name, column in interactions.items()}
    duration = digits(np.maximum(tasks["duration"], 0))
    duration[tasks["duration"] < 0] = None
    call_type = choose(tasks["inbound"], "Inbound", "Outbound")
    call_type[tasks["duration"] < 0] = None
    columns = {
        "Id": tasks["source_id"],
        "WhoId": tasks["party_id"],
        "Subject": tasks["subject"],
        "ActivityDate": day_text(tasks["happened_at"].astype("datetime64[D]")),
        "Status": np.full(len(tasks["row"]), "Completed", object),
        "OwnerId": _user(tasks["owner"]),
        "TaskSubtype": tasks["channel"],
        "IsDeleted": _flag(np.zeros(len(tasks["row"]), bool)),
        "CallDurationInSeconds": duration,
        "CallType": call_type,
        "CreatedDate": time_text(tasks["happened_at"]),
        "CompletedDateTime": time_text(tasks["happened_at"]),
    }
    extract.append(rng, "Task", "Task", "interaction", columns)
    columns = {
        "Id": events["source_id"],
        "AccountId": events["party_id"],
        "Subject": events["subject"],
        "StartDateTime": time_text(events["happened_at"]),
        "DurationInMinutes": digits(events["minutes"]),
        "EventSubtype": events["channel"],
        "OwnerId": _user(events["owner"]),
        "IsDeleted": _flag(np.zeros(len(events["row"]), bool)),
        "CreatedDate": time_text(events["happened_at"]),
    }
    extract.append(rng, "Event", "Event", "interaction", columns)
