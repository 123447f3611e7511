"""Names and long formats of the locales that SET_LOCALE knows, as in the moment.js library that Airtable uses."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Locale:
    """What a locale adds to a date format."""

    months: tuple[str, ...]
    months_short: tuple[str, ...]
    weekdays: tuple[str, ...]
    """Sunday first."""
    weekdays_short: tuple[str, ...]
    long_formats: dict[str, str]
    """LT, LTS, L, LL, LLL and LLLL."""
    ordinal: Callable[[int], str]
    first_weekday: int = 1
    """0 for Sunday."""
    first_week_day: int = 4
    """The day of January that is always in week 1."""


def _english_ordinal(number: int) -> str:
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def _long_formats(date: str, month_date: str, *, time: str = "HH:mm", join: str = " ") -> dict[str, str]:
    seconds = time.replace("mm", "mm:ss")
    return {
        "LT": time,
        "LTS": seconds,
        "L": date,
        "LL": month_date,
        "LLL": f"{month_date}{join}{time}",
        "LLLL": f"dddd{',' if join == ', ' else ''} {month_date}{join}{time}",
    }


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_ENGLISH_NAMES = (
    _words("January February March April May June July August September October November December"),
    _words("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"),
    _words("Sunday Monday Tuesday Wednesday Thursday Friday Saturday"),
    _words("Sun Mon Tue Wed Thu Fri Sat"),
)
_AMERICAN = {
    **_long_formats("MM/DD/YYYY", "MMMM D, YYYY", time="h:mm A"),
    "LLLL": "dddd, MMMM D, YYYY h:mm A",
}
_BRITISH = {**_long_formats("DD/MM/YYYY", "D MMMM YYYY"), "LLLL": "dddd, D MMMM YYYY HH:mm"}
_PORTUGUESE_NAMES = (
    _words("janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro"),
    _words("jan fev mar abr mai jun jul ago set out nov dez"),
    _words("domingo segunda-feira terça-feira quarta-feira quinta-feira sexta-feira sábado"),
    _words("dom seg ter qua qui sex sáb"),
)

LOCALES: dict[str, Locale] = {
    "en": Locale(*_ENGLISH_NAMES, _AMERICAN, _english_ordinal, first_weekday=0, first_week_day=1),
    "en-gb": Locale(*_ENGLISH_NAMES, _BRITISH, _english_ordinal),
    "en-au": Locale(*_ENGLISH_NAMES, {**_BRITISH, "LT": "h:mm A", "LTS": "h:mm:ss A"}, _english_ordinal),
    "en-ca": Locale(
        *_ENGLISH_NAMES,
        {**_AMERICAN, "L": "YYYY-MM-DD"},
        _english_ordinal,
        first_weekday=0,
        first_week_day=1,
    ),
    "de": Locale(
        _words("Januar Februar März April Mai Juni Juli August September Oktober November Dezember"),
        _words("Jan. Feb. März Apr. Mai Juni Juli Aug. Sep. Okt. Nov. Dez."),
        _words("Sonntag Montag Dienstag Mittwoch Donnerstag Freitag Samstag"),
        _words("So. Mo. Di. Mi. Do. Fr. Sa."),
        {**_long_formats("DD.MM.YYYY", "D. MMMM YYYY"), "LLLL": "dddd, D. MMMM YYYY HH:mm"},
        lambda number: f"{number}.",
    ),
    "es": Locale(
        _words("enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"),
        _words("ene. feb. mar. abr. may. jun. jul. ago. sep. oct. nov. dic."),
        _words("domingo lunes martes miércoles jueves viernes sábado"),
        _words("dom. lun. mar. mié. jue. vie. sáb."),
        {
            **_long_formats("DD/MM/YYYY", "D [de] MMMM [de] YYYY", time="H:mm"),
            "LLLL": "dddd, D [de] MMMM [de] YYYY H:mm",
        },
        lambda number: f"{number}º",
    ),
    "fr": Locale(
        _words("janvier février mars avril mai juin juillet août septembre octobre novembre décembre"),
        _words("janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc."),
        _words("dimanche lundi mardi mercredi jeudi vendredi samedi"),
        _words("dim. lun. mar. mer. jeu. ven. sam."),
        _long_formats("DD/MM/YYYY", "D MMMM YYYY"),
        lambda number: f"{number}er" if number == 1 else str(number),
    ),
    "it": Locale(
        _words("gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre"),
        _words("gen feb mar apr mag giu lug ago set ott nov dic"),
        _words("domenica lunedì martedì mercoledì giovedì venerdì sabato"),
        _words("dom lun mar mer gio ven sab"),
        _long_formats("DD/MM/YYYY", "D MMMM YYYY"),
        lambda number: f"{number}º",
    ),
    "nl": Locale(
        _words("januari februari maart april mei juni juli augustus september oktober november december"),
        _words("jan. feb. mrt. apr. mei jun. jul. aug. sep. okt. nov. dec."),
        _words("zondag maandag dinsdag woensdag donderdag vrijdag zaterdag"),
        _words("zo. ma. di. wo. do. vr. za."),
        _long_formats("DD-MM-YYYY", "D MMMM YYYY"),
        lambda number: f"{number}{'ste' if number in (1, 8) or number >= 20 else 'de'}",
    ),
    "pt": Locale(
        *_PORTUGUESE_NAMES,
        {
            **_long_formats("DD/MM/YYYY", "D [de] MMMM [de] YYYY"),
            "LLLL": "dddd, D [de] MMMM [de] YYYY HH:mm",
        },
        lambda number: f"{number}º",
    ),
    "pt-br": Locale(
        *_PORTUGUESE_NAMES,
        {
            **_long_formats("DD/MM/YYYY", "D [de] MMMM [de] YYYY", join=" [às] "),
            "LLLL": "dddd, D [de] MMMM [de] YYYY [às] HH:mm",
        },
        lambda number: f"{number}º",
        first_weekday=0,
        first_week_day=1,
    ),
}
LOCALES["en-us"] = LOCALES["en"]
