"""The proof that the core computes and does nothing else: reads the object files of its archives.

usage: check_purity.py ALLOWED ARCHIVE...

Two rules. What an object needs from outside the core must be on the list of allowed symbols, so that no socket, clock,
thread, environment variable, file or logger can slip in unnamed. And no object has writable static data: state lives in
engines, or a process could not hold thousands of them.
"""
import re
import subprocess
import sys


def read_allowed(path):
    """Lines of demangled names; a * at the end stands for any rest; # begins a comment."""
    exact, prefixes = set(), []
    for line in open(path):
        name = line.split("#")[0].strip()
        if name.endswith("*"):
            prefixes.append(name[:-1])
        elif name:
            exact.add(name)
    return exact, tuple(prefixes)


def symbols(archive):
    """(object file, section, name) of each symbol, as `objdump --syms` prints them."""
    text = subprocess.run(
        ["objdump", "--syms", "--demangle", archive], check=True, capture_output=True, text=True
    ).stdout
    member = "?"
    for line in text.splitlines():
        if ":     file format " in line:
            member = line.split(":")[0]
        elif "\t" in line:
            # <value> <flags> <section> TAB <size> [.hidden|.internal] <name>
            left, right = line.split("\t", 1)
            name = right.split(" ", 1)[1].strip() if " " in right else right
            for visibility in (".hidden ", ".internal ", ".protected "):
                name = name.removeprefix(visibility)
            # fmt's version is part of its namespace; the list does without.
            yield member, left.split()[-1], re.sub(r"\bfmt::v\d+::", "fmt::", name)


def is_writable(section):
    # .data.rel.ro becomes read-only once the loader has filled in its addresses: vtables and constant tables of pointers.
    if section.startswith(".data.rel.ro"):
        return False
    return section.startswith((".data", ".bss", ".tdata", ".tbss", "*COM*"))


def main():
    exact, prefixes = read_allowed(sys.argv[1])
    needed, defined, complaints = [], set(), []
    for archive in sys.argv[2:]:
        for member, section, name in symbols(archive):
            if section == "*UND*":
                needed.append((member, name))
                continue
            defined.add(name)
            # The section's own symbol is no object; DW.ref.* are the compiler's pointers to exception handlers; a guard
            # comes with the variable it guards, which is reported.
            if is_writable(section) and not name.startswith((".", "DW.ref.", "guard variable for ")):
                complaints.append(f"{member}: writable static data: {name} ({section})")

    for member, name in needed:
        if name not in defined and name not in exact and not name.startswith(prefixes):
            complaints.append(f"{member}: needs {name}")

    if not needed:
        complaints.append("no symbols read: wrong archives?")
    if complaints:
        print("The core may not do this (cmake/purity_allowed.txt says what it may):")
        print("\n".join(f"  {line}" for line in sorted(set(complaints))))
        return 1
    print(f"{len(sys.argv) - 2} archives are pure")
    return 0


if __name__ == "__main__":
    sys.exit(main())
