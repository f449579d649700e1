"""What is done to an input that is right: to the structure of a document, to the characters of a text, to bytes."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

Path = tuple[str | int, ...]

#: Numbers at the ends of what a computer, a file or a nanosecond holds.
NUMBERS: tuple[Any, ...] = (
    *(0, 1, -1, 2, 3, 7, 64, 255, 1000, 65535, 65536, 10**6, 10**9, 2**31, 2**63 - 1, 2**63, 2**64, 10**30),
    *(0.0, -0.0, 0.5, 1e-4, 1e-12, 1e-300, 5e-324, 0.999999, 1.0000001, 1e6, 1e12, 1e15, 1e18, 1e300, 1.7e308),
    *(float("nan"), float("inf"), float("-inf"), True, False),
)
#: Texts that are something else to a terminal, a shell, a path, YAML, JSON, a format or a list of names.
TEXTS = (
    *("", " ", "x" * 3000, "null", "~", "true", "off", "0x10", "1e5", "1_000", "1:30", ".inf", ".nan", "2020-01-01"),
    *(
        "\x1b[31mred",
        "\x1b]0;title\x07",
        "\u202eevil",
        "a\nb",
        "a\rb",
        "a\0b",
        "\ufeff",
        "\u2028",
        "ä" * 200,
        "\U0001f600",
    ),
    *(
        "[",
        "]",
        "{",
        "}",
        "*a",
        "&a",
        "!!timestamp x",
        "!!python/name:os.system",
        "<<",
        "- ",
        ": ",
        "#",
        "'",
        '"',
        "`",
        "%s",
    ),
    *(
        "{0}",
        "a,b",
        "64,]",
        ",",
        "=",
        "a=b",
        "a.b",
        ".",
        "..",
        "/",
        "/dev/zero",
        "../x.yaml",
        "x.yaml",
        "a.csv",
        "/dev/zero.csv",
    ),
    *("3000000000 load", "9" * 30 + " load", "load", "-1", "1e400", "9" * 400, "<script>", "full", "saturate", "any"),
)
COLLECTIONS: tuple[Any, ...] = (
    None,
    [],
    {},
    [[]],
    [None],
    {"": 1},
    {"value": 1},
    {"value": 1, "grade": "guess"},
    ["x", "x"],
)


def places(document: Any, above: Path = ()) -> Iterator[Path]:
    """Yield the path of everything that stands in a document."""
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in items:
        yield (*above, key)
        yield from places(value, (*above, key))


def at(document: Any, path: Path) -> Any:
    """Return what stands at a path."""
    for key in path:
        document = document[key]
    return document


def number_near(value: float, random: Random) -> Any:
    """Return a number that is near to another, or like it but for its size, or one of the ends."""
    near = (
        value + 1,
        value - 1,
        value * 10.0 ** random.randint(-15, 15),
        value / 2,
        -value,
        value * (1 + random.random()),
    )
    chosen = random.choice(near if random.random() < 0.5 else NUMBERS)
    whole = isinstance(value, int) and random.random() < 0.7 and abs(chosen) < 1e300
    return int(chosen) if whole else chosen


def replacement(value: Any, random: Random, pool: Sequence[Any]) -> Any:
    """Return what may stand in the place of a value: of its type mostly, or what stands under that key elsewhere."""
    way = random.random()
    if pool and way < 0.35:
        return copy.deepcopy(random.choice(pool))
    if isinstance(value, bool) and way < 0.7:
        return not value
    if isinstance(value, int | float) and way < 0.85:
        return number_near(value, random)
    if isinstance(value, str) and way < 0.8:
        return random.choice(TEXTS) if random.random() < 0.7 else changed_text(value, random)
    return copy.deepcopy(random.choice((*NUMBERS, *TEXTS, *COLLECTIONS, *COLLECTIONS)))


def shortened(document: Any, random: Random, most: int = 4) -> Any:
    """Return a document whose long lists hold a few of their items: they are read alike, and take the time."""
    if isinstance(document, dict):
        return {key: shortened(value, random, most) for key, value in document.items()}
    if isinstance(document, list):
        kept = sorted(random.sample(range(len(document)), min(len(document), most)))
        return [shortened(document[place], random, most) for place in kept]
    return document


def changed(document: dict[str, Any], random: Random, pools: dict[str, list[Any]]) -> dict[str, Any]:
    """Return a document with a few changes of its structure; `pools` are the values under each key anywhere."""
    document = copy.deepcopy(document)
    for _ in range(random.choice((1, 1, 1, 1, 2, 2, 3, 5))):
        everything = list(places(document))
        if not everything:
            break
        path = random.choice(everything)
        parent, key = at(document, path[:-1]), path[-1]
        way = random.random()
        if way < 0.6:
            parent[key] = replacement(parent[key], random, pools.get(str(key), ()))
        elif way < 0.72:
            del parent[key]
        elif way < 0.8 and isinstance(parent, dict):
            name = changed_text(key, random) if random.random() < 0.5 else random.choice(sorted(pools))
            parent[name] = parent.pop(key)
        elif way < 0.88 and isinstance(parent, dict):
            name = random.choice(sorted(pools))
            parent[name] = copy.deepcopy(random.choice(pools[name]))
        elif way < 0.94:
            other = random.choice(everything)
            parent[key] = copy.deepcopy(at(document, other)) if not _within(path, other) else [parent[key]]
        elif isinstance(parent, list):
            parent.insert(int(key), copy.deepcopy(parent[key]))
        else:
            parent[key] = random.choice(([parent[key]], {key: parent[key]}, [parent[key]] * 3, {}))
    return document


def _within(path: Path, other: Path) -> bool:
    return path[: len(other)] == other


def changed_text(text: str, random: Random) -> str:
    """Return a text with some characters or lines changed."""
    for _ in range(random.choice((1, 1, 2, 4))):
        change = random.choice((_changed_signs, _changed_lines))
        text = change(text, random)
    return text


def _changed_signs(text: str, random: Random) -> str:
    place = random.randrange(len(text) + 1)
    left, right = text[:place], text[place:]
    way = random.randrange(4)
    if way == 0:
        return left + random.choice(TEXTS) + right
    if way == 1:
        return left + right[random.choice((1, 1, 3, 20)) :]
    if way == 2:
        return left + chr(random.choice((random.randrange(32), random.randrange(0xD7FF)))) + right[1:]
    return left


def _changed_lines(text: str, random: Random) -> str:
    lines = text.split("\n")
    place = random.randrange(len(lines))
    line = lines[place]
    ways = (
        [],
        [line, line],
        [random.choice(lines)],
        [" " * random.randint(1, 4) + line],
        [_other_number(line, random)],
    )
    lines[place : place + 1] = random.choice(ways)
    return "\n".join(lines)


def _other_number(line: str, random: Random) -> str:
    """Return a line with another number in the place of one that it has."""
    words = line.split(" ")
    numbers = [place for place, word in enumerate(words) if any(sign.isdigit() for sign in word)]
    if not numbers:
        return line
    words[random.choice(numbers)] = str(random.choice(NUMBERS))
    return " ".join(words)


def damaged(content: bytes, random: Random) -> bytes:
    """Return a file's bytes as a bad disk, a cut write or somebody else leaves them."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 1, 2, 8))):
        first = random.randrange(len(data) + 1)
        last = min(first + random.choice((1, 1, 8, 64, 512, 4096)), len(data))
        way = random.randrange(7)
        if way < 3 and data:
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        elif way == 3:
            del data[first : len(data) if random.random() < 0.5 else last]
        elif way == 4:
            data[first:last] = bytes(last - first)
        elif way == 5:
            data[first:last] = random.randbytes(last - first)
        else:
            data[first:first] = data[first:last]
    return bytes(data)
