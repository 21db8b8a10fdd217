"""What a notebook needs where a person runs it, without a study: a place for its results, and those that it reads."""

from collections.abc import Iterable
from pathlib import Path

BY_HAND = Path("../outputs/notebooks")  # seen from the notebooks' folder


def result_folder(out: Path | str, *reads: Path | str | Iterable[Path | str]) -> Path:
    """Make the folder that a notebook writes to, and return it; run first what it needs and nobody has run.

    Defaults such as ../outputs/notebooks/01_split are meant from the notebook's own folder. Jupyter starts it there;
    papermill starts it where the user stands, and from the project's root this path would lead out of the project.

    Args:
        reads: the folders that the notebook reads, one or several an argument. One that another notebook writes by
            default, and that isn't there, is made: that notebook runs with its own values, and lies in it as it ran.

    Raises:
        ValueError: the path begins with `..`, and the notebook doesn't run in its own folder.

    >>> out = ad.result_folder("../outputs/notebooks/04_disrupt", "../outputs/notebooks/01_split")
    """
    folder, here = Path(out), Path.cwd()
    notebook = f"{folder.name}.ipynb"
    beside = (here / notebook).exists() and not (here / "notebooks" / notebook).exists()
    if folder.parts[:1] == ("..",) and not beside:
        raise ValueError(
            f"{folder} is meant from the notebooks' folder, but the notebook runs in {here}. With papermill, add "
            "`--cwd notebooks`; or give `out` as a full path."
        )
    for read in reads:
        for one in [read] if isinstance(read, Path | str) else read:
            _run_before(Path(one))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _run_before(read: Path) -> None:
    """Run the notebook that makes a folder, if that is one of ours and nobody has run it."""
    if not read.is_relative_to(BY_HAND):
        return
    made = BY_HAND / read.relative_to(BY_HAND).parts[0]
    if made.exists():
        return
    from papermill import execute_notebook  # half a second that most runs do without

    print(f"{made.name} runs first: its results aren't there yet.", flush=True)
    draft = (made.parent / f".{made.name}").resolve()
    draft.mkdir(parents=True, exist_ok=True)
    notebook = f"{made.name}.ipynb"
    quiet = {"progress_bar": False, "extra_arguments": ["--log-level=ERROR"]}  # ipykernel warns of TCP, in red
    how = {"kernel_name": "python3", "language": "python"} | quiet
    execute_notebook(notebook, draft / notebook, {"out": str(draft)}, **how)
    draft.rename(made)  # only now: what is there is whole
