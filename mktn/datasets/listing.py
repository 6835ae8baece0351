"""`mktn download --list`: the registry for reading, as a table or one row in full."""

import dataclasses
from collections.abc import Sequence

from mktn.datasets.registry import SourceFile, megabytes

HEAD = ("name", "dataset", "role", "size", "sha256", "status", "licence", "address or page")


def listing(files: Sequence[SourceFile]) -> str:
    """A table of the files: what, how large, whether checked, how to get it and where."""
    rows = [HEAD]
    for file in files:
        how = f"{file.status}, by hand" if file.form else file.status
        known = "known" if file.sha256 else "first use"
        size = "?" if file.bytes is None else megabytes(file.bytes)
        what = (file.name, file.dataset, file.role, size, known, how, file.licence)
        rows.append((*what, _where(file)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def described(file: SourceFile) -> str:
    """All fields of one row as the registry has them, one a line."""
    fields = dataclasses.asdict(file) | {
        "mirrors": " ".join(file.mirrors),
        "bytes": "" if file.bytes is None else file.bytes,
        "form": "yes" if file.form else "no",
    }
    width = max(map(len, fields))
    return "\n".join(f"{name:{width}}  {value}".rstrip() for name, value in fields.items())


def _where(file: SourceFile) -> str:
    """The address, or the page for a person to read."""
    return file.addresses[0] if file.addresses else file.url or file.terms or file.source
