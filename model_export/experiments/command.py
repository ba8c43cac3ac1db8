"""``deepfake-models reproduce``: the papers' experiments from one command."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from model_export.refusals import refusals

GRID_NETWORK = "clrnet"


def reproduce(
    faces: Annotated[
        Path,
        typer.Argument(
            help="Folder of videos of real faces, one person a file, to make the benchmark of.",
            exists=True,
            file_okay=False,
        ),
    ],
    suite: Annotated[
        Literal["synthetic", "ordering"],
        typer.Option(
            help="**synthetic**: single, merge and transfer of every network, and the restricted "
            "grid of CLRNet: the papers' tables. **ordering**: only what table 6 compares, over "
            "several seeds."
        ),
    ] = "synthetic",
    budget: Annotated[
        str, typer.Option(help="Widths, input and length of training: a name or a TOML file.")
    ] = "small",
    stills: Annotated[
        Path | None,
        typer.Option(help="Folder of photographs that lend faces to training videos.", exists=True),
    ] = None,
    networks: Annotated[
        str | None,
        typer.Option(
            help="Which networks of the budget, with commas. Default: all.", show_default=False
        ),
    ] = None,
    grid: Annotated[
        bool, typer.Option(help="Run the restricted grid of CLRNet (suite **synthetic**).")
    ] = True,
    seeds: Annotated[
        int | None,
        typer.Option(
            help="Seeds 0, 1, ... of every training. Default: 1, for **ordering** 3.",
            min=1,
            show_default=False,
        ),
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the benchmark and every run; is taken up again. Default: runs/BUDGET.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder for tables and pictures. Default: WORK/SUITE.",
            show_default=False,
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            help="Processes that make the benchmark, and that train where there is no GPU, each on "
            "its share of the cores. Default: one per core.",
            min=1,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run the papers' experiments on the **synthetic** benchmark, and write their tables.

    The benchmark is made of FACES first. Whatever is finished is used again: the same command goes
    on where it was interrupted, and a second suite in the same folder shares its runs.

    Example: **deepfake-models reproduce faces/ --suite synthetic --budget small**
    """

    console = Console(stderr=True, highlight=False)
    with refusals():
        import torch

        from model_export.experiments import grid as restricted
        from model_export.experiments import plan
        from model_export.experiments.benchmark import prepared_benchmark
        from model_export.experiments.budget import load_budget
        from model_export.experiments.crew import train_all
        from model_export.experiments.laboratory import Laboratory
        from model_export.experiments.suite import check, run
        from model_export.experiments.writing import budget_table, write_outcome
        from service.measures.rendering import markdown

        chosen = load_budget(budget)
        names = [name.strip() for name in networks.split(",")] if networks else list(chosen.models)
        for name in names:
            chosen.check(name)
        folder = work or Path("runs") / chosen.name
        crew = processes or len(os.sched_getaffinity(0))
        console.print(markdown(budget_table(chosen)), markup=False, soft_wrap=True)
        dataset = prepared_benchmark(
            faces,
            stills,
            folder / "benchmark",
            chosen,
            processes=crew,
            console=console,
        )
        laboratory = Laboratory(dataset, chosen, folder / "runs", console)
        count = seeds or (3 if suite == "ordering" else 1)
        strategies = plan.ordering if suite == "ordering" else plan.tables
        jobs = [
            (name, strategy, seed)
            for seed in range(count)
            for name in names
            for strategy in strategies(name)
        ]
        grids = [GRID_NETWORK] if grid and suite == "synthetic" and GRID_NETWORK in names else []
        check(dataset)
        if crew > 1 and not torch.cuda.is_available():
            candidates = [(name, each, 0) for name in grids for each in restricted.strategies()]
            train_all(laboratory, [*jobs, *candidates], crew, console.rule)
        outcome = run(laboratory, jobs, grids, seed=0, tell=console.rule)
        command = shlex.join(["deepfake-models", *sys.argv[1:]])
        page = write_outcome(outcome, dataset, chosen, command, output or folder / suite)
    Console(highlight=False).print(f"{page}", markup=False, soft_wrap=True)
