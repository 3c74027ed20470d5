#!/usr/bin/env python3
"""Makes docs/operations.md from the comments of the .proto files.

usage: docs/make-operations.py            writes it
       docs/make-operations.py --check    compares; exit code 1 if it is not what would be written
"""
import difflib
import os
import re
import sys

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "proto"))
import contract

TARGET = os.path.join(ROOT, "docs", "operations.md")
ADMIN, MODEL, RPC, HEALTH = (
    os.path.join(ROOT, "proto", name)
    for name in ("mxadm/v1/admin.proto", "mxadm/v1/model.proto", "mxadm/v1/rpc.proto",
                 "grpc/health/v1/health.proto")
)
# Of sections, so that they differ from the records'.
TITLES = {"Domain": "Domains", "Account": "Accounts", "Address": "Addresses", "Alias": "Aliases",
          "TLS public key": "TLS public keys", "Config": "Configuration",
          "All": "Batches, changes, server"}
# Statuses and reasons, for whom a word of capitals would be lost in prose.
CODE = re.compile(contract.REASON.pattern + r"|\b(?:UNAUTHENTICATED|UNAVAILABLE|INTERNAL|ABORTED|"
                  r"UNIMPLEMENTED|CANCELLED)\b")


class Page:
    """The text so far, and what it is made from."""

    def __init__(self, files):
        self.lines = []
        self.docs = contract.comments(files)
        self.elements = {e.full_name: e for file in files for e in contract.elements(file)}

    def add(self, *lines):
        self.lines.extend(lines)

    def find(self, name, scope):
        """The element that a name within `scope` means, as protobuf looks for it; or None."""
        while True:
            found = self.elements.get(f"{scope}.{name}" if scope else name)
            if found or not scope:
                return found
            scope = scope.rpartition(".")[0]

    def doc(self, element):
        return contract.resolved(element.full_name, self.docs)


def anchor(text):
    """As GitHub makes it from a heading."""
    return re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-")


def prose(text):
    """A comment as Markdown: what is meant for a reader of text stays as it reads."""
    parts = re.split(r"(`[^`]*`)", text)
    for i in range(0, len(parts), 2):
        parts[i] = re.sub(r"([*<>|\\])", r"\\\1", parts[i])
        parts[i] = re.sub(r"(?<![\w/])_|_(?![\w/])", r"\\_", parts[i])
        parts[i] = CODE.sub(r"`\g<0>`", parts[i])
    return "".join(parts).replace(
        "the top of this file", "[how to read this](#how-to-read-this)")


def cell(text):
    return prose(text).replace("\n", " ")


def paragraphs(lines):
    """The comment at the top of a file: paragraphs and lists."""
    text = []
    for line in lines:
        if not line:
            text.append("")
        elif line.startswith("- ") or not text or not text[-1]:
            if line.startswith("- ") and text and text[-1] and not text[-1].startswith("- "):
                text.append("")
            text.append(line)
        else:
            text[-1] += " " + line
    return [prose(line) for line in text]


def heading_of(element):
    """A message or enum within a message is named with it."""
    return element.full_name.split(".v1.", 1)[1]


def type_of(page, field):
    found = page.find(field.type, field.parent.full_name)
    name = field.type
    if found and found.kind in ("message", "enum"):
        name = f"[{field.type}](#{anchor(heading_of(found))})"
    return ("list of " if field.repeated else "") + name


def fields(message):
    """With those of its oneofs, which carry its name."""
    for child in message.children:
        if child.kind == "field":
            yield child, None
        elif child.kind == "oneof":
            for member in child.children:
                yield member, child


def add_fields(page, message):
    rows = list(fields(message))
    if not rows:
        page.add("No fields.", "")
        return
    page.add("| field | number | type | meaning |", "|---|---|---|---|")
    for field, oneof in rows:
        text = ("One of `%s`. " % oneof.name if oneof else "") + cell(page.doc(field))
        page.add(f"| `{field.name}` | {field.number} | {type_of(page, field)} | {text} |")
    page.add("")
    for oneof in (child for child in message.children if child.kind == "oneof"):
        page.add(f"`{oneof.name}`, at most one of those above: {cell(page.doc(oneof))}", "")


def add_enum(page, enum, level):
    page.add(f"{'#' * level} {heading_of(enum)}", "", cell(page.doc(enum)), "",
             "| value | number | meaning |", "|---|---|---|")
    for value in enum.children:
        page.add(f"| `{value.name}` | {value.number} | {cell(page.doc(value))} |")
    page.add("")


def add_message(page, message, level):
    if message.kind == "enum":
        add_enum(page, message, level)
        return
    page.add(f"{'#' * level} {heading_of(message)}", "", *paragraphs(message.comment), "")
    add_fields(page, message)
    for child in message.children:
        if child.kind in ("enum", "message"):
            add_message(page, child, level)


def parts_of(operation):
    """What it does, and "Role: ..." and "Errors: ..." of its comment."""
    parts = [""]
    for line in operation.comment:
        if re.match(r"(Role|Errors): ", line) and parts[-1]:
            parts.append("")
        parts[-1] = (parts[-1] + " " + line).strip()
    return parts[0], parts[1:]


def add_operation(page, operation):
    what, rest = parts_of(operation)
    page.add(f"### {operation.name}", "", prose(what), "")
    for part in rest:
        label, _, text = part.partition(": ")
        page.add(f"- **{label}**: {prose(text)}")
    page.add("")
    for title, name in (("Request", operation.input), ("Answer", operation.output)):
        message = page.find(name, operation.parent.scope)
        page.add(f"**{title}** (`{name}`)", "")
        add_fields(page, message)
        for child in message.children:
            if child.kind in ("enum", "message"):
                add_message(page, child, 4)


def sections(elements):
    """[(title, elements)] in order."""
    found = []
    for element in elements:
        if not found or found[-1][0] != element.section:
            found.append((element.section, []))
        found[-1][1].append(element)
    return found


def first_sentence(text):
    match = re.match(r"(.*?[.:;])(?= |$)", text)
    return (match.group(1) if match else text).rstrip(".:;")


def title_of(section):
    return TITLES.get(section, section)


def add_contents(page, groups):
    page.add("## Contents", "")
    for section, operations in groups:
        page.add(f"- [{title_of(section)}](#{anchor(title_of(section))})")
        for operation in operations:
            what = prose(first_sentence(parts_of(operation)[0]))
            page.add(f"  - [{operation.name}](#{anchor(operation.name)}): {what}.")
    page.add("- [Health](#health)", "- [Records](#records)",
             "- [The envelope of every call](#the-envelope-of-every-call)", "")


def add_operations(page, admin):
    service = next(e for e in admin.children if e.kind == "service")
    messages = [e for e in admin.children if e.kind in ("message", "enum")]
    spoken = {name for rpc in service.children for name in (rpc.input, rpc.output)}
    groups = sections(service.children)
    add_contents(page, groups)
    page.add("## How to read this", "", *paragraphs(admin.comment), "")
    for section, operations in groups:
        page.add(f"## {title_of(section)}", "")
        for operation in operations:
            add_operation(page, operation)
        for message in messages:
            if message.section == section and message.name not in spoken:
                add_message(page, message, 3)
    shown = {section for section, _ in groups}
    lost = [m.name for m in messages if m.section not in shown and m.name not in spoken]
    if lost:
        raise SystemExit(f"no section of service Admin for {', '.join(lost)}")


def add_file(page, title, file, level):
    page.add(f"## {title}", "", *paragraphs(file.comment), "")
    for element in file.children:
        if element.kind in ("message", "enum"):
            add_message(page, element, level)


def add_health(page, health):
    page.add("## Health", "", *paragraphs(health.comment), "")
    for element in health.children:
        if element.kind == "service":
            for operation in element.children:
                add_operation(page, operation)


def check_links(text):
    """A link that leads nowhere, or to the wrong one of two headings, ends it."""
    headings = [anchor(line.lstrip("#").strip()) for line in text.splitlines() if line[:1] == "#"]
    twice = {name for name in headings if headings.count(name) > 1}
    lost = set(re.findall(r"\]\(#([^)]+)\)", text)) - set(headings)
    if twice or lost:
        raise SystemExit(f"headings that are there twice: {sorted(twice)}, missing: {sorted(lost)}")


def made():
    admin, model, rpc, health = (contract.parse(path) for path in (ADMIN, MODEL, RPC, HEALTH))
    page = Page([admin, model, rpc, health])
    page.add("# Operations of mxadmd", "",
             "<!-- Made by docs/make-operations.py from the comments in proto/: change those, then"
             " run it. -->", "",
             "Every operation, with all that it is asked and answers; then the records, and the"
             " envelope that surrounds every call. The same text, operation by operation, is what"
             " `--help` of each command of `mxadm` prints. It is made from the comments of the .proto files, which are"
             " the contract.", "")
    add_operations(page, admin)
    add_health(page, health)
    add_file(page, "Records", model, 3)
    add_file(page, "The envelope of every call", rpc, 3)
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(page.lines).rstrip() + "\n")
    check_links(text)
    return text


def check(text):
    try:
        there = open(TARGET, encoding="utf-8").read()
    except FileNotFoundError:
        there = ""
    if there == text:
        print("docs/operations.md is what the .proto files say")
        return 0
    sys.stdout.writelines(difflib.unified_diff(
        there.splitlines(True), text.splitlines(True), "docs/operations.md", "made anew", n=0))
    print("\ndocs/operations.md is not what the .proto files say; to make it anew: docs/make-operations.py")
    return 1


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        print(__doc__.split("\n\n", 1)[1], file=sys.stderr, end="")
        return 2
    text = made()
    if sys.argv[1:]:
        return check(text)
    with open(TARGET, "w", encoding="utf-8") as file:
        file.write(text)
    return 0


sys.exit(main())
