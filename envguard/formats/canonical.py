"""Canonical JSON: the one text of a value, so that equal values have equal digests.

Source: RFC 8785 (JSON Canonicalization Scheme).
"""

import math

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]

_LARGEST_EXACT = 2**53
_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
} | {chr(code): f"\\u{code:04x}" for code in range(0x20) if chr(code) not in "\b\f\n\r\t"}
_ESCAPE_TABLE = str.maketrans(_ESCAPES)


def dumps(value: JsonValue) -> bytes:
    """*value* as canonical UTF-8.

    Raises `ValueError` for what RFC 8785 cannot write: NaN, infinities, lone surrogates, and
    integers that a double does not hold exactly.
    """
    return _text(value).encode("utf-8")


def _text(value: JsonValue) -> str:  # noqa: PLR0911 - one branch for each kind of JSON value
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            if abs(value) > _LARGEST_EXACT:
                raise ValueError(f"{value} is not exact as a double (RFC 8785, 3.2.2.3)")
            return str(value)
        case float():
            return _number(value)
        case str():
            return '"' + value.translate(_ESCAPE_TABLE) + '"'
        case list():
            return "[" + ",".join(_text(item) for item in value) + "]"
        case dict():
            # "sorted by name as arrays of UTF-16 code units" (3.2.3)
            keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
            return "{" + ",".join(f"{_text(key)}:{_text(value[key])}" for key in keys) + "}"
        case _:  # a caller that the type checker did not see
            raise TypeError(f"{type(value).__name__} is no JSON value")


def _number(value: float) -> str:
    """A double as ECMAScript's Number::toString writes it (3.2.2.3)."""
    if not math.isfinite(value):
        raise ValueError(f"{value} has no JSON form")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent_text = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    leading_zeros = len(whole + fraction) - len(digits)
    point = len(whole) - leading_zeros + int(exponent_text or 0)
    digits = digits.rstrip("0")
    return sign + _place_point(digits, point)


def _place_point(digits: str, point: int) -> str:
    """*digits* with the decimal point after the first *point* of them (ECMA-262, 6.1.6.1.20)."""
    count = len(digits)
    if count <= point <= 21:
        return digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    exponent = f"e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return digits[0] + (f".{digits[1:]}" if count > 1 else "") + exponent
