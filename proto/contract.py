"""Reads the .proto files with their comments: for what is made of them (help, manual) and for the
tests that hold them to being complete.

One declaration a line, comments above it, as our files are written; anything else is an error, so
that nothing is passed over.
"""
import re

BLOCK = re.compile(r"(message|enum|service|oneof) (\w+) \{(\})?$")
RPC = re.compile(r"rpc (\w+)\((\w+)\) returns \((\w+)\);$")
FIELD = re.compile(r"(repeated )?([\w.]+) (\w+) = (\d+);$")
VALUE = re.compile(r"([A-Z][A-Z_0-9]*) = (-?\d+);$")
SECTION = re.compile(r"-{8,} (\w.*)$")
IGNORED = re.compile(r"(syntax|import|package|option)\b")
REASON = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")


class Element:
    """A message, field, oneof, enum, value, service or operation."""

    def __init__(self, kind, name, parent, comment, where, section):
        self.kind = kind  # "message", "field", "oneof", "enum", "value", "service", "rpc"
        self.name = name
        self.parent = parent  # Element; the File at the top
        self.comment = comment  # lines without their "//"
        self.where = where  # "FILE:LINE"
        self.section = section  # of the file: "Domain"
        self.children = []
        self.repeated = False
        self.type = self.input = self.output = None
        self.number = None

    @property
    def scope(self):
        """What the names of its children begin with: a oneof is no scope of names."""
        return self.parent.scope if self.kind == "oneof" else self.full_name

    @property
    def full_name(self):
        return self.parent.scope + ("/" if self.kind == "rpc" else ".") + self.name


class File:
    """A .proto file: its package, the comment at its top, what it declares."""

    kind = "file"
    parent = None

    def __init__(self, path):
        self.path = path
        self.scope = ""
        self.comment = None
        self.children = []


def declared(line, parent, comment, where, section):
    """The element that a line declares; None for a line that declares none."""
    block, rpc, field, value = (r.match(line) for r in (BLOCK, RPC, FIELD, VALUE))
    if block:
        return Element(block.group(1), block.group(2), parent, comment, where, section)
    if rpc:
        element = Element("rpc", rpc.group(1), parent, comment, where, section)
        element.input, element.output = rpc.group(2), rpc.group(3)
        return element
    if value and parent.kind == "enum":
        element = Element("value", value.group(1), parent, comment, where, section)
        element.number = int(value.group(2))
        return element
    if field:
        element = Element("field", field.group(3), parent, comment, where, section)
        element.repeated, element.type = bool(field.group(1)), field.group(2)
        element.number = int(field.group(4))
        return element
    return None


def parse(path):
    """The File of a .proto file."""
    file = current = File(path)
    comment, section = [], ""
    for number, raw in enumerate(open(path, encoding="utf-8"), 1):
        line, where = raw.strip(), f"{path}:{number}"
        if line.startswith("//"):
            title = SECTION.match(line[2:].strip())
            section = title.group(1) if title else section
            comment.append(line[2:].strip())
            continue
        element = declared(line, current, comment, where, section)
        if element:
            current.children.append(element)
            if BLOCK.match(line) and not line.endswith("}"):
                current = element
        elif line == "}":
            current = current.parent
        elif line and not IGNORED.match(line):
            raise SystemExit(f"{where}: not understood by {__file__}: {line}")
        if line.startswith("package "):
            file.scope = line[len("package "):-1]
        if line.startswith("syntax "):
            file.comment = comment
        comment = []
    return file


def elements(parent):
    """All elements of a File or Element, in order."""
    for child in parent.children:
        yield child
        yield from elements(child)


def comments(files):
    """Full name -> comment in one line, of all elements that have one."""
    return {e.full_name: " ".join(e.comment) for file in files for e in elements(file) if e.comment}


def resolved(name, docs):
    """The comment of `name`; what it borrows from another ("As in Domain.") in place of the loan."""
    text = docs[name]
    match = re.match(r"As (?:in )?(\w+)(?:\.(\w+))?\.(?= |$)", text)
    if not match:
        return text
    package, _, member = name.rsplit(".", 2)
    source = ".".join([package, match.group(1), match.group(2) or member])
    return (resolved(source, docs) if source in docs else match.group(0)) + text[match.end():]
