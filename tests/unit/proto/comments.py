#!/usr/bin/env python3
"""Names every message, enum, value, field and operation of the contract that has no comment above it.

usage: comments.py FILE...      exit code 1 if there is one
"""
import re
import sys

ELEMENT = re.compile(
    r"(message|enum|service|oneof|rpc)\b|(repeated )?[\w.]+ \w+ = \d+;|[A-Z][A-Z_0-9]* = \d+;"
)


def uncommented(path):
    above = ""
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        text = line.strip()
        if ELEMENT.match(text) and not above.startswith("//"):
            yield f"{path}:{number}: no comment: {text}"
        above = text


found = [line for path in sys.argv[1:] for line in uncommented(path)]
print("\n".join(found) if found else f"{len(sys.argv) - 1} files: everything has a comment")
sys.exit(1 if found or len(sys.argv) < 2 else 0)
