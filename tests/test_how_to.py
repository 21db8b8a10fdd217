"""The how-to shelf: every page has one snippet, and it runs; every command on it is one that run_all.py takes."""

import re
import runpy
import shlex
from pathlib import Path

import pytest
import torch

from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, Generator
from antidisrupt_lib.faces.drawn import save_drawn
from antidisrupt_lib.faces.looks import sample_look
from antidisrupt_lib.metrics.results import plain_result, result, write_results
from antidisrupt_lib.study.graph import load_study

ROOT = Path(__file__).parents[1]
SHELF = ROOT / "docs/how-to"
GUIDES = [ROOT / "README.md", *(ROOT / f"docs/{name}.md" for name in ("studies", "your-own-study", "layout"))]
PAGES = sorted(path for path in SHELF.glob("*.md") if path.name != "README.md")
RUN_ALL = runpy.run_path(str(ROOT / "run_all.py"))


def snippets(page: Path) -> list[tuple[str, str]]:
    return re.findall(r"^```(python|bash)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """The words of every call of run_all.py on a page: in a fence each line is one, elsewhere what is in backticks."""
    fences = re.split(r"^```.*$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    texts = [line for fence in fences[1::2] for line in fence.splitlines()]
    texts += [text.replace("\n", " ") for prose in fences[::2] for text in re.findall(r"`([^`]+)`", prose)]
    calls = [text.partition("python run_all.py")[2] for text in texts if "python run_all.py" in text]
    return [shlex.split(call, comments=True) for call in calls]


def my_faces(folder: Path) -> None:
    looks = {f"{i}.jpg": sample_look(5, i, 0) for i in range(1, 4)}
    folder.mkdir(parents=True)
    lines = [",".join(["image_id", *ATTRIBUTES])]
    for name, look in looks.items():
        save_drawn(look, folder / name)
        lines.append(",".join([name, *(str(int(look.attributes()[one])) for one in ATTRIBUTES)]))
    (folder / "attributes.csv").write_text("\n".join(lines))


def my_results(folder: Path) -> None:
    folder.mkdir(parents=True)
    arm = {"stage": "detect", "forger": "stargan", "arm": "clean", "attack": "pgd"}
    left = {"stage": "purify", "forger": "stargan", "attack": "pgd", "purifier": "jpeg"}
    rows = [result(arm, "accuracy", 0.9876, 0.97, 0.99, 8, "share"), plain_result(left, "psnr", 39.7, 8, "dB")]
    write_results(folder / "results.csv", rows)


PREPARED = {
    "your-faces": (lambda here: my_faces(here / "my/faces"), "3 photos of 3 people"),
    "your-attack": (None, "L2 of the edits: 0."),
    "your-forger": (None, "[(2, 3, 128, 128), (2, 3, 128, 128)"),
    "read-results": (lambda here: my_results(here / "outputs/quick/08_evaluate"), "0.988"),
    "add-a-metric": (None, "tensor([0.0"),
}


def my_weights(here: Path) -> None:
    (here / "my").mkdir(exist_ok=True)
    torch.manual_seed(0)
    torch.save(Generator(conv_dim=4, blocks=1).state_dict(), here / "my/200000-G.ckpt")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_asks_one_question_and_has_one_snippet_which_runs(page, tmp_path, monkeypatch, capsys):
    assert page.read_text().startswith("# How do I ") and page.read_text().split("\n")[0].endswith("?")
    ((language, code),) = snippets(page)
    if language == "bash":
        return
    prepare, printed = PREPARED[page.stem]
    my_weights(tmp_path)
    if prepare:
        prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    exec(code, {"__name__": page.stem})
    assert printed in capsys.readouterr().out


@pytest.mark.parametrize("page", [*PAGES, *GUIDES], ids=lambda page: page.stem)
def test_every_command_names_a_study_and_values_that_there_are(page, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    for words in commands(page):
        args = RUN_ALL["parse"](words)
        values = [text for text in args.set if "my/lab.py" not in text]
        places = {"outputs": tmp_path, "notebooks": ROOT / "notebooks"}
        assert load_study(ROOT / args.params, assignments=values, overrides=args.overrides, **places).nodes


def test_the_shelf_lists_every_page_and_its_links_lead_somewhere():
    index = (SHELF / "README.md").read_text(encoding="utf-8")
    assert {*re.findall(r"\]\(([\w-]+\.md)\)", index)} == {page.name for page in PAGES}
    for page in [*PAGES, *GUIDES]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
