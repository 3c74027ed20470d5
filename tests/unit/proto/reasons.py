#!/usr/bin/env python3
"""Names every reason that the daemon can give (ErrorInfo.reason) and that no comment of the contract has.

usage: reasons.py DIRECTORY-OF-SOURCES FILE.proto...      exit code 1 if there is one

A reason is an UPPER_SNAKE text in a .c file, within a call that fails a status or in an assignment
to a variable of that name.
"""
import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../proto"))
import contract

TEXT = re.compile(r'"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)"')
CALL = re.compile(r"\b(?:status_(?:fail|blocker|resource|retry)|\w*refuse\w*)\s*\(([^;]*);|reason(?:\[\])? = ([^;]*);")


def reasons(directory):
    """Reason -> where it is first given."""
    found = {}
    for folder, _, names in sorted(os.walk(directory)):
        for name in sorted(n for n in names if n.endswith((".c", ".cc"))):
            path = os.path.join(folder, name)
            text = open(path, encoding="utf-8").read()
            for call in CALL.finditer(text):
                for reason in TEXT.findall(call.group(0)):
                    line = text.count("\n", 0, call.start()) + 1
                    found.setdefault(reason, f"{path}:{line}")
    return found


def main():
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    docs = contract.comments([contract.parse(path) for path in sys.argv[2:]])
    documented = set(contract.REASON.findall(" ".join(docs.values())))
    given = reasons(sys.argv[1])
    missing = sorted(set(given) - documented)
    for reason in missing:
        print(f"{given[reason]}: no comment in proto/ has the reason {reason}")
    if not missing:
        print(f"{len(given)} reasons: each is documented")
    return 1 if missing or not given else 0


sys.exit(main())
