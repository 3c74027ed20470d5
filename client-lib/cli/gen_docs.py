#!/usr/bin/env python3
"""Writes the comments of .proto files as a C table: what --help prints.

usage: gen_docs.py FILE.proto... > docs.c
"""
import re
import sys


def comments(path):
    """Yields (full name, comment) of each message, field, enum, value, service and operation."""
    package, stack, comment = "", [], []
    for line in open(path, encoding="utf-8"):
        line = line.strip()
        if line.startswith("//"):
            comment.append(line[2:].strip())
            continue
        match = re.match(r"package ([\w.]+);", line)
        if match:
            package = match.group(1)
        name = None
        block = re.match(r"(message|enum|service|oneof) (\w+) \{(\})?", line)
        rpc = re.match(r"rpc (\w+)\(", line)
        member = re.match(r"(?:(?:repeated )?[\w.]+ )?(\w+) = -?\d+;", line)
        scope = ".".join([package] + [s for s in stack if s])
        if rpc:
            name = scope + "/" + rpc.group(1)
        elif block or member:
            name = scope + "." + (block.group(2) if block else member.group(1))
        if name and comment:
            yield name, " ".join(comment)
        if block and not block.group(3):
            # A oneof is no scope of names.
            stack.append("" if block.group(1) == "oneof" else block.group(2))
        elif line == "}":
            stack.pop()
        comment = []


def resolved(name, docs):
    """The comment of `name`; what it borrows from another ("As in Domain.") in place of the loan."""
    text = docs[name]
    match = re.match(r"As (?:in )?(\w+)(?:\.(\w+))?\.(?= |$)", text)
    if not match:
        return text
    package, _, member = name.rsplit(".", 2)
    source = ".".join([package, match.group(1), match.group(2) or member])
    return (resolved(source, docs) if source in docs else match.group(0)) + text[match.end():]


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def main():
    docs = dict(pair for path in sys.argv[1:] for pair in comments(path))
    print('/* Made by gen_docs.py from the .proto files. */\n#include "docs.h"\n')
    print("const struct doc docs[] = {")
    for name in sorted(docs):
        print("    { %s, %s }," % (quoted(name), quoted(resolved(name, docs))))
    print("};\n\nconst size_t docs_count = sizeof(docs) / sizeof(docs[0]);")


main()
