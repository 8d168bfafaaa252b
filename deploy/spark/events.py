"""Reads events as `pas windows` and the services do: the same name, time and amount of every record, and the same records
that are none. pkg/messages/reading.go is the same in Go.

It needs nothing but Python, and runs in Spark's workers. A test gives both readers the same records.
"""

import base64
import binascii
import functools
import json
import re
import sys
from datetime import date
from decimal import ROUND_FLOOR, Context, Decimal

# What the contract says that a record without the field `event` is, by topic.
FIRST_EVENT = {
    "orders": "order_placed",
    "payments": "payment_requested",
    "notifications": "notification_requested",
    "order-failures": "order_rejected",
}
# The topic of each event, and the field that has its amount.
EVENTS = {
    "order_placed": ("orders", "total"),
    "payment_requested": ("payments", "amount"),
    "payment_captured": ("payments", "amount"),
    "refund_requested": ("payments", "amount"),
    "payment_refunded": ("payments", "amount"),
    "notification_requested": ("notifications", None),
    "order_rejected": ("order-failures", "total"),
    "payment_failed": ("order-failures", "total"),
    "order_confirmed": ("orders", "total"),
    "order_cancelled": ("orders", "total"),
    "order_failed": ("order-failures", "total"),
    "inventory_changed": ("orders", None),
    "notification_sent": ("notifications", None),
    "notification_failed": ("notifications", None),
}
TYPE_PREFIX, TYPE_SUFFIX = "pasdetrois.", ".v1"
UNREADABLE_TYPE = "?"  # stands for a type that is no text of a sensible length
DEFAULT_CURRENCY = "USD"
BYTE_ORDER_MARK = "\ufeff"
MAX_BODY = 64 << 10  # bytes of a value on the contract's topics
MAX_DEPTH, MAX_FOREIGN_DEPTH = 32, 1000
MAX_NAME = 128  # characters of an event's name
MAX_AHEAD = 60 * 60 * 1000  # how far an event's time may be ahead of its record's, in milliseconds
MAX_MINOR = 999_999_999_999
MAX_NUMBER = 64  # characters of a number that is read
MAX_EXPONENT = 400
NOISE = Decimal("0.000001")  # of a minor unit: what arithmetic on floats leaves behind

# ISO 4217: the decimals of each currency's minor unit.
DECIMALS = {
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF "
        "CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL "
        "HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU "
        "MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR "
        "SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED "
        "VES WST XCD XCG YER ZAR ZMW ZWG"
    ),
    0: (
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
    ),
    3: (
        "BHD IQD JOD KWD LYD OMR TND"
    ),
    4: (
        "CLF UYW"
    ),
}
EXPONENT = {code: decimals for decimals, codes in DECIMALS.items() for code in codes.split()}

EXACT = Context(prec=1000, Emax=10_000, Emin=-10_000)
NUMBER = re.compile(r"(-?)(0|[1-9][0-9]*)(\.[0-9]+)?(?:[eE]([+-]?[0-9]+))?")
TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]+))?(?: ?(Z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?))?"
)
SURROGATE = re.compile("[\ud800-\udfff]")
EPOCH_DAY = date(1970, 1, 1).toordinal()
YEAR_ONE = -62_135_596_800  # seconds
YEAR_10000 = 253_402_300_800


class Number(str):
    """A number's literal, kept as it is written."""


def _refuse(constant):
    raise ValueError(constant + " is no JSON")


def _once(pairs):
    """Makes an object of its members, and refuses a key that stands twice."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return members


_decoder = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=_refuse, object_pairs_hook=_once)
sys.setrecursionlimit(max(sys.getrecursionlimit(), 12_000))


class Unreadable(ValueError):
    """The value is no JSON object that can be understood in one way only."""


def read_body(value, most, depth):
    """Returns the JSON object that the bytes are."""
    if len(value) > most:
        raise Unreadable("it is too large")
    try:
        text = value.decode("utf-8").removeprefix(BYTE_ORDER_MARK)
        body = _decoder.decode(text)
        if "\\u" in text or text.count("{") + text.count("[") > depth:
            check(body, depth)
    except (ValueError, RecursionError) as problem:
        raise Unreadable(str(problem)) from problem
    if type(body) is not dict:
        raise Unreadable("it is no object")
    return body


def check(content, depth):
    """Refuses what Python's decoder takes: half a surrogate pair, and deep nesting."""
    if type(content) is str:
        if SURROGATE.search(content):
            raise Unreadable("half a surrogate pair")
        return
    if type(content) not in (dict, list):
        return
    if depth == 0:
        raise Unreadable("it is nested too deep")
    for inner in content:
        check(inner, depth - 1)
    if type(content) is dict:
        for inner in content.values():
            check(inner, depth - 1)


def read_event(topic, record_ms, value, headers=None):
    """Returns (name, ms, currency, minor, bad_amount, ahead), None for a record that is no event."""
    first = FIRST_EVENT.get(topic)
    most, depth = (MAX_BODY, MAX_DEPTH) if first else (sys.maxsize, MAX_FOREIGN_DEPTH)
    headers = [(header["key"], header["value"] or b"") for header in headers or ()]
    try:
        body, headers = open_event(read_body(value or b"", most, depth), headers, most, depth)
    except Unreadable:
        return None
    event_type, sent = read_headers(headers)
    at, ahead = record_ms, False
    own = read_timestamp(body.get("timestamp"))
    if own is None:
        own = sent
    if own is not None:
        at = own
        if record_ms > 0 and own > record_ms + MAX_AHEAD:
            at, ahead = record_ms, True
    name = read_name(body, event_type, topic, first) if first else read_name_elsewhere(body, event_type)
    currency, minor, bad = read_amount(body, name, topic)
    return name, at, currency, minor, bad, ahead


def open_event(body, headers, most, depth):
    """Unwraps a CloudEvent in structured mode, whose attributes win over headers."""
    media = media_type(headers)
    if media == "application/cloudevents-batch+json":
        raise Unreadable("a batch of CloudEvents")
    wrapped = "specversion" in body and body.get("order_id") is None and body.get("user_id") is None
    if media != "application/cloudevents+json" and not wrapped:
        return body, headers
    if text(body, "specversion") != "1.0":
        raise Unreadable("specversion is not 1.0")
    data = body.get("data")
    if "data" not in body and type(body.get("data_base64")) is str:
        try:
            raw = base64.b64decode(re.sub("[\r\n]", "", body["data_base64"]), validate=True)
        except (binascii.Error, ValueError) as problem:
            raise Unreadable(str(problem)) from problem
        data = read_body(raw, most, depth)
    if type(data) is not dict:
        raise Unreadable("the CloudEvent has no data")
    found = [("ce_" + name, text(body, name).encode()) for name in ("type", "time") if type(body.get(name)) is str]
    return data, headers + found


def media_type(headers):
    for key, content in reversed(headers):
        if key.lower() == "content-type":
            return content.decode("utf-8", "replace").split(";")[0].strip().lower()
    return ""


def read_headers(headers):
    """Returns the type and the time that the headers say, "" and None without them."""
    event_type, sent = "", None
    for key, content in headers:
        if not content:
            continue
        short = len(content) <= 512
        if key == "ce_type":
            event_type = UNREADABLE_TYPE
            if short and (name := decoded(content)) and valid_name(name):
                event_type = name
        elif key == "ce_time" and short:
            found = read_time(decoded(content))
            sent = sent if found is None else found
    return event_type, sent


def decoded(content):
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return ""


def valid_name(name):
    """Says whether a text can stand in a header: printable, as an id is."""
    return (
        name != ""
        and len(name) <= MAX_NAME
        and name.isprintable()
        and name[0] != " "
        and name[-1] != " "
        and name not in (".", "..")
    )


def read_name(body, event_type, topic, first):
    """Names a record of one of the contract's topics, by the table in docs/contract.md."""
    event = body.get("event")
    if event is not None and not (type(event) is str and valid_name(event)):
        return ""
    if not event_type:
        return event or first
    if event_type[: len(TYPE_PREFIX)].lower() == TYPE_PREFIX:
        named = event_type.removeprefix(TYPE_PREFIX).removesuffix(TYPE_SUFFIX)
        known = event_type == TYPE_PREFIX + named + TYPE_SUFFIX and EVENTS.get(named, ("",))[0] == topic
        return (event or named) if known else "unknown: " + event_type
    return event or "unknown: " + event_type


def read_name_elsewhere(body, event_type):
    event = body.get("event")
    if event is None:
        return "" if event_type == UNREADABLE_TYPE else event_type
    return event if type(event) is str and valid_name(event) else ""


def scalar(content):
    """Returns a text or the literal of a number; "" stands for everything else."""
    return str(content) if isinstance(content, str) else ""


def text(body, field):
    content = body.get(field)
    return content if type(content) is str else ""


def read_amount(body, name, topic):
    """Reads the amount of the field that the event has on its topic, else of `amount` or `total`."""
    carried, field = EVENTS.get(name, ("", ""))
    if carried != topic:
        field = "total" if body.get("amount") is None else "amount"
    if field is None or body.get(field) is None:
        return "", 0, False
    currency = DEFAULT_CURRENCY
    if body.get("currency") is not None:
        given = body["currency"]
        if type(given) is not str or not given.isascii():
            return "", 0, True
        currency = given.upper() or DEFAULT_CURRENCY
    minor = read_minor(scalar(body[field]), currency)
    return ("", 0, True) if minor is None else (currency, minor, False)


def read_timestamp(content):
    return read_parts(content) if type(content) is list else read_time(scalar(content))


def read_parts(parts):
    """Reads [year, month, day, hour, minute, second, nanosecond], the last two of which may be missing, in UTC."""
    if not 5 <= len(parts) <= 7:
        return None
    if not all(type(part) is Number and len(part) <= 9 and re.fullmatch("-?[0-9]+", part) for part in parts):
        return None
    year, month, day, hour, minute, second, nano = [int(part) for part in parts] + [0] * (7 - len(parts))
    if not (0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 59 and 0 <= nano <= 999_999_999):
        return None
    days = day_number(year, month, day)
    if days is None:
        return None
    seconds = days * 86_400 + hour * 3600 + minute * 60 + second
    if seconds == YEAR_ONE and nano == 0:
        return None
    return seconds * 1000 + nano // 1_000_000


def read_number(literal):
    if len(literal) > MAX_NUMBER:
        return None
    found = NUMBER.fullmatch(literal)
    if not found or abs(int(found[4] or 0)) > MAX_EXPONENT:
        return None
    return EXACT.create_decimal(literal)


def plain(whole, fraction, literal):
    """Says whether a literal is digits, with a fraction or without."""
    return (
        literal.isascii()
        and whole.isdigit()
        and (whole[0] != "0" or len(whole) == 1)
        and (fraction.isdigit() or len(whole) == len(literal))
    )


def read_minor(literal, currency):
    """Returns the amount in minor units; the noise of float arithmetic is rounded, anything else must be exact."""
    exponent = EXPONENT.get(currency)
    if exponent is None:
        return None
    whole, _, fraction = literal.partition(".")
    if plain(whole, fraction, literal) and len(whole) <= 9 and len(fraction) <= exponent:  # as almost always
        return int(whole + fraction + "0000"[: exponent - len(fraction)])
    number = read_number(literal)
    if number is None:
        return None
    scaled = EXACT.scaleb(abs(number), exponent)
    if scaled > 10 * MAX_MINOR:
        return None
    minor = int(scaled)
    rest = EXACT.subtract(scaled, minor)
    if rest > NOISE:
        if rest < 1 - NOISE:
            return None
        minor += 1
    if minor > MAX_MINOR or (minor != 0 and number.is_signed()):
        return None
    return minor


def read_time(s):
    """Returns milliseconds since 1970, None for what is no time."""
    if not s or len(s) > 40:
        return None
    whole, _, fraction = s.partition(".")
    if plain(whole, fraction, s) and len(whole) <= 10:  # seconds, as almost always
        return int(whole) * 1000 + int((fraction + "000")[:3])
    number = read_number(s)
    if number is not None:
        return read_epoch(number)
    found = TIME.fullmatch(s.upper())
    if not found:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    leap = second == 60  # RFC 3339, section 5.6: the first moment of the next minute
    if leap:
        second = 59
    if hour > 23 or minute > 59 or second > 59:
        return None
    days = day_number(year, month, day)
    if days is None:
        return None
    seconds = days * 86_400 + hour * 3600 + minute * 60 + second
    zone = found[8]
    if zone and zone[0] in "+-":
        hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
        if hours > 24 or minutes > 60:  # as Go reads it
            return None
        seconds -= (1 if zone[0] == "+" else -1) * (hours * 3600 + minutes * 60)
    nanoseconds = 0 if leap else int(((found[7] or "") + "000000000")[:9])
    seconds += leap
    if not YEAR_ONE <= seconds < YEAR_10000 or (seconds == YEAR_ONE and nanoseconds == 0):
        return None
    return seconds * 1000 + nanoseconds // 1_000_000


@functools.lru_cache(maxsize=1000)
def day_number(year, month, day):
    try:
        return date(year, month, day).toordinal() - EPOCH_DAY
    except ValueError:
        return None


def read_epoch(number):
    """Reads seconds since 1970; what would be beyond the year 5000 is milli-, micro- or nanoseconds."""
    if number.is_signed() or number.adjusted() >= 19 and number != 0:
        return None
    unit = 0
    for limit, power in ((10**17, 9), (10**14, 6), (10**11, 3)):
        if number >= limit:
            unit = power
            break
    ms = int(EXACT.scaleb(number, 3 - unit).to_integral_value(rounding=ROUND_FLOOR))
    return ms if ms < YEAR_10000 * 1000 else None
