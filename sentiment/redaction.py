"""Personal data out of texts: e-mail addresses, phone and card numbers, IP addresses, user ids by their key.

What is found is replaced by a word in brackets that says what it was, so that redacting twice changes nothing.
Numbers count as personal only in a form that ordinary numbers, dates and ratings do not have: a card number
must pass its check digit, a phone number must be written like one.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Callable
from types import MappingProxyType

TOKENS = MappingProxyType({"email": "[email]", "card": "[card]", "ip": "[ip]", "phone": "[phone]", "user_id": "[user]"})
"""What stands for each kind of personal data."""

KEYS = r"(?:user|reviewer|customer|client|account|profile|member)[_\- ]?(?:id|name|number|no)|login|screen[_ ]?name"
"""What a user id is announced by."""

_KEY_CHARACTERS = 24
"""No key is longer, with its sign and what is before it."""

_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[\w-]{1,63}\.){1,8}[\w-]{2,63}")
_DIGITS = re.compile(r"[0-9][0-9 ().\-/]{5,}[0-9]")
_NUMBERS = bytes(ord("0") if byte in b"0123456789 ().-/" else byte for byte in range(256))
_SEVEN = b"0" * 7  # so many digits and signs in a row are in every number that is looked for
_CARD = re.compile(r"(?<![\w.+-])[2-6](?:[ -]?[0-9]){12,18}(?![\w-]|[.,][0-9])")
_IPV4 = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w]|\.[0-9])")
_IPV6 = re.compile(r"(?<![\w:.])(?=[0-9A-Fa-f]*:[0-9A-Fa-f.]*:)[0-9A-Fa-f:]{3,39}(?:(?<=:)[0-9.]{7,15})?(?![\w:])")
_PHONES = (
    re.compile(r"(?<![\w+])(?<![0-9][.,])(?:\+|00)[1-9](?:[ ().\-/]{0,3}[0-9]){7,14}(?![\w-])"),  # international
    re.compile(r"(?<![\w.+-])(?:1[-. ])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[-.])[2-9][0-9]{2}[-. ][0-9]{4}(?![\w-])"),
    re.compile(r"(?<![\w.,+-])0[1-9][0-9]{1,3}[ /-](?:[0-9]{5,8}|[0-9]{3,4}[ -][0-9]{3,4})(?![\w-]|[.,][0-9])"),
)
_ANNOUNCED = re.compile(
    r"(?i)\b((?:tele)?phone|tel|fax|mobile|cell|whatsapp|call|dial|ring)\b"
    r"(?P<between>[.:# ]{0,3}(?:number|me|us|at|on|is|:|\s){0,4})"
    r"(?P<number>[0-9](?:[ ().\-/]{0,2}[0-9]){6,14})(?![\w-])"
)
_DATE = re.compile(r"(?:[0-9]{4}[-/. ][0-9]{1,2}[-/. ][0-9]{1,2}|[0-9]{1,2}[-/. ][0-9]{1,2}[-/. ][0-9]{4})(?![0-9])")
_KEYED = re.compile(rf"(?i)\b(?:{KEYS})[\"']?\s{{0,3}}[:=]\Z")
_TWO_COLONS = re.compile(r":[0-9A-Fa-f.]*:")
_USER = re.compile(rf"(?i)\b({KEYS})(?P<sign>[\"']?\s{{0,3}}[:=]\s{{0,3}}[\"']?)(?P<value>[\w@.\-]{{2,64}})")


def redact(text: str) -> tuple[str, Counter[str]]:
    """Return a text without the personal data that was found in it, and how much of each kind."""
    counts: Counter[str] = Counter()
    if "@" in text:
        text = _replace(_EMAIL, text, "email", counts)
    if _may_name_a_user(text):
        text = _USER.sub(_user(counts), text)
    if _TWO_COLONS.search(text):
        text = _replace(_IPV6, text, "ip", counts, _is_ip)
    if _may_hold_a_number(text):
        text = _replace(_IPV4, text, "ip", counts, _is_ip)
        text = _replace(_CARD, text, "card", counts, _is_card)
        for phone in _PHONES:
            text = _replace(phone, text, "phone", counts)
        text = _ANNOUNCED.sub(_announced(counts), text)
    return text, counts


def _may_name_a_user(text: str) -> bool:
    """Tell cheaply that most texts have no key of a user id: look at what stands before each sign."""
    for sign in ":=":
        end = text.find(sign) + 1
        while end:
            if _KEYED.search(text[max(0, end - _KEY_CHARACTERS) : end]):
                return True
            end = text.find(sign, end) + 1
    return False


def _may_hold_a_number(text: str) -> bool:
    """Tell cheaply that most texts have no card or phone number or dotted address."""
    return _SEVEN in text.encode(errors="replace").translate(_NUMBERS) and _DIGITS.search(text) is not None


def _replace(
    pattern: re.Pattern[str],
    text: str,
    kind: str,
    counts: Counter[str],
    accept: Callable[[str], bool] | None = None,
) -> str:
    def token(found: re.Match[str]) -> str:
        if accept is not None and not accept(found[0]):
            return found[0]
        counts[kind] += 1
        return TOKENS[kind]

    return pattern.sub(token, text)


def _user(counts: Counter[str]) -> Callable[[re.Match[str]], str]:
    def token(found: re.Match[str]) -> str:
        counts["user_id"] += 1
        return f"{found[1]}{found['sign']}{TOKENS['user_id']}"

    return token


def _announced(counts: Counter[str]) -> Callable[[re.Match[str]], str]:
    def token(found: re.Match[str]) -> str:
        if _DATE.match(found["number"]):
            return found[0]
        counts["phone"] += 1
        return f"{found[1]}{found['between']}{TOKENS['phone']}"

    return token


def _is_ip(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return address.version == 4 or any(letter.isdigit() for letter in text)


def _is_card(text: str) -> bool:
    """Return whether the check digit is right (Luhn) and the number is not one digit over and over."""
    digits = [int(letter) for letter in text if letter.isdigit()]
    if len(set(digits)) < 2:
        return False
    doubled = [digit if place % 2 == 0 else sum(divmod(2 * digit, 10)) for place, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0
