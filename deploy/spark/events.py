"""Reads events as `pas windows` does: the same name, time and amount of every record, and the same records that are none.

It needs nothing but Python, and runs in Spark's workers. A test gives both readers the same records.
"""

import functools
import json
import re
import sys
import unicodedata
from datetime import date
from decimal import ROUND_FLOOR, Context, Decimal

# What the contract says that a record without the field `event` is, by topic.
FIRST_EVENT = {
    "orders": "order_placed",
    "payments": "payment_requested",
    "notifications": "notification_requested",
    "order-failures": "order_rejected",
}
DEFAULT_CURRENCY = "USD"
MAX_NAME = 100  # bytes of an event's name
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


_decoder = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=_refuse)
sys.setrecursionlimit(max(sys.getrecursionlimit(), 12_000))


def read_body(value):
    """Returns the JSON object that a record carries, None when it carries none."""
    if not value:
        return None
    try:
        text = value.decode("utf-8")
        body = _decoder.decode(text)
    except (ValueError, RecursionError):
        return None
    return body if type(body) is dict else None


def scalar(body, field):
    """Returns the content of a text field or the literal of a number; "" stands for everything else."""
    content = body.get(field)
    return str(content) if isinstance(content, str) else ""


def text(body, field):
    content = body.get(field)
    return content if type(content) is str else ""


def read_event(topic, record_ms, value):
    """Returns (name, ms, currency, minor, bad_amount, ahead), None for a record that is no event."""
    body = read_body(value)
    if body is None:
        return None
    at, ahead = record_ms, False
    own = read_time(scalar(body, "timestamp"))
    if own is not None:
        at = own
        if record_ms > 0 and own > record_ms + MAX_AHEAD:
            at, ahead = record_ms, True
    currency, minor, bad = read_amount(body)
    return read_name(body, topic), at, currency, minor, bad, ahead


def read_name(body, topic):
    name = SURROGATE.sub("\ufffd", text(body, "event")) or FIRST_EVENT.get(topic, "")
    if name.isascii() and name.isprintable():
        return name if len(name) <= MAX_NAME else ""
    if len(name.encode()) > MAX_NAME or any(unicodedata.category(c) == "Cc" for c in name):
        return ""
    return name


def read_amount(body):
    field = "amount" if body.get("amount") is not None else "total"
    if body.get(field) is None:
        return "", 0, False
    currency = DEFAULT_CURRENCY if body.get("currency") is None else text(body, "currency")
    minor = read_minor(scalar(body, field), currency)
    return ("", 0, True) if minor is None else (currency, minor, False)


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
