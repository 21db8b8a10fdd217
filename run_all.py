"""Run a study from one command, skip what is done, and say where the report is.

python run_all.py                                       # params/quick.yaml on drawn faces
python run_all.py params/paper.yaml --faces /data/celeba
python run_all.py --list                                # what would run, and why
python run_all.py --site                                # a finished study as a static site

Paths given here are relative to where you stand, those in a study file to that file's folder; ~ is your home.
"""

import argparse
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from antidisrupt_lib.study.checks import refusals, shown
from antidisrupt_lib.study.circumstances import torch_device, versions, visible_gpus
from antidisrupt_lib.study.cluster import ADDRESSES, Place, cluster, this_machine
from antidisrupt_lib.study.compare import compare_studies
from antidisrupt_lib.study.crate import write_crate
from antidisrupt_lib.study.expected import write_expected
from antidisrupt_lib.study.graph import Node, Study, load_study, missing_files
from antidisrupt_lib.study.locks import guard, lock
from antidisrupt_lib.study.manifest import accept_versions, read_manifest
from antidisrupt_lib.study.pages import refresh
from antidisrupt_lib.study.params import require_known
from antidisrupt_lib.study.paths import portable, reason
from antidisrupt_lib.study.progress import duration
from antidisrupt_lib.study.report import write_report
from antidisrupt_lib.study.runner import Outcome, Step, choose_stages, plan, run
from antidisrupt_lib.study.study_file import said_in
from antidisrupt_lib.study.verify import FAIL, INCONCLUSIVE, PASS, verdict, verify

HERE = Path(__file__).resolve().parent
EXPECTED = HERE / "params/expected"


def main(argv: list[str] | None = None) -> int:
    """Do what the command line asks; return 0, or 1 if a node failed, 2 if the request was wrong, 130 if stopped.

    --verify returns 1 for FAIL and 3 for INCONCLUSIVE, --compare 1 if numbers differ.
    """
    sys.stdout.reconfigure(errors="backslashreplace")  # names may hold what a terminal can't show
    args = parse(argv)
    try:
        changes = {"assignments": args.set, "overrides": args.overrides, "faces": given_faces(args)}
        if args.compare:
            return compare(*args.compare)
        study = load_study(args.params, outputs=args.outputs, notebooks=args.notebooks, **changes)
        if args.verify or args.expect:
            return prove(study, args)
        if args.site:
            return show(study, args)
        if args.accept_versions:
            accept(study)
        chosen = choose_stages(study, args.only, args.until)
        forced = forced_stages(study, args.force, chosen)
        steps = plan(study, chosen, forced)
        todo = [study.nodes[step.node] for step in steps if step.verdict in ("run", "wait")]
        refused = missing_files(todo) | refusals(study, [node.id for node in todo])
        if args.list:
            print("\n".join(listed(step, refused.get(step.node)) for step in steps))
            return 2 if refused else 0
        if refused:
            raise ValueError(shown(refused))
        with lock(study) as held, place(study, args, todo) as where:
            return carry_out(study, args, chosen, forced, steps, where, guard(held))
    except (ValueError, OSError) as error:
        print(reason(error), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped. What is done is kept: the same command goes on from here.", file=sys.stderr)
        return 130


def compare(one: Path, other: Path) -> int:
    """Print how two studies' folders differ; 1 if numbers do."""
    lines, same = compare_studies(one, other)
    print("\n".join(lines))
    return 0 if same else 1


def prove(study: Study, args: argparse.Namespace) -> int:
    """Print all that speaks against a finished study, and the verdict; or make its numbers the expected ones."""
    place = args.params.parent / "expected" / f"{study.name}.csv"
    if args.expect:
        commits = sorted({manifest["git"]["commit"] or "no commit" for manifest in standing(study)})
        made_by = f"Made by `{command(args)}` at {', '.join(commits)}."
        print(f"Expected from now on: {write_expected(study.folder / 'results.csv', place, made_by)}")
        changed = [page for page in pages() if refresh(page, EXPECTED)]
        print(f"Pages with other numbers now: {', '.join(page.name for page in changed) or 'none'}")
        return 0
    findings = verify(study, place)
    for finding in findings:
        print(f"{finding.verdict:12} {finding.what}")
    print(f"{verdict(findings)}: {len(study.nodes)} results, {len(findings)} findings")
    return {PASS: 0, FAIL: 1, INCONCLUSIVE: 3}[verdict(findings)]


def pages() -> list[Path]:
    """The pages that print numbers of studies."""
    return [HERE / "README.md", *sorted((HERE / "docs").glob("*.md"))]


def standing(study: Study) -> list[dict]:
    """The manifests of all results of a study.

    Raises:
        ValueError: a result is missing.
    """
    manifests = {node: read_manifest(study.result(node)) for node in study.nodes}
    if lost := [node for node, manifest in manifests.items() if not manifest]:
        raise ValueError(f"The study isn't finished: {lost[0]} has no result. Run it first.")
    return list(manifests.values())


def show(study: Study, args: argparse.Namespace) -> int:
    """Make the site of a finished study, and say where it is."""
    from antidisrupt_lib.study.site import write_site  # nothing else needs nbconvert and itables at the start

    manifests = standing(study)
    with lock(study):
        print(f"Site: {write_site(study, Outcome(dict(zip(study.nodes, manifests, strict=True))), command(args))}")
    return 0


def accept(study: Study) -> None:
    """Let results stand that other versions of packages made."""
    with lock(study):
        count = sum(accept_versions(study.result(node), versions()) for node in study.nodes)
    print(f"{count} results stand although they were made with other packages; their manifests say so.")


def interrupt(number: int, frame: object) -> None:
    """What SIGTERM and SIGHUP do: the same as Ctrl-C."""
    raise KeyboardInterrupt


def listed(step: Step, refusal: str | None) -> str:
    """A line of --list."""
    verdict, why = ("refuse", refusal) if refusal else (step.verdict, step.why)
    return f"{verdict:6} {step.node:60} {why}"


def carry_out(
    study: Study, args: argparse.Namespace, chosen: set[str], forced: set[str], steps: list[Step], where: Place,
    require_lock: Callable[[], None],
) -> int:  # fmt: skip
    """Run the study, write its report, and return the exit status."""
    start = time.monotonic()
    print(study.note, end="\n" if study.note else "")
    executor, jobs, execute = where
    how = {"chosen": chosen, "forced": forced, "steps": steps, "require_lock": require_lock}
    outcome = run(study, executor=executor, jobs=jobs, execute=execute, **how)
    conclude(outcome, chosen, study, time.monotonic() - start)
    try:
        print(f"Report: {write_report(study, outcome, command(args))}")
        write_crate(study, outcome, command(args))
    except OSError as error:
        print(f"The report can't be written ({reason(error)}). What is done is kept: run again.", file=sys.stderr)
        return 1
    return 1 if outcome.failed else 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    about, _, paths = __doc__.partition("\n")
    parser = argparse.ArgumentParser(description=about, epilog=paths.strip().rpartition("\n")[2])
    add = parser.add_argument
    quick, outputs, notebooks = HERE / "params/quick.yaml", HERE / "outputs", HERE / "notebooks"
    add("params", nargs="?", type=user_path, default=quick, help="the study's file (default: quick)")
    add("--faces", type=user_path, metavar="DIR", help="a folder of real faces for stage 01_split")
    add("--only", nargs="+", default=[], metavar="STAGE", help="run only these stages")
    add("--until", metavar="STAGE", help="run this stage and all that it needs")
    add("--force", nargs="*", metavar="STAGE", help="run these stages (or all) although their results stand")
    add("--set", action="append", default=[], metavar="STAGE.NAME=VALUE", help="change a parameter (repeatable)")
    add("--with", dest="overrides", type=user_path, metavar="FILE", help="values for all stages of a notebook")
    add("--list", action="store_true", help="say what would run and why, or what is refused; run nothing")
    add("--verify", action="store_true", help="prove a finished study: every file, recipe and expected number")
    add("--compare", nargs=2, type=user_path, metavar="DIR", help="put two studies' folders in outputs/ side by side")
    add(
        "--expect",
        action="store_true",
        help="make a finished study's numbers the expected ones, and those of the pages",
    )
    add("--site", action="store_true", help="make a static site of a finished study, in its folder of outputs")
    add("--accept-versions", action="store_true", help="let results of other package versions stand, and record it")
    add("--jobs", type=positive, help="nodes at once (default: cores / threads, or the GPUs)")
    add("--scheduler", metavar="WHERE", help=f"run nodes on dask's workers: {ADDRESSES} (docs/cluster.md)")
    add("--outputs", type=user_path, default=outputs, metavar="DIR", help="where results go (default: the project's)")
    add("--notebooks", type=user_path, default=notebooks, metavar="DIR", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def user_path(text: str) -> Path:
    """A path as its user means it: `~` is their home."""
    return Path(os.path.expanduser(text))


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of jobs. Use 1 or more.")
    return int(text)


def place(study: Study, args: argparse.Namespace, nodes: list[Node]) -> AbstractContextManager[Place]:
    """Where these nodes are to run."""
    if args.scheduler and nodes:
        return cluster(args.scheduler, args.jobs, study, max(node.threads for node in nodes))
    return this_machine(args.jobs or default_jobs(nodes), visible_gpus() if nodes else [])


def default_jobs(nodes: list[Node]) -> int:
    """As many nodes at once as their threads leave room for; a GPU that PyTorch uses takes one at a time."""
    if not nodes or torch_device() != "cpu":
        return max(1, len(visible_gpus())) if nodes else 1
    return max(1, os.cpu_count() // max(node.threads for node in nodes))


def given_faces(args: argparse.Namespace) -> Path | None:
    """The folder of --faces."""
    if args.faces is None:
        return None
    if not os.path.isdir(args.faces) or not any(args.faces.iterdir()):
        raise ValueError(f"--faces {args.faces}: that is no folder with files in it. Unzip the faces there first.")
    return args.faces.resolve()


def forced_stages(study: Study, names: list[str] | None, chosen: set[str]) -> set[str]:
    """The stages of --force; without names, all that are chosen."""
    require_known(names or [], sorted(chosen), "--force", "stage in this run")
    return set() if names is None else set(names) or chosen


def command(args: argparse.Namespace) -> str:
    """The command line that makes all of this study's results again, in the project's folder."""
    changes = [word for change in args.set for word in ("--set", said_in(change, HERE))]
    faces = ["--faces", portable(args.faces, HERE)] if args.faces else []
    overrides = ["--with", portable(args.overrides, HERE)] if args.overrides else []
    outputs = ["--outputs", portable(args.outputs, HERE)] if args.outputs != HERE / "outputs" else []
    given = [portable(args.params, HERE), *faces, *overrides, *outputs, *changes]
    return shlex.join(["python", "run_all.py", *given])


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
    for stop in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, interrupt)
    sys.exit(main())
