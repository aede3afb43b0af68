#!/usr/bin/env python3
"""Turn the package lists of a Debian archive into two LIBSVM sets: which section is a package in?

    debian_packages.py [--input FILE] [--output FOLDER]

Reads what `apt-cache -o Dir::State::status=/dev/null dumpavail` prints (runs it, unless --input names a file with its
output; the option hides what is installed on the machine at hand) and writes into FOLDER, by default the one this
script is in (needs the `zstd` command):

    debian-libraries.train.svm.zst  .test.svm.zst    +1: section libs, libdevel or oldlibs; -1: any other
    debian-sections.train.svm.zst   .test.svm.zst    1..K: the section
    debian-sections.classes.txt                      line k: the name of class k
    debian-features.txt.zst                          line k: the name of feature k, for all four files

Rows. One a package, in the order of package names (by code point). Only packages of an archive are read (a stanza with
a Filename under pool/ and a Section); where a name occurs twice the later stanza counts. Area prefixes (`contrib/`) are
cut off the section. A package is a test row if sha256(name) is 0 modulo 5, else a training row. Rows with no feature
left are kept out of every file; rows of sections with fewer than 50 training rows are kept out of debian-sections.

Features. Neither the package's section nor its own name is used.
    word:WORD  runs of two or more letters and digits in the lower-cased short description, counted
    dep:NAME   1 for each package in Depends and Pre-Depends, alternatives included, without versions and architectures
    tag:NAME   1 for each debtags Tag; a::{b,c} counts as a::b and a::c
A feature is kept if at least two training rows have it. Features are numbered from 1 in the order of their names (by
code point), so dep: comes before tag: and tag: before word:.

Values. count * idf, idf = ln((1 + n) / (1 + df)) + 1 over the n training rows of debian-libraries, each row then scaled
to Euclidean length 1, printed with 4 significant digits. debian-sections has the same features, values and split.

The same input gives the same text, byte for byte, and with the same version of zstd the same compressed files.
"""
import argparse
import hashlib
import itertools
import math
import pathlib
import re
import shutil
import subprocess
import sys
from collections import Counter

DUMP = ["apt-cache", "-o", "Dir::State::status=/dev/null", "dumpavail"]
LIBRARY_SECTIONS = {"libs", "libdevel", "oldlibs"}
FEWEST_ROWS_OF_A_FEATURE = 2
FEWEST_ROWS_OF_A_SECTION = 50
TEST_SHARE = 5  # one row in so many
SIGNIFICANT_DIGITS = 4

WORD = re.compile(r"[^\W_]{2,}")
DEPENDENCY = re.compile(r"[,|]?\s*([^\s,|(:\[<]+)[^,|]*")
TAG = re.compile(r"([^\s,{}]+?)(?:\{([^}]*)\})?\s*(?:,|$)")


class Package:
    """What is kept of a stanza: name, section and the counts of its features."""

    def __init__(self, fields):
        self.name = fields["Package"]
        self.section = fields["Section"].rpartition("/")[2]
        self.is_test = int(hashlib.sha256(self.name.encode()).hexdigest(), 16) % TEST_SHARE == 0
        self.counts = Counter("word:" + word for word in words(fields.get("Description", "")))
        depends = ", ".join(filter(None, (fields.get("Pre-Depends"), fields.get("Depends"))))
        self.counts.update({"dep:" + name for name in dependencies(depends)})
        self.counts.update({"tag:" + name for name in tags(fields.get("Tag", ""))})


def words(description):
    """The words of the first line: 'Parser for C++ (v2)' -> parser, for, v2."""
    return WORD.findall(description.partition("\n")[0].lower())


def dependencies(relation):
    """'libc6 (>= 2.34), python3:any | python' -> libc6, python3, python."""
    return DEPENDENCY.findall(relation)


def tags(text):
    """'role::program, use::{editing,viewing}' -> role::program, use::editing, use::viewing."""
    for stem, choices in TAG.findall(text):
        for choice in choices.split(","):
            yield stem + choice.strip()


def stanzas(lines):
    """Each stanza as a dict; the lines of a folded field are joined by newlines."""
    fields, key = {}, None
    for line in itertools.chain(lines, [""]):
        line = line.rstrip("\r\n")
        if not line:
            if fields:
                yield fields
            fields, key = {}, None
        elif line[0] in " \t":
            fields[key] += "\n" + line.strip()
        else:
            key, _, value = line.partition(":")
            fields[key] = value.strip()


def read_packages(lines):
    """The archive's packages in the order of their names."""
    packages = {}
    for fields in stanzas(lines):
        if fields.get("Filename", "").startswith("pool/") and fields.get("Section"):
            packages[fields["Package"]] = Package(fields)
    return [packages[name] for name in sorted(packages)]


def learn_features(packages):
    """The names of the kept features in order, the kept rows, and idf by name.

    Dropping a row that has no feature left changes n but no df, so that the kept features stay the same.
    """
    frequency = Counter(name for package in packages if not package.is_test for name in package.counts)
    kept = {name: df for name, df in frequency.items() if df >= FEWEST_ROWS_OF_A_FEATURE}
    rows = [package for package in packages if not kept.keys().isdisjoint(package.counts)]
    n = sum(not package.is_test for package in rows)
    return sorted(kept), rows, {name: math.log((1 + n) / (1 + df)) + 1 for name, df in kept.items()}


def svm_row(package, numbers, idf):
    """'index:value ...', sorted by index, of length 1."""
    values = sorted((numbers[name], count * idf[name]) for name, count in package.counts.items() if name in numbers)
    length = math.sqrt(math.fsum(value * value for _, value in values))
    return " ".join(f"{index}:{value / length:.{SIGNIFICANT_DIGITS}g}" for index, value in values)


def write(path, lines):
    """Write the lines, compressed if the path ends in .zst."""
    text = "".join(line + "\n" for line in lines).encode()
    if path.suffix == ".zst":
        text = subprocess.run(["zstd", "-19", "-T1", "--check", "-qc"], input=text, stdout=subprocess.PIPE, check=True).stdout
    path.write_bytes(text)
    print(f"{path.name:34}{len(text):>12,} bytes")


def write_pair(folder, name, rows, target, numbers, idf):
    """Write NAME.train.svm.zst and NAME.test.svm.zst and say their shapes."""
    for part, is_test in (("train", False), ("test", True)):
        lines = [f"{target(row)} {svm_row(row, numbers, idf)}" for row in rows if row.is_test == is_test]
        write(folder / f"{name}.{part}.svm.zst", lines)
        print(f"    {len(lines):,} rows, {sum(line.count(':') for line in lines):,} non-zeros")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=pathlib.Path, metavar="FILE", help=f"the output of {' '.join(DUMP)}")
    parser.add_argument("--output", type=pathlib.Path, metavar="FOLDER", default=pathlib.Path(__file__).resolve().parent)
    options = parser.parse_args()
    for command in ["zstd"] + ([] if options.input else ["apt-cache"]):
        if not shutil.which(command):
            sys.exit(f"the command {command} is wanted and not installed")
    if options.input:
        text = options.input.read_bytes()
    else:
        text = subprocess.run(DUMP, stdout=subprocess.PIPE, check=True).stdout
    packages = read_packages(text.decode().split("\n"))
    names, rows, idf = learn_features(packages)
    if not rows:
        sys.exit("the input has no package of an archive; wanted the output of apt-cache dumpavail (apt-get update fills it)")
    numbers = {name: number for number, name in enumerate(names, 1)}
    print(f"{len(packages):,} packages, {len(packages) - len(rows):,} of them without a feature; {len(names):,} features")

    write(options.output / "debian-features.txt.zst", names)
    write_pair(options.output, "debian-libraries", rows, lambda row: "+1" if row.section in LIBRARY_SECTIONS else "-1", numbers, idf)

    sizes = Counter(row.section for row in rows if not row.is_test)
    sections = sorted(section for section, size in sizes.items() if size >= FEWEST_ROWS_OF_A_SECTION)
    write(options.output / "debian-sections.classes.txt", sections)
    classes = {section: number for number, section in enumerate(sections, 1)}
    write_pair(options.output, "debian-sections", [row for row in rows if row.section in classes],
               lambda row: classes[row.section], numbers, idf)


if __name__ == "__main__":
    main()
