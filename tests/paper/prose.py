"""What a Typst source says in words: without code, mathematics, references, labels and comments."""

import re
from dataclasses import dataclass, field

NAME = re.compile(r"[A-Za-z_][\w.-]*")
REFERENCE = re.compile(r"@[\w.:-]*\w")
LABEL = re.compile(r"<[\w-]+>")
STATEMENTS = ("let", "set", "show", "import", "include")


@dataclass
class Reader:
    """Walks a source and gathers prose, raw text and mathematics, each with the line where it starts."""

    source: str
    prose: list[tuple[int, str]] = field(default_factory=list)
    raw: list[tuple[int, str]] = field(default_factory=list)
    mathematics: list[tuple[int, str]] = field(default_factory=list)

    def line(self, at):
        return self.source.count("\n", 0, at) + 1

    def markup(self, at, end=None):
        """Read markup up to a closing bracket, or to the end."""
        start, words = at, []
        while at < len(self.source) and self.source[at] != end:
            at, text = self.piece(at)
            words.append(text)
        self.prose.append((self.line(start), "".join(words)))
        return at + 1

    def piece(self, at):
        """Read one piece of markup: where the next one starts, and what it says in words."""
        s = self.source
        if s.startswith("//", at) and s[at - 1 : at] != ":":
            return s.index("\n", at), ""
        if s[at] == "\\":
            return at + 2, s[at + 1]
        if s[at] in "[`$#":
            return self.enclosed(at), " "
        for pattern in (REFERENCE, LABEL):
            if found := pattern.match(s, at):
                return found.end(), " "
        return at + 1, s[at]

    def enclosed(self, at):
        """Read a bracket in the text itself, raw text, mathematics or code; where what follows starts."""
        if s := {"[": self.bracket, "`": self.raw_text, "$": self.formula}.get(self.source[at]):
            return s(at)
        return self.code(at + 1)

    def bracket(self, at):
        return self.markup(at + 1, "]")

    def formula(self, at):
        close = self.source.index("$", at + 1)
        self.mathematics.append((self.line(at), self.source[at + 1 : close]))
        return close + 1

    def raw_text(self, at):
        ticks = re.compile("`+").match(self.source, at).group()
        close = self.source.index(ticks, at + len(ticks))
        self.raw.append((self.line(at), self.source[at + len(ticks) : close]))
        return close + len(ticks)

    def code(self, at):
        """Read what follows a hash: a name with arguments, a statement to the end of its line, or a block."""
        found = NAME.match(self.source, at)
        at = found.end() if found else at
        if found and found.group() in STATEMENTS:
            return self.arguments(at, "\n")
        while at < len(self.source) and self.source[at] in "([":
            at = self.arguments(at + 1, ")") if self.source[at] == "(" else self.markup(at + 1, "]")
        return at

    def arguments(self, at, end):
        """Read code up to its end; content between brackets is markup again."""
        s = self.source
        while at < len(s) and s[at] != end:
            if s[at] == '"':
                at = s.index('"', at + 1) + 1
            elif s[at] == "[":
                at = self.markup(at + 1, "]")
            elif s[at] in "({":
                at = self.arguments(at + 1, ")" if s[at] == "(" else "}")
            else:
                at += 1
        return at + 1


def read(source):
    reader = Reader(source)
    reader.markup(0)
    return reader


NUMBER = re.compile(r"\d[\d,.]*\d|\d")
IN_WORDS = re.compile(
    r"\b(eleven|twelve|\w+teen|\w+ty(?=\b|-)(?<=twenty|thirty|.forty|.fifty|.sixty|eighty|ninety)|hundreds?|"
    r"thousands?|millions?|dozens?|hal(f|ves)|thirds?|quarters?|per ?cent|twice|doubles?d?)\b",
    re.IGNORECASE,
)


def without(text, patterns):
    for pattern in patterns:
        text = re.sub(pattern, " ", text)
    return text


def typed_numbers(source, allowed=()):
    """Numbers that stand in the text and are not read from results: line and what stands there."""
    reader = read(source)
    found = []
    for line, text in [*reader.prose, *reader.raw]:
        rest = without(text, allowed)
        found += [(line, match.group()) for match in NUMBER.finditer(rest)]
        found += [(line, match.group()) for match in IN_WORDS.finditer(rest)]
    # A formula may hold small whole numbers, such as 0 and 1, and no result.
    found += [
        (line, match.group())
        for line, text in reader.mathematics
        for match in NUMBER.finditer(re.sub(r"_\w+", " ", text))
        if len(match.group()) > 1
    ]
    return found
