"""Makes an image that has PyTorch, such as Colab's, ready for these notebooks: their set-up cell runs this file.

What is installed there and does, stays, PyTorch above all; what is missing is installed; the clone that this file lies
in is found by this kernel and those it starts, and is where it works from now on.
"""

import os
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement

CLONE = Path(__file__).resolve().parents[1]
KEPT = ("torch", "torchvision")  # as the image has them: they fit its drivers, and weigh gigabytes


def missing(requirement: Requirement) -> bool:
    """Whether a package is wanting, or too old."""
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return True
    return requirement.name not in KEPT and not requirement.specifier.contains(found, prereleases=True)


def install(requirements: list[Requirement]) -> None:
    """Install packages at the project's versions, and let none of them touch what is kept.

    Raises:
        subprocess.CalledProcessError: pip can't; it has said why.
    """
    kept = {name: version(name) for name in KEPT if not missing(Requirement(name))}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "kept.txt")
        file.write_text("".join(f"{name}=={found}\n" for name, found in kept.items()))
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "-c", str(file)]
        subprocess.run([*pip, *map(str, requirements)], check=True)


def main() -> None:
    project = tomllib.loads((CLONE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanting = [found for text in project["dependencies"] if missing(found := Requirement(text))]
    if wanting:
        install(wanting)
    sys.path.insert(0, str(CLONE))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(CLONE), os.environ.get("PYTHONPATH")]))
    os.chdir(CLONE / "notebooks")
    print(f"Anti-Disrupt {project['version']} is ready: {len(wanting)} packages were installed.")


if __name__ == "__main__":
    main()
