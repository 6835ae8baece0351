# What tables show of the configuration, and the files that they are made of.
import shlex

from mktn.errors import UserError
from mktn.report.layouts import asked_of


def table_asked(wildcards):
    """The datasets and systems of a table that the configuration asks for."""
    name, layout = LAYOUTS[wildcards.table]
    found = asked(layout, f"table {name}")
    check_sizes(layout, found[0])
    return found


def page_tables(wildcards):
    """The tables of the page; one line where no configured one has anything to show."""
    refuse_other_partitions("the page of tables")
    if not SHOWN:
        error = UserError(
            "no table has one of these datasets, systems and variants",
            where="configuration, tables",
            found=", ".join(map(str, config["tables"])),
            expected="at least one",
            do="add to datasets, systems or variants, or name other tables",
        )
        stop(error)
    return expand(f"{RESULTS}/{{table}}.md", table=SHOWN)


def asked(shown, what):
    """What the configuration asks for of a table's or figure's own; where that is nothing, one
    line says so."""
    refuse_other_partitions(what)
    datasets, systems = asked_of(shown, config)
    models = dict.fromkeys(model for model, _ in shown.systems)
    for key, found, theirs in (
        ("datasets", datasets, shown.datasets),
        ("systems", [m for m in models if m in config["systems"]], models),
        ("variants", systems, [variant for _, variant in shown.systems]),
    ):
        if not found:
            error = UserError(
                f"{what} holds none of these",
                where=f"configuration, {key}",
                found=", ".join(config[key]),
                expected=f"at least one of {', '.join(theirs)}",
                do=f"add it to {key}, or ask for another",
            )
            stop(error)
    return datasets, systems


def check_sizes(layout, datasets):
    """One line where `full` has not the sizes that a table prints of it."""
    model = layout.lines[0].model
    for dataset in datasets:
        own = of_model(dataset, model, "sizes")
        for name, printed in layout.sizes.items():
            if own.get(name, printed) != printed:
                error = UserError(
                    f"{layout.stem} prints full with another size",
                    where=f"configuration of {dataset}, models.{model}.sizes.{name}",
                    found=own[name],
                    expected=printed,
                )
                stop(error)


def named(systems):
    """Systems as the commands take them."""
    return ["/".join(system) for system in systems]


def refuse_other_partitions(what):
    """One line where `what` is asked of a partition that it is not made of."""
    if not STANDARD:
        stop(
            UserError(
                f"{what} is of the standard partition",
                where="configuration, pairs.partition",
                found=PARTITION,
                expected="standard",
                do=f"ask for {RESULTS}/test_sets.md",
            )
        )


def table_files(name):
    """The file `name` of every run whose scores a table shows, the baselines' last."""

    def given(wildcards):
        found = table_asked(wildcards)
        return run_files(name, *found) if LAYOUTS[wildcards.table][1].scored else []

    return given


def table_pairs(wildcards):
    """The annotations that a table's differences are paired by."""
    datasets, _ = table_asked(wildcards)
    return pairs_files(datasets) if LAYOUTS[wildcards.table][1].scored else []


def table_efficiency(wildcards):
    """What was measured of the speed of a table's systems; nothing where it shows none."""
    found = table_asked(wildcards)
    return efficiency_files(*found) if LAYOUTS[wildcards.table][1].quantities else []


def pairs_files(datasets):
    return expand(f"{DATA}/pairs/{{dataset}}/pairs.parquet", dataset=datasets)


def options(**paths):
    """The options of a command for lists of paths, without those that are empty."""
    given = [
        f"--{name} {' '.join(map(shlex.quote, map(str, files)))}"
        for name, files in paths.items()
        if files
    ]
    return " ".join(given)
