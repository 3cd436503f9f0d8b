"""The sample lists: made-up students on numbers reserved for fiction, with the trouble real files have.

The same call makes the same people, so that two runs of the demo can be compared. Every number is
+1 <area code> 555 01XX, which the North American Numbering Plan keeps for fiction.
"""

from __future__ import annotations

import csv
import io
import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace

GIVEN = (
    "Ada Amira Anaïs Andrés Bao Beatriz Björn Chloé Dagný Daniel Elif Emeka Étienne Farah Finn Fatoumata Grace Håkon "
    "Hana Imani Ines Ivy Jamal Jürgen Joaquín Kai Keiko Lars Layla Leilani Luz Łukasz Maëlle Malik Mei Mateo Nadia "
    "Noah Núria Oluwaseun Ömer Owen Priya Quinn Rafael Ravi Renée Rosa Saoirse Sergio Siobhán Søren Tariq Tomás "
    "Uma Vera Wen Ximena Yara Zoë"
).split()
FAMILY = (
    "Abara Acosta Ahmadi Andersson Baptiste Becker Benítez Brandt Castellanos Çelik Chukwu Costa Dąbrowska Delacroix "
    "Eriksen Espinoza Fairbanks Fernández Gallagher Grünwald Haddad Hollis Ibarra Ionescu Jansen Kaneshiro Kowalczyk "
    "Kovács Larsen Lindqvist Mbeki Medina Moreau Müller Nakagawa Ngata Núñez O'Brien Okafor Ortega Park Peña Petrov "
    "Quintero Rahman Reyes Sandoval Sato Schäfer Šimková Tanaka Thorvald Ueda Valdés Vasquez Weiß Whitfield Yılmaz "
    "Zamora Zielińska"
).split()
ADVISERS = ("Dr. Okonjo", "Ms. Larkin", "Mr. Delgado", "Dr. Winther", "Ms. Yamada")
MOMENTS = tuple(f"{day} at {hour}" for day in ("Monday", "Tuesday", "Thursday") for hour in ("9:30", "11:00", "2:15"))
AREA_CODES = (
    201, 202, 203, 206, 209, 212, 213, 214, 216, 217, 301, 303, 305, 312, 313, 314,
    404, 407, 412, 415, 503, 512, 602, 615, 617, 702, 713, 718, 813, 916,
)  # fmt: skip
COLUMNS = ("Student ID", "First name", "Last name", "Cell phone", "E-mail", "Adviser", "Appointment")

# What becomes of a text at Ocelot's twin hangs on the last four digits; the twin's page lists them all. Ordinary students
# have numbers it delivers to; these few do not: last digits → how many of them.
ORDINARY = range(100, 150)
BLOCKED, SAYS_STOP = "0150", "0156"
SPECIAL = {
    BLOCKED: 1,  # the carrier says the person blocks us
    "0151": 4,  # a landline
    "0152": 3,  # delivered late
    "0153": 4,  # every receipt twice
    "0154": 4,  # receipts in the wrong order
    "0155": 3,  # replies with thanks
    SAYS_STOP: 1,
    "0157": 1,  # opted out at Ocelot, and nobody told us
    "0158": 2,  # no receipt ever comes
    "0159": 3,  # refused when uploaded to a list
    "0160": 3,  # fails for now, delivered later
    "0161": 1,  # a status nobody has heard of
    "0162": 2,  # receipts overtake the answer
    "0163": 2,  # said to have failed, then delivered
    "0165": 2,  # replies with an emoji
    "0166": 1,  # its presence makes the whole call a 400
}

BAD_NUMBERS = (
    "", "", "", "", "", "", "n/a", "none yet", "ask my mother", "555-0142", "0142", "312-555-01423", "(312) 555-01",
    "312-555-0110 / 312-555-0111", "(617) 555-0120 or (617) 555-0121", "312-555-0133 x204", "1.31256E+10",
    "1.61756E+10", "(204) 555-0142", "+1 000 555 0142", "(123) 555-0142", "#REF!",
)  # fmt: skip
BAD_ADDRESSES = ("ada.park@", "no e-mail", "wen@@example.edu", "rosa reyes@example.edu")


@dataclass(frozen=True, slots=True)
class Student:
    """One row of a file, every cell as somebody typed it."""

    student_id: str
    first: str
    last: str
    phone: str
    email: str
    adviser: str
    appointment: str

    def cells(self) -> tuple[str, ...]:
        return (self.student_id, self.first, self.last, self.phone, self.email, self.adviser, self.appointment)


@dataclass(frozen=True, slots=True)
class File:
    """One file as staff would get it: its name, its bytes in the encoding of the program that wrote it, its rows."""

    name: str
    content: bytes
    rows: int


@dataclass(frozen=True, slots=True)
class Sample:
    """What the demo imports, and the numbers it does something special with."""

    freshmen: File  # Excel's "CSV UTF-8"
    transfers: File  # a registrar's export: Windows-1252 with semicolons
    housing: File  # Excel's "Unicode text": UTF-16 with tabs
    opted_out: str  # E.164; asked before the import not to be texted
    says_stop: str
    blocked: str


def spellings(e164: str) -> Iterator[str]:
    """The ways people write one North American number, E.164 last."""
    area, exchange, line = e164[2:5], e164[5:8], e164[8:]
    yield f"({area}) {exchange}-{line}"
    yield f"{area}-{exchange}-{line}"
    yield f"{area}.{exchange}.{line}"
    yield f"1 {area} {exchange} {line}"
    yield f"{area}{exchange}{line}"
    yield f"  +1 ({area}) {exchange}\u2011{line} "  # a non-breaking hyphen, from a web page
    yield f"{area}\u00a0{exchange}\u00a0{line}"
    yield e164


def sample() -> Sample:
    """The three files: about 1,300 rows of some 1,200 people."""
    dice = random.Random(5550100)  # noqa: S311 - the same people every time is the point
    ordinary = (f"+1{area}555{line:04}" for line in ORDINARY for area in AREA_CODES)
    people = [_student(dice, number, next(ordinary)) for number in range(1, 1151)]
    special = [
        _student(dice, 5000 + int(tail) * 10 + turn, f"+1{AREA_CODES[turn]}555{tail}")
        for tail, times in SPECIAL.items()
        for turn in range(times)
    ]
    freshmen = [*people[:1000], *special]
    transfers = [_western(dice, student) for student in people[1000:1100]]
    # Half of those in the halls are freshmen too: a batch to both lists must text them once.
    housing = [*people[1100:], *people[100:150]]
    rows = [_as_typed(dice, student) for student in freshmen] + _trouble(dice, freshmen)
    dice.shuffle(rows)
    return Sample(
        freshmen=_file("freshmen.csv", rows, ",", "utf-8-sig"),
        transfers=_file("transfers.csv", [_as_typed(dice, student, "cp1252") for student in transfers], ";", "cp1252"),
        housing=_file("residence-halls.txt", [_as_typed(dice, student) for student in housing], "\t", "utf-16"),
        opted_out=people[7].phone,
        says_stop=f"+1{AREA_CODES[0]}555{SAYS_STOP}",
        blocked=f"+1{AREA_CODES[0]}555{BLOCKED}",
    )


def _student(dice: random.Random, number: int, phone: str) -> Student:
    first, last = dice.choice(GIVEN), dice.choice(FAMILY)
    return Student(
        student_id=f"S{number:07}",
        first=first,
        last=last,
        phone=phone,
        # Their own address each: Ocelot wants them unique within a list.
        email=f"{_ascii(first)}.{_ascii(last)}.{number}@students.example.edu",
        adviser=dice.choice(ADVISERS),
        appointment=dice.choice(MOMENTS),
    )


def _ascii(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return "".join(letter for letter in plain.lower() if letter.isalpha()) or "student"


def _as_typed(dice: random.Random, student: Student, encoding: str = "utf-8") -> Student:
    """The same student as somebody in a hurry typed the row: numbers in every spelling, odd names, a few blanks."""
    writable = [
        phone for phone in spellings(student.phone) if phone.encode(encoding, "ignore").decode(encoding) == phone
    ]
    typed = replace(student, phone=dice.choice(writable))
    if dice.random() < 0.02:
        typed = replace(typed, first=dice.choice(("", f" {typed.first} ", typed.first.upper(), f"{typed.first}\u00a0")))
    if dice.random() < 0.01:
        typed = replace(typed, email="")
    return typed


def _trouble(dice: random.Random, students: list[Student]) -> list[Student]:
    """Rows that must be refused or recognised: bad numbers and addresses, people twice, blank cells; and odd names."""
    bad = [replace(dice.choice(students), student_id=f"B{at:07}", phone=phone) for at, phone in enumerate(BAD_NUMBERS)]
    wrong = [
        replace(_student(dice, 9000 + at, f"+1{AREA_CODES[-1 - at]}5550149"), email=email)
        for at, email in enumerate(BAD_ADDRESSES)
    ]
    twice = [
        replace(student, phone=spelling)
        for student in students[20:24]
        for spelling in dice.sample(list(spellings(student.phone)), 4)
    ]
    blank = [replace(_student(dice, 9100 + at, f"+1{AREA_CODES[at]}5550148"), adviser="", email="") for at in range(6)]
    odd = [
        replace(_student(dice, 9200 + at, f"+1{AREA_CODES[at]}5550147"), first=name)
        for at, name in enumerate(
            ("Mia 🌻", "李娜", "👩\u200d🎓 Zuri", "Nguyễn Thị Ánh", '=HYPERLINK("x")', "Ko\u0308nig")
        )
    ]
    return [*bad, *wrong, *twice, *blank, *odd]


def _western(dice: random.Random, student: Student) -> Student:
    """`student` with a name and a number the Windows code page of Western Europe can write."""
    first, last = (
        dice.choice(("Zoë", "François", "Jürgen", "Núria", "Renée", "Søren")),
        dice.choice(("Núñez", "Weiß", "Peña")),
    )
    return replace(student, first=first, last=last)


def _file(name: str, students: list[Student], separator: str, encoding: str) -> File:
    text = io.StringIO(newline="")
    table = csv.writer(text, delimiter=separator)
    table.writerow(COLUMNS)
    table.writerows(student.cells() for student in students)
    return File(name, text.getvalue().encode(encoding), len(students))
