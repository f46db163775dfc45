-- One row per person record: the values that are compared with those of other persons.
-- record_number   number of the record in identity.record
-- given           given name as lower-case Latin words
-- family          family name as lower-case Latin words
-- name_key        all name words sorted, so that swapped names are equal
-- spelt           family and given name in one word
-- hanzi           full name in simplified characters, where the source wrote characters
-- hanzi_sorted    its characters sorted, so that swapped names are equal
-- gender          male, female or null
-- is_woman        the record says so, or nine in ten who bear the given name say so
-- birth_date      ISO text, so that typing slips can be counted; also of a date that cannot be, such as 2000-11-92
-- national_text   national id as it came, letters and digits only
-- email           address, unless shared by more than four persons
-- email_local     part before the @ if it holds three digits: without, it is only the name once more
-- email_is_name   the letters before the @ are the name, or initials of it
-- phone_1         mobile number, unless shared by more than ten persons
-- phone_2         the other number, likewise
-- address         street and house number as one lower-case text
-- address_number  the digits in the address
-- postal_code     letters and digits only
-- city            lower case
-- region          lower case
-- country         ISO code
-- employer        key of the company the source names beside the person
with party as (
    select
        record.record_number,
        party.given_key,
        party.family_key,
        party.name_key,
        party.name_hanzi,
        party.gender,
        party.birth_date,
        -- as typed: year first, or day first with dots
        case
            when regexp_matches(party.birth_date_raw, '^[0-9]{4}[^0-9]?[0-9]{2}[^0-9]?[0-9]{2}$')
                then regexp_replace(party.birth_date_raw, '^(....)[^0-9]?(..)[^0-9]?(..)$', '\1-\2-\3')
            when regexp_matches(party.birth_date_raw, '^[0-9]{2}[.][0-9]{2}[.][0-9]{4}$')
                then regexp_replace(party.birth_date_raw, '^(..).(..).(....)$', '\3-\2-\1')
        end as birth_text,
        party.national_id_raw,
        party.email_domain,
        party.postal_code,
        party.city,
        party.region,
        party.country,
        party.company_core,
        party.company_key,
        party.phone_kind,
        nullif(trim(regexp_replace(lower(concat_ws(' ', party.house_number, party.street)), '[^\p{L}\p{N}]+', ' ', 'g')), '') as address,
        -- A number that is not valid is a number all the same: without its area code, or with a digit too few.
        coalesce(
            party.phone,
            case when party.phone_problem = 'not valid for its country'
                then nullif(regexp_replace(party.phone_raw, '[^0-9]', '', 'g'), '') end
        ) as any_phone,
        coalesce(
            party.mobile,
            case when party.mobile_problem = 'not valid for its country'
                then nullif(regexp_replace(party.mobile_raw, '[^0-9]', '', 'g'), '') end
        ) as any_mobile,
        -- a@a.com, test@test.de: typed to fill a mandatory field.
        case
            when length(split_part(party.email, '@', 1)) > 4
                or split_part(party.email, '@', 1) <> split_part(party.email_domain, '.', 1)
                then party.email
        end as own_email,
        -- The initials, in any order: slips in a name do not make another person.
        coalesce(
            concat(
                least(left(party.given_key, 1), left(party.family_key, 1)),
                greatest(left(party.given_key, 1), left(party.family_key, 1))
            ),
            ''
        ) as shared_by
    from core.party as party
    join identity.record as record using (source_system, source_object, source_id)
    where record.party_type = 'person'
        -- A collective account is nobody's record, so it is the same as no other.
        and party.is_one_time is distinct from true
),

shared_phone as (
    select number
    from (
        select any_phone as number, shared_by from party where any_phone is not null
        union all
        select any_mobile as number, shared_by from party where any_mobile is not null
    ) as numbers
    group by number
    having count(distinct shared_by) > 10
),

-- A number is a mobile number if any record has it as one, or its kind says so: many systems have one column for all.
mobile as (
    select distinct any_mobile as number from party where any_mobile is not null
),

numbered as (
    select
        party.*,
        coalesce(party.any_mobile, party.mobile_phone) as phone_1,
        case when party.any_phone is distinct from coalesce(party.any_mobile, party.mobile_phone) then party.any_phone end as phone_2
    from (
        select party.*, coalesce(mobile.number, case when party.phone_kind = 'mobile' then party.any_phone end) as mobile_phone
        from party
        left join mobile on party.any_phone = mobile.number
    ) as party
),

shared_email as (
    select own_email
    from party
    where own_email is not null
    group by own_email
    having count(distinct shared_by) > 4
),

-- A given name is a woman's as far as the records at hand say so, in whatever language.
given_name as (
    select given_key, avg(case when gender = 'female' then 1 else 0 end) >= 0.9 as is_womans
    from party
    where given_key is not null and gender is not null
    group by given_key
)

select
    party.record_number,
    party.given_key as given,
    party.family_key as family,
    party.name_key,
    nullif(replace(concat(party.family_key, party.given_key), ' ', ''), '') as spelt,
    party.name_hanzi as hanzi,
    array_to_string(list_sort(string_split(party.name_hanzi, '')), '') as hanzi_sorted,
    party.gender,
    case when party.gender is null then coalesce(given_name.is_womans, false) else party.gender = 'female' end as is_woman,
    -- 1967-00-01 and 1028-05-03 are slips of a date, 9999-12-31 and 0000-00-00 stand for none.
    coalesce(
        cast(party.birth_date as varchar),
        case when right(party.birth_text, 5) not in ('00-00', '01-01', '12-31') then party.birth_text end
    ) as birth_date,
    nullif(regexp_replace(upper(party.national_id_raw), '[^A-Z0-9]', '', 'g'), '') as national_text,
    case when shared_email.own_email is null then party.own_email end as email,
    case
        when shared_email.own_email is null
            and regexp_matches(split_part(party.own_email, '@', 1), '[0-9].*[0-9].*[0-9]')
            then split_part(party.own_email, '@', 1)
    end as email_local,
    length(
        replace(
            replace(
                regexp_replace(split_part(party.own_email, '@', 1), '[^\p{L}]+', '', 'g'),
                replace(party.family_key, ' ', ''), ''
            ),
            replace(party.given_key, ' ', ''), ''
        )
    ) <= 1 as email_is_name,
    case when shared_1.number is null then party.phone_1 end as phone_1,
    case when shared_2.number is null then party.phone_2 end as phone_2,
    party.address,
    nullif(trim(regexp_replace(party.address, '[^0-9]+', ' ', 'g')), '') as address_number,
    nullif(regexp_replace(upper(party.postal_code), '[^A-Z0-9]', '', 'g'), '') as postal_code,
    lower(party.city) as city,
    lower(party.region) as region,
    party.country,
    coalesce(party.company_core, party.company_key) as employer
from numbered as party
left join given_name on party.given_key = given_name.given_key
left join shared_email on party.own_email = shared_email.own_email
left join shared_phone as shared_1 on party.phone_1 = shared_1.number
left join shared_phone as shared_2 on party.phone_2 = shared_2.number
