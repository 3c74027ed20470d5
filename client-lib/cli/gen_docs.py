#!/usr/bin/env python3
"""Writes the comments of .proto files as a C table: what --help prints.

usage: gen_docs.py FILE.proto... > docs.c
"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../proto"))
import contract


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def main():
    docs = contract.comments([contract.parse(path) for path in sys.argv[1:]])
    print('/* Made by gen_docs.py from the .proto files. */\n#include "docs.h"\n')
    print("const struct doc docs[] = {")
    for name in sorted(docs):
        print("    { %s, %s }," % (quoted(name), quoted(contract.resolved(name, docs))))
    print("};\n\nconst size_t docs_count = sizeof(docs) / sizeof(docs[0]);")


main()
