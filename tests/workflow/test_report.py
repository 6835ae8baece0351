"""The report: each result of the configuration is marked and has a caption."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from docutils.core import publish_parts
from jinja2 import Environment

from mktn.figures.figure import DRAWN
from mktn.report.layouts import TABLES
from tests.workflow.test_pipeline import snakemake

ROOT = Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
CAPTIONS = ROOT / "workflow" / "report"
STEMS = {str(name): layout.stem for name, layout in TABLES.items()}
FIGURES = {
    **{f"3{part}": f"figure3{part}" for part in "abc"},
    "ianet5": "ianet_figure5",
    **{
        name: f"figure_{name}"
        for name in ("training", "negatives", "lengths", "positions", "ablations")
    },
}
# The rules of the workflow, asked which of them makes each file and how that is marked.
ASKED = """
import json, sys
from pathlib import Path
from snakemake.api import OutputSettings, ResourceSettings, SnakemakeApi
found = {}
with SnakemakeApi(OutputSettings()) as api:
    workflow = api.workflow(ResourceSettings(), snakefile=Path(sys.argv[1]))._workflow
    for path in sys.argv[2:]:
        for output in (o for rule in workflow.rules for o in rule.output if o.match(path)):
            if mark := output.flags.get("report"):
                found[path] = Path(mark.caption.get_path_or_uri(secret_free=True)).name
print(json.dumps(found))
"""


def test_each_row_of_the_configuration_is_marked_for_the_report() -> None:
    report = CONFIG["report"]
    expected = {f"results/{STEMS[str(name)]}.html": "tables.rst" for name in report["tables"]}
    drawn = [name for name in report["figures"] if name in DRAWN]
    assert drawn
    expected |= {f"results/{FIGURES[name]}.svg": "figures.rst" for name in drawn}
    pages = [*report["pages"], "provenance"]
    expected |= {f"results/{page}.html": "pages.rst" for page in pages}
    tables = {f"results/{STEMS[str(name)]}.csv": "data.rst" for name in report["tables"]}
    expected |= tables | {f"results/{page}.csv": "data.rst" for page in report["pages"]}
    run = subprocess.run(
        [sys.executable, "-c", ASKED, ROOT / "Snakefile", *expected],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(run.stdout.splitlines()[-1]) == expected


def caption(name: str, output: str, path: str) -> str:
    """The text of a caption as Snakemake's report shows it."""
    env = Environment(trim_blocks=True, lstrip_blocks=True)
    text = (CAPTIONS / name).read_text(encoding="utf-8")
    job = SimpleNamespace(config=CONFIG, output=SimpleNamespace(**{output: path}))
    html = publish_parts(env.from_string(text).render(snakemake=job), writer="html")["body"]
    assert "system-message" not in html
    return str(html)


@pytest.mark.parametrize("name", CONFIG["report"]["tables"])
def test_each_table_has_a_caption_of_its_own(name: int | str) -> None:
    layout = TABLES[str(name)]
    text = caption("tables.rst", "html", f"results/{layout.stem}.html")
    assert f"Table {layout.number} of the {layout.paper} paper" in " ".join(text.split())
    assert "Source: synthetic; training seeds: 0." in text
    assert "Not comparable" in text
    assert ("another seed moves scores by points" in text) == layout.scored


@pytest.mark.parametrize("name", CONFIG["report"]["figures"])
def test_each_figure_has_a_caption_of_its_own(name: str) -> None:
    texts = {stem: caption("figures.rst", "svg", f"r/{stem}.svg") for stem in FIGURES.values()}
    mine = texts.pop(FIGURES[name])
    alone = caption("figures.rst", "svg", "r/none.svg")
    assert len(mine) > len(alone) + 80
    assert mine not in texts.values()
    if name in ("3a", "3b", "3c", "ianet5"):
        of = "Figure 5 of the IA-Net" if name == "ianet5" else f"Figure {name} of the MKTN"
        assert of in " ".join(mine.split())


def test_pages_have_captions() -> None:
    pages = ("efficiency", "diagnostics", "provenance")
    texts = [caption("pages.rst", "html", f"results/{page}.html") for page in pages]
    assert len({text[:60] for text in texts}) == 3


@pytest.mark.parametrize("seeds", [[0], [0, 1, 2]])
def test_the_description_says_source_and_seeds(seeds: list[int]) -> None:
    env = Environment(trim_blocks=True, lstrip_blocks=True)
    template = env.from_string((CAPTIONS / "workflow.rst").read_text(encoding="utf-8"))
    text = template.render(
        snakemake=SimpleNamespace(config={**CONFIG, "seeds": seeds}), categories={}
    )
    assert "not comparable" in text
    assert f"**Training seeds**: {', '.join(map(str, seeds))}." in text
    assert ("one seed" in text) == (len(seeds) == 1)
    # What no second training has confirmed does not count: it is clear over videos alone.
    plain = " ".join(text.split())
    assert ("clear over videos, not over seeds" in plain) == (len(seeds) == 1)
    assert ("A difference counts where its own interval" in plain) == (len(seeds) > 1)


def test_a_report_of_nothing_is_one_line(tmp_path: Path) -> None:
    nothing = "report={tables: [4], figures: [ianet5], pages: []}"
    given = ("datasets=[charades]", "systems=[mktn]", nothing)
    run = snakemake(tmp_path, "-n", "report_contents", "--config", *given)
    assert run.returncode == 2
    assert "configuration, report: no table or figure has one of these" in run.stdout
    assert "Traceback" not in run.stdout


def test_a_report_of_a_part_asks_for_that_part_alone(tmp_path: Path) -> None:
    part = "report={tables: [3], figures: [], pages: []}"
    run = snakemake(tmp_path, "-n", "report_contents", "--config", part)
    assert run.returncode == 0, run.stdout[-3000:]
    assert "results/table3.html" in run.stdout
    assert "train_wo_opm" in run.stdout
    assert "train_ianet" not in run.stdout
    assert "efficiency" not in run.stdout
