"""What a notebook needs where a person runs it, without a study: a place for its results that is the project's."""

from pathlib import Path


def result_folder(out: Path | str) -> Path:
    """Make the folder that a notebook writes to, and return it.

    Defaults such as ../outputs/notebooks/01_split are meant from the notebook's own folder. Jupyter starts it there;
    papermill starts it where the user stands, and from the project's root this path would lead out of the project.

    Raises:
        ValueError: the path begins with `..`, and the notebook doesn't run in its own folder.
    """
    folder, here = Path(out), Path.cwd()
    notebook = f"{folder.name}.ipynb"
    beside = (here / notebook).exists() and not (here / "notebooks" / notebook).exists()
    if folder.parts[:1] == ("..",) and not beside:
        raise ValueError(
            f"{folder} is meant from the notebooks' folder, but the notebook runs in {here}. With papermill, add "
            "`--cwd notebooks`; or give `out` as a full path."
        )
    folder.mkdir(parents=True, exist_ok=True)
    return folder
