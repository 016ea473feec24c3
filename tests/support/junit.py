# SPDX-License-Identifier: Apache-2.0
"""Prints what a JUnit report counts: passed, failed, left out."""
import sys
import xml.etree.ElementTree


def counts(path):
    cases = list(xml.etree.ElementTree.parse(path).getroot().iter("testcase"))
    failed = sum(1 for case in cases if case.find("failure") is not None or case.find("error") is not None)
    left_out = sum(1 for case in cases if case.find("skipped") is not None)
    return len(cases) - failed - left_out, failed, left_out


if __name__ == "__main__":
    print(*counts(sys.argv[1]))
