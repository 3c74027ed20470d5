#!/usr/bin/env python3
"""Names every message, enum, value, field and operation of the contract that has no comment above it.

usage: comments.py FILE...      exit code 1 if there is one
"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../proto"))
import contract

found = [
    f"{element.where}: no comment: {element.kind} {element.full_name}"
    for path in sys.argv[1:]
    for element in contract.elements(contract.parse(path))
    if not element.comment
]
print("\n".join(found) if found else f"{len(sys.argv) - 1} files: everything has a comment")
sys.exit(1 if found or len(sys.argv) < 2 else 0)
