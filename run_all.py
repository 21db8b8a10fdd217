"""Run a study from one command, skip what is done, and say where the report is.

python run_all.py                                       # params/quick.yaml on drawn faces
python run_all.py params/paper.yaml --faces /data/celeba
python run_all.py --list                                # what would run, and why
"""

import argparse
import os
import shlex
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from antidisrupt_lib.study.checks import refusals, shown
from antidisrupt_lib.study.graph import Study, load_study
from antidisrupt_lib.study.manifest import gpu_names
from antidisrupt_lib.study.params import require_known
from antidisrupt_lib.study.progress import duration
from antidisrupt_lib.study.report import write_report
from antidisrupt_lib.study.runner import Outcome, Step, choose_stages, lock, plan, run

HERE = Path(__file__).resolve().parent


def main(argv: list[str] | None = None) -> int:
    """Do what the command line asks; return 0, or 1 if a node failed, 2 if the request was wrong, 130 if stopped."""
    args = parse(argv)
    try:
        changes = {"assignments": assignments(args), "overrides": args.overrides}
        study = load_study(args.params, outputs=args.outputs, notebooks=args.notebooks, **changes)
        chosen = choose_stages(study, args.only, args.until)
        forced = forced_stages(study, args.force, chosen)
        steps = plan(study, chosen, forced)
        refused = refusals(study, [step.node for step in steps if step.verdict in ("run", "wait")])
        if args.list:
            print("\n".join(listed(step, refused.get(step.node)) for step in steps))
            return 2 if refused else 0
        if refused:
            raise ValueError(shown(refused))
        held = lock(study)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    with held:
        return carry_out(study, args, chosen, forced)


def listed(step: Step, refusal: str | None) -> str:
    """A line of --list."""
    verdict, why = ("refuse", refusal) if refusal else (step.verdict, step.why)
    return f"{verdict:6} {step.node:60} {why}"


def carry_out(study: Study, args: argparse.Namespace, chosen: set[str], forced: set[str]) -> int:
    """Run the study, write its report, and return the exit status."""
    start, jobs = time.monotonic(), args.jobs or default_jobs(study)
    try:
        with ThreadPoolExecutor(jobs) as executor:  # each thread waits for a process of its own
            outcome = run(study, executor=executor, jobs=jobs, chosen=chosen, forced=forced)
    except KeyboardInterrupt:
        print("\nStopped. What is done is kept: the same command goes on from here.", file=sys.stderr)
        return 130
    report = write_report(study, outcome, command(args))
    conclude(outcome, chosen, study, time.monotonic() - start)
    print(f"Report: {report}")
    return 1 if outcome.failed else 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("params", nargs="?", type=Path, default=HERE / "params/quick.yaml", help="the study's file (default: quick)")
    add("--faces", type=Path, metavar="DIR", help="a folder of real faces for stage 01_split")
    add("--only", nargs="+", default=[], metavar="STAGE", help="run only these stages")
    add("--until", metavar="STAGE", help="run this stage and all that it needs")
    add("--force", nargs="*", metavar="STAGE", help="run these stages (or all) although their results stand")
    add("--set", action="append", default=[], metavar="STAGE.NAME=VALUE", help="change a parameter (repeatable)")
    add("--with", dest="overrides", type=Path, metavar="FILE", help="values for all stages of a notebook, by its name")
    add("--list", action="store_true", help="say what would run and why, or what is refused; run nothing")
    add("--jobs", type=int, help="nodes at once (default: cores / threads, 1 with a GPU)")
    add("--outputs", type=Path, default=HERE / "outputs", metavar="DIR", help="where results go (default: outputs)")
    add("--notebooks", type=Path, default=HERE / "notebooks", metavar="DIR", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    return args


def default_jobs(study: Study) -> int:
    """As many nodes at once as their threads leave room for; a GPU takes one at a time."""
    return 1 if gpu_names() else max(1, os.cpu_count() // max(node.threads for node in study.nodes.values()))


def assignments(args: argparse.Namespace) -> list[str]:
    """What --set and --faces change in the study file."""
    if args.faces is None:
        return args.set
    if not args.faces.is_dir() or not any(args.faces.iterdir()):
        raise ValueError(f"--faces {args.faces}: that is no folder with files in it. Unzip the faces there first.")
    return [*args.set, f"01_split.faces={str(args.faces.resolve())!r}"]


def forced_stages(study: Study, names: list[str] | None, chosen: set[str]) -> set[str]:
    """The stages of --force; without names, all that are chosen."""
    require_known(names or [], sorted(chosen), "--force", "stage in this run")
    return set() if names is None else set(names) or chosen


def command(args: argparse.Namespace) -> str:
    """The command line that makes all of this study's results again."""
    changes = [word for change in args.set for word in ("--set", change)]
    faces = ["--faces", str(args.faces)] if args.faces else []
    faces += ["--with", os.path.relpath(args.overrides, HERE)] if args.overrides else []
    return shlex.join(["python", "run_all.py", os.path.relpath(args.params, HERE), *faces, *changes])


def conclude(outcome: Outcome, chosen: set[str], study: Study, seconds: float) -> None:
    """Say what came of the run."""
    for node, why in outcome.left.items():
        if study.nodes[node].stage in chosen:
            print(f"{node} was not run: it {why}")
    if outcome.failed:
        print(f"{len(outcome.failed)} failed: {', '.join(outcome.failed)}")
    made = f"{len(outcome.ran)} made" if outcome.ran or outcome.failed else "nothing to do"
    print(f"{made}: {len(outcome.done)} results stand ({duration(seconds)})")


if __name__ == "__main__":
    sys.exit(main())
