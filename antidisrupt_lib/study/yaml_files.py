"""YAML as study files may use it: the core schema of version 1.2, anchors and merge keys, and nothing that surprises.

PyYAML reads the syntax. Its values follow version 1.1, in which `no` is false, 010 is eight and 1:30 is ninety; it
keeps the last of two equal names and writes out references of any size. So values are made here, from its nodes.
"""

import codecs
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import yaml

MOST = 2**18  # characters of a file, also when its references are written out
DEEPEST = 40  # lists and tables in one another
STANDARD = "tag:yaml.org,2002:"
CORE = {  # https://yaml.org/spec/1.2.2/#1032-tag-resolution, and the merge key of 1.1
    "null": re.compile(r"(~|null|Null|NULL|)\Z"),
    "bool": re.compile(r"(true|True|TRUE|false|False|FALSE)\Z"),
    "int": re.compile(r"([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z"),
    "float": re.compile(
        r"([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z"
    ),
    "merge": re.compile(r"<<\Z"),
}
FIRST = {"null": ["~", "n", "N", ""], "bool": [*"tTfF"], "int": [*"-+0123456789"], "float": [*"-+.0123456789"]}


class _Loader(yaml.BaseLoader):
    """Makes nodes; unquoted scalars have the core schema's tags."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node:
        mark = self.peek_event().start_mark
        self.depth += 1
        if self.depth > DEEPEST:
            raise _too_deep(mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def fetch_flow_collection_start(self, token: type[yaml.Token]) -> None:
        """As the scanner reads ahead, and slowly where brackets are many, it stops by itself."""
        if self.flow_level > DEEPEST:
            raise _too_deep(self.get_mark())
        super().fetch_flow_collection_start(token)


def _too_deep(mark: yaml.Mark) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=f"more than {DEEPEST} tables or lists in one another", problem_mark=mark)


for kind, pattern in CORE.items():
    _Loader.add_implicit_resolver(STANDARD + kind, pattern, FIRST.get(kind, ["<"]))


def read_yaml(path: Path) -> object:
    """The value in a file (UTF-8, or UTF-16 with its mark); None if it is empty.

    Raises:
        ValueError: it isn't such YAML; the text names the file and the line.
    """
    content = path.read_bytes() if path.stat().st_size <= MOST else None
    if content is None:
        raise ValueError(f"{path} is larger than {MOST // 1024} KiB, which no study needs. Give a study's file.")
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}, line {line}: this is no text in UTF-8. Save the file in that encoding.") from error
    return parse_yaml(text, path)


def parse_yaml(text: str, where: Path | str) -> object:
    """The value of a YAML text; None if it is empty.

    Args:
        where: the file, whose lines errors name, or words for where the text stands.

    Raises:
        ValueError: it isn't such YAML.
    """
    try:
        node = yaml.compose(text, _Loader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        _refuse(where, line, f"the character {chr(error.character)!r} is no valid YAML. Delete it")
    except yaml.MarkedYAMLError as error:
        problem = ", ".join(filter(None, (error.context, error.problem)))
        _refuse(where, error.problem_mark.line + 1, f"this is no valid YAML ({problem}). Correct it")
    except (ValueError, OverflowError) as error:  # PyYAML's, of "\UFFFFFFFF"
        raise ValueError(f"{where}: an escaped character in it doesn't exist. Correct it.") from error
    return None if node is None else _Values(where).of(node)


def _refuse(where: Path | str, line: int, problem: str) -> NoReturn:
    place = f"{where}, line {line}" if isinstance(where, Path) else where
    raise ValueError(f"{place}: {problem}.")


@dataclass
class _Values:
    """Makes the values of nodes, each reference a copy of its own.

    `spent` counts the characters so far; `open` holds the nodes that are being made.
    """

    where: Path | str
    spent: int = 0
    open: set[int] = field(default_factory=set)

    def of(self, node: yaml.Node) -> object:
        self.spent += 8 + (len(node.value) if isinstance(node, yaml.ScalarNode) else 0)
        if self.spent > MOST:
            self._refuse(node, f"with its references written out this is longer than {MOST} characters. Use fewer")
        if id(node) in self.open:
            self._refuse(node, "this is a reference to what it stands in. Write it out, or leave it out")
        self.open.add(id(node))
        kind = node.tag.removeprefix(STANDARD)
        match node:
            case yaml.ScalarNode():
                value = self._scalar(node, kind)
            case yaml.SequenceNode() if kind == "seq":
                value = [self.of(child) for child in node.value]
            case yaml.MappingNode() if kind == "map":
                value = self._table(node)
            case _:
                self._refuse_tag(node)
        self.open.remove(id(node))
        return value

    def _table(self, node: yaml.MappingNode) -> dict[str, object]:
        lines: dict[str, int] = {}
        merged, own = {}, {}
        for key, child in node.value:
            name = self._name(key)
            if name in lines:
                first, second = lines[name] + 1, key.start_mark.line + 1
                self._refuse(key, f"`{name[:80]}` is given twice, in lines {first} and {second}. Keep one of them")
            lines[name] = key.start_mark.line
            if key.tag == STANDARD + "merge":
                merged = self._merged(child)
            else:
                own[name] = self.of(child)
        return merged | own

    def _name(self, key: yaml.Node) -> str:
        name = self.of(key)
        if not isinstance(name, str):
            self._refuse(key, f"the name {shown(name)} is no text. Put it in quotes if it is meant")
        return name

    def _merged(self, node: yaml.Node) -> dict[str, object]:
        """The tables of a merge key in one; of equal names, that of the first table."""
        value = self.of(node)
        tables = value if isinstance(value, list) else [value]
        if not all(isinstance(table, dict) for table in tables):
            self._refuse(node, f"`<<` takes a table or a list of tables, and {shown(value)} is neither. Correct it")
        merged: dict[str, object] = {}
        for table in reversed(tables):
            merged |= table
        return merged

    def _scalar(self, node: yaml.ScalarNode, kind: str) -> object:
        text = node.value
        if kind not in ("str", *CORE):
            self._refuse_tag(node)
        if kind in ("str", "merge"):
            return self._text(node)
        if not CORE[kind].match(text):
            self._refuse(node, f"{shown(text)} is no {kind}, as its tag says. Correct one of them")
        if kind == "int":
            return self._integer(node)
        if kind == "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        return text.lower() == "true" if kind == "bool" else None

    def _integer(self, node: yaml.ScalarNode) -> int:
        if re.match(r"[-+]?0[0-9]", node.value):
            self._refuse(
                node,
                f"{shown(node.value)} is an octal number to some readers of YAML and a decimal one to others. Write it "
                "without leading zeros, or in quotes if it is a text",
            )
        try:
            return int(node.value, 0)
        except ValueError:  # Python takes no more than 4,300 digits
            self._refuse(node, f"the number {shown(node.value)} has {len(node.value)} digits. Use a smaller one")

    def _text(self, node: yaml.ScalarNode) -> str:
        try:
            text = node.value.encode("utf-16", "surrogatepass").decode("utf-16")  # JSON escapes characters in halves
        except UnicodeDecodeError:
            text = "\0"
        if "\0" in text:
            self._refuse(node, f"{shown(node.value)} holds a character that no file can hold. Leave it out")
        return text

    def _refuse_tag(self, node: yaml.Node) -> NoReturn:
        tag = node.tag.replace(STANDARD, "!!")
        self._refuse(node, f"the tag {tag} isn't for study files, which hold plain values only. Delete it")

    def _refuse(self, node: yaml.Node, problem: str) -> NoReturn:
        _refuse(self.where, node.start_mark.line + 1, problem)


def shown(value: object) -> str:
    """A value as errors show it, of bounded length."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text)} characters)"
