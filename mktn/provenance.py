"""Which code a result came from."""

import hashlib
from pathlib import Path

PACKAGE = Path(__file__).parent


def code_sha256(*names: str) -> str:
    """Hash (16 hexadecimal digits) of the given files and folders of the package.

    Names are relative to the package, as "features/text.py" or "datasets". Snakemake does not
    see that an imported package changed; a rule whose `params` hold this is run again.
    Raises FileNotFoundError when a name is neither a file nor a folder.
    """
    digest = hashlib.sha256()
    for name in sorted(names):
        path = PACKAGE / name
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        for file in files:
            digest.update(file.relative_to(PACKAGE).as_posix().encode() + b"\0")
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
