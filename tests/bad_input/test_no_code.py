"""Files of others never run: no way to load code in the package, and pickles that try.

The pickle of `spoil.Malicious` makes a file when it is loaded by anything that unpickles.
"""

import ast
import io
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest
import torch

import mktn
from mktn.cli import main
from tests.bad_input.spoil import MARK, Malicious, document, put, table
from tests.bad_input.world import IMPORT, TEXT, command_line

PACKAGE = Path(mktn.__file__).parent
FORBIDDEN_MODULES = {"dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_METHODS = {"unsafe_load", "full_load", "system", "popen"}
OF_PICKLE = {"UnpicklingError"}  # all that the package may name of it: what torch raises
STREAM = pickle.dumps(Malicious(), protocol=2)


def sins(tree: ast.AST) -> Iterator[str]:
    """What could run code of a file, in the syntax tree of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            origin = [getattr(node, "module", None) or name for name in names]
            if FORBIDDEN_MODULES & {name.split(".")[0] for name in origin}:
                yield f"line {node.lineno}: imports {', '.join(origin)}"
            if isinstance(node, ast.ImportFrom) and node.module == "pickle":
                yield f"line {node.lineno}: from pickle import"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "pickle" and node.attr not in OF_PICKLE:
                yield f"line {node.lineno}: pickle.{node.attr}"
            if (node.value.id, node.attr) == ("yaml", "load"):
                yield f"line {node.lineno}: yaml.load"
        if not isinstance(node, ast.Call):
            continue
        given = {word.arg: word.value for word in node.keywords}
        called = ast.unparse(node.func)
        plain = isinstance(node.func, ast.Name)
        # re.compile and the like are no builtins.
        forbidden = FORBIDDEN_CALLS if plain else FORBIDDEN_METHODS
        if called.rpartition(".")[2] in forbidden:
            yield f"line {node.lineno}: {called}"
        if called == "torch.load" and not _is(given.get("weights_only"), True):
            yield f"line {node.lineno}: torch.load without weights_only=True"
        if called in ("np.load", "numpy.load") and not _is(given.get("allow_pickle"), False):
            mapped = "mmap_mode" in given and "allow_pickle" not in given
            yield f"line {node.lineno}: {called}{' mapped' if mapped else ''} may unpickle"
        if "allow_pickle" in given and not _is(given["allow_pickle"], False):
            yield f"line {node.lineno}: {called} with allow_pickle"
        if "shell" in given and not _is(given["shell"], False):
            yield f"line {node.lineno}: {called} with a shell"


def _is(node: ast.expr | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.stem)
def test_no_module_can_load_code(path: Path) -> None:
    # reading_bench reads the .npy files that it has just written.
    found = [s for s in sins(ast.parse(path.read_text())) if "mapped" not in s]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle\npickle.load(f)",
        "from pickle import loads",
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "np.load(f)",
        "np.load(f, allow_pickle=True)",
        "np.save(f, a, allow_pickle=True)",
        "yaml.load(f, Loader=L)",
        "yaml.unsafe_load(f)",
        "eval(text)",
        "import joblib",
        "import dill as d",
        "subprocess.run(c, shell=True)",
        "os.system(c)",
    ],
)
def test_the_search_finds_what_it_is_for(code: str) -> None:
    assert list(sins(ast.parse(code)))


def test_the_pickle_would_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads(STREAM)
    assert Path(MARK).exists()


def torch_file(path: str) -> None:
    torch.save({"fc8.bias": Malicious()}, path)


def old_torch_file(path: str) -> None:
    torch.save({"fc8.bias": Malicious()}, path, _use_new_zipfile_serialization=False)


def object_array(path: str) -> None:
    np.save(path, np.array([Malicious()], dtype=object), allow_pickle=True)


def object_archive(path: str) -> None:
    np.savez(path, video=np.array([Malicious()], dtype=object))


def object_hdf5(path: str) -> None:
    with h5py.File("pairs-of.hdf5", "w"), h5py.File(path, "w") as file:
        names = pl.read_parquet("pairs.parquet")["video_id"].unique()
        for name in names:
            data = file.create_dataset(name, (1,), dtype=h5py.special_dtype(vlen=np.uint8))
            data[0] = np.frombuffer(STREAM, np.uint8)
    Path("pairs-of.hdf5").unlink()


def pickles_in_parquet(path: str) -> None:
    table(path, lambda f: f.with_columns(sentence=pl.lit(STREAM)))()


def pickled_filter(path: str) -> None:
    """The numbers of a Zarr array behind the codec that unpickles them."""

    def change(metadata: dict[str, object]) -> None:
        metadata["codecs"] = [{"name": "numcodecs.pickle", "configuration": {"protocol": 2}}]

    document(f"{path}/zarr.json", change)()
    for chunk in (p for p in Path(path, "c").rglob("*") if p.is_file()):
        chunk.write_bytes(STREAM)


def pickled_object_codec(path: str) -> None:
    """A Zarr v2 array of objects in place of a v3 one."""
    put(f"{path}/.zarray", '{"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "|O",'
        ' "compressor": null, "fill_value": null, "order": "C",'
        ' "filters": [{"id": "pickle", "protocol": 2}]}')()  # fmt: skip
    Path(path, "zarr.json").unlink()
    put(f"{path}/0", STREAM)()


def python_tags(path: str) -> None:
    put(path, f"!!python/object/apply:os.system ['touch {MARK}']")()


def zipped(path: str) -> None:
    """A zip whose one member is a pickle, and others that would leave its folder."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("glove.txt", STREAM)
        archive.writestr(f"../{MARK}", "escaped")
        archive.writestr(f"/tmp/{MARK}", "escaped")


def skip_thoughts(_: str) -> None:
    """All files of the published encoders as pickles."""
    Path("published").mkdir()
    for name in ("uni_skip.npz", "bi_skip.npz"):
        np.savez(f"published/{name}", encoder_W=np.array([Malicious()], dtype=object))
    for name in ("utable.npy", "btable.npy"):
        object_array(f"published/{name}")
    Path("published/dictionary.txt").write_text("UNK\n")
    for name in ("uni_skip.npz.pkl", "bi_skip.npz.pkl"):
        put(f"published/{name}", STREAM)()


def raw(path: str) -> None:
    put(path, STREAM)()


PUBLISHED_TEXT = {**TEXT, "sentence": "published"}
# what -> (command, options, settings, how the file is made, the file)
Try = tuple[str, dict[str, str], object, Callable[[str], None], str]
TRIES: dict[str, Try] = {
    "C3D weights": ("extract-video", {"weights": "c.pt"}, None, torch_file, "c.pt"),
    "C3D weights, old": ("extract-video", {"weights": "c.pth"}, None, old_torch_file, "c.pth"),
    "C3D weights, bare": ("extract-video", {"weights": "c.pkl"}, None, raw, "c.pkl"),
    "I3D weights": (
        "extract-video", {"weights": "i.pt", "backbone": "i3d"}, None, torch_file, "i.pt",
    ),
    "our weights": ("extract-video", {}, None, raw, "c3d.safetensors"),
    "our weights as torch's": ("extract-video", {}, None, torch_file, "c3d.safetensors"),
    "features .pt": ("import-features", {"from": "f.pt"}, IMPORT, torch_file, "f.pt"),
    "features .pth, old": ("import-features", {"from": "f.pth"}, IMPORT, old_torch_file, "f.pth"),
    "features .npz": ("import-features", {"from": "f.npz"}, IMPORT, object_archive, "f.npz"),
    "features .npy": ("import-features", {"from": "f.npy"}, IMPORT, object_array, "f.npy"),
    "features .hdf5": ("import-features", {}, IMPORT, object_hdf5, "features.hdf5"),
    "features .hdf5, raw": ("import-features", {}, IMPORT, raw, "features.hdf5"),
    "word vectors .npz": (
        "extract-text", {"word_vectors": "g.npz"}, None, object_archive, "g.npz",
    ),
    "word vectors .zip": ("extract-text", {"word_vectors": "g.zip"}, None, zipped, "g.zip"),
    "skip-thoughts": (
        "extract-text", {"published": "published"}, PUBLISHED_TEXT, skip_thoughts, "",
    ),
    "pairs": ("extract-text", {}, None, pickles_in_parquet, "pairs.parquet"),
    "a run": ("evaluate", {}, None, raw, "run/model.safetensors"),
    "a run as torch's": ("evaluate", {}, None, torch_file, "run/model.safetensors"),
    "a run's record": ("evaluate", {}, None, raw, "run/config.json"),
    "a Zarr filter of features": ("train", {}, None, pickled_filter, "t.zarr/features"),
    "a Zarr filter of text": ("train", {}, None, pickled_filter, "text.zarr/words"),
    "a Zarr filter of a part": ("resample", {}, None, pickled_filter, "parts/part-0.zarr/span_s"),
    "Zarr v2 objects": ("train", {}, None, pickled_object_codec, "text.zarr/sentences"),
    "settings": ("relate", {}, "own.yaml", python_tags, "own.yaml"),
    "settings, pickled": ("relate", {}, "own.yaml", raw, "own.yaml"),
    "frame rates": (
        "import-features", {"fps_table": "fps.parquet"},
        {"dimension": 4, "backbone": "i3d", "clip": 16, "stride": 16}, raw, "fps.parquet",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TRIES)
def test_a_pickle_never_runs(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, options, settings, make, path = TRIES[name]
    words = command_line(command, settings, **options)
    make(path)
    capsys.readouterr()
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    for place in (here, here.parent, Path("/tmp")):
        assert not (place / MARK).exists()


def test_a_checkpoint_of_an_unfinished_run_never_runs(here: Path) -> None:
    """Damaged or foreign, it is refused or the training begins again, and nothing is loaded."""
    for content in (STREAM, _torch_bytes()):
        put("out/run/resume.safetensors", content)()
        assert main(command_line("train")) in (0, 2)
        assert not (here / MARK).exists()


def _torch_bytes() -> bytes:
    stream = io.BytesIO()
    torch.save({"network": Malicious()}, stream)
    return stream.getvalue()


def test_what_an_interrupted_import_left_never_runs(here: Path) -> None:
    """Files of the folder that an interrupted part goes on from."""
    folder = here / "out" / ".part-0.zarr.resume"
    for name in ("identity.json", "state.json", "tail/00000000.npz", "store/zarr.json"):
        put(str(folder / name), STREAM)()
        assert main(command_line("import-features")) in (0, 2)
        assert not (here / MARK).exists()
