"""Random skip-thought encoders in the files of the published ones."""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

WORDS = ["<eos>", "UNK", "person", "opens", "door", "ü"]


def published_model(
    folder: Path,
    width: int,
    uni: int,
    bi: int,
    words: Sequence[str] = WORDS,
    as_published: bool = False,
) -> Path:
    """Random encoders in the published layout, their tables pickled if `as_published`."""
    rng = np.random.default_rng(0)
    np.savez(folder / "uni_skip.npz", **gru_arrays(rng, "encoder", width, uni), Wemb=np.zeros(3))
    both = gru_arrays(rng, "encoder", width, bi) | gru_arrays(rng, "encoder_r", width, bi)
    np.savez(folder / "bi_skip.npz", **both)
    for name in ("utable", "btable"):
        table = rng.standard_normal((len(words), width)).astype("f4")
        (pickled if as_published else np.save)(folder / f"{name}.npy", table)
    (folder / "dictionary.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    return folder


def gru_arrays(rng: np.random.Generator, prefix: str, width: int, n: int) -> dict[str, np.ndarray]:
    shapes = {"W": (width, 2 * n), "b": (2 * n,), "U": (n, 2 * n),
              "Wx": (width, n), "bx": (n,), "Ux": (n, n)}  # fmt: skip
    scale = 1.0 if n < 100 else 0.05  # states neither vanish nor saturate
    return {
        f"{prefix}_{key}": (scale * rng.standard_normal(shape, dtype="f4"))
        for key, shape in shapes.items()
    }


def pickled(path: Path, table: np.ndarray) -> None:
    """Write a table as NumPy under Python 2 did when it was given a list of separate arrays.

    The opcodes are those of cPickle, protocol 2: a list filled a thousand rows at a time, each
    row an empty array and then its state, with the shape (E,) or (1, E) and a byte string.
    """
    count, width = table.shape
    nothing = b"J\xff\xff\xff\xff" * 2
    number = b"K" + bytes([width]) if width < 256 else b"M" + struct.pack("<H", width)
    shapes = (number + b"\x85", b"K\x01" + number + b"\x86")
    float32 = b"h\x04U\x02f4K\x00K\x01\x87Rq\x07(K\x03U\x01<NNN" + nothing + b"K\x00tb"
    with path.open("wb") as stream:
        header = {"descr": "|O", "fortran_order": False, "shape": (count,)}
        np.lib.format.write_array_header_1_0(stream, header)
        stream.write(b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02")
        stream.write(b"K\x00\x85U\x01b\x87Rq\x03(K\x01J" + struct.pack("<i", count))
        stream.write(b"\x85cnumpy\ndtype\nq\x04U\x02O8K\x00K\x01\x87Rq\x05(K\x03U\x01|NNN")
        stream.write(nothing + b"K?tb\x89]q\x06")
        for row, values in enumerate(table):
            stream.write(b"(" if row % 1000 == 0 else b"")
            stream.write(b"h\x01h\x02K\x00\x85U\x01b\x87Rr" + struct.pack("<i", 1000 + row))
            stream.write(b"(K\x01" + shapes[row % 2] + (b"h\x07" if row else float32))
            stream.write(b"\x89T" + struct.pack("<i", 4 * width))
            stream.write(values.astype("<f4").tobytes() + b"tb")
            stream.write(b"e" if row % 1000 == 999 or row == count - 1 else b"")
        stream.write(b"tb.")
