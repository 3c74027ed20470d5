#!/usr/bin/env python3
"""Holds the tests against the rules of mox-behaviour.md, by the list in rules.txt.

usage: tests/rules.py [--list]

Names, and ends with 1 for: a rule that nothing proves; a proof elsewhere that is not there; a test
that cites a rule that does not exist, or one that is said not to apply; a rule of the document
(../shared/mox-behaviour.md beside the repository, where it is at hand) that the list lacks.
--list prints every rule with what proves it.
"""
import os
import re
import sys

TESTS = os.path.dirname(os.path.abspath(__file__))
DOCUMENTS = [os.path.join(TESTS, up, "shared", "mox-behaviour.md") for up in ("../..", "../../..")]
SOURCE = (".c", ".cc", ".h", ".py", ".sh")
CASE = re.compile(r"\brule_(?:(\d+)_(\d+)_(\d+)|(8)_(\d\d)|b(\d+))_\w+")
ROW = re.compile(r'"(?:(\d\.\d+-\d\d)|(8-\d\d)|(B\d+))\b')


class Rule:
    def __init__(self, number, title, disposition, line):
        self.number = number
        self.title = title
        self.disposition = disposition
        self.line = line
        self.cases = []


def read_rules():
    rules = {}
    for line, text in enumerate(open(os.path.join(TESTS, "rules.txt"), encoding="utf-8"), 1):
        text = text.strip()
        if not text or text.startswith("#"):
            continue
        parts = [part.strip() for part in text.split("|")]
        if len(parts) != 3 or not parts[1] or parts[0] in rules:
            raise SystemExit(f"rules.txt:{line}: not 'RULE | title | disposition', or twice: {text}")
        rules[parts[0]] = Rule(*parts, line)
    return rules


def sources():
    """Name of a test file -> its text."""
    found = {}
    for folder, _, names in os.walk(TESTS):
        for name in names:
            if name.endswith(SOURCE) and name != "rules.py":
                path = os.path.join(folder, name)
                found.setdefault(name, "")
                found[name] += open(path, encoding="utf-8", errors="replace").read()
    return found


def cited(text):
    """Yields (rule, by what) for each citation."""
    for match in CASE.finditer(text):
        one, two, three, eight, of_eight, bug = match.groups()
        if bug:
            yield f"B{int(bug)}", match.group(0)
        elif eight and not one:
            yield f"8-{of_eight}", match.group(0)
        else:
            yield f"{int(one)}.{int(two)}-{int(three):02}", match.group(0)
    for match in ROW.finditer(text):
        yield match.group(1) or match.group(2) or match.group(3), "a row"


def proof_missing(proof, texts):
    name, _, function = proof.strip().partition(":")
    if name not in texts:
        return f"no file {name}"
    if not function or not re.search(r"\b%s" % re.escape(function), texts[name]):
        return f"no {function} in {name}"
    return None


def problems_of(rule, texts):
    kind, _, rest = rule.disposition.partition(":")
    if kind == "not ours":
        if not rest.strip():
            yield "no reason is given"
        if rule.cases:
            yield f"is said not to apply, and {rule.cases[0]} proves it"
    elif kind == "elsewhere":
        for proof in rest.split(","):
            missing = proof_missing(proof, texts)
            if missing and not rule.cases:
                yield missing
    elif rule.disposition:
        yield f"unknown disposition: {rule.disposition}"
    elif not rule.cases:
        yield "no test case carries it"


def document_rules(path):
    text = open(path, encoding="utf-8").read()
    numbers = re.findall(r"\*\*(\d+\.\d+-\d+|8-\d+)(?:[ .][^*]*)?\*\*", text)
    bugs = re.findall(r"^\| (B\d+)\b", text, re.M)
    return [n for n in numbers if 1 <= int(re.match(r"\d+", n).group(0)) <= 8] + bugs


def check_document(rules):
    for path in DOCUMENTS:
        if os.path.exists(path):
            there = document_rules(path)
            for number in there:
                if number not in rules:
                    yield f"{number}: is in mox-behaviour.md and not in rules.txt"
            for number in sorted(set(rules) - set(there)):
                yield f"{number}: is in rules.txt and not in mox-behaviour.md"
            return


def main():
    if sys.argv[1:] not in ([], ["--list"]):
        print(__doc__, file=sys.stderr)
        return 2
    rules, texts, problems = read_rules(), sources(), []
    for name in sorted(texts):
        for number, by in cited(texts[name]):
            if number in rules:
                rules[number].cases.append(f"{name}:{by}")
            else:
                problems.append(f"{name}: {by} cites {number}, which is no rule")
    for rule in rules.values():
        problems += [f"{rule.number} ({rule.title}): {p}" for p in problems_of(rule, texts)]
        if sys.argv[1:]:
            print(f"{rule.number}: {rule.title}: {', '.join(sorted(set(rule.cases))) or rule.disposition}")
    problems += check_document(rules)
    print("\n".join(problems) if problems else summary(rules))
    return 1 if problems else 0


def summary(rules):
    of = [r.disposition.partition(":")[0] for r in rules.values() if not r.cases]
    return (f"{len(rules)} rules: {len(rules) - len(of)} have a case, {of.count('elsewhere')} are"
            f" proven elsewhere, {of.count('not ours')} do not apply")


sys.exit(main())
