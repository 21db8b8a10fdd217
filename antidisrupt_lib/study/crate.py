"""ro-crate-metadata.json: a finished study as a Provenance Run Crate 0.5, for whom it may concern elsewhere.

The study (study.json) is the workflow, each notebook as it ran first a tool, each node a CreateAction from the results
that it read and the values that it was given to the files that it wrote. See https://w3id.org/ro/wfrun/provenance/0.5.
"""

import json
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from antidisrupt_lib.study.graph import Node, Study
from antidisrupt_lib.study.manifest import write_json
from antidisrupt_lib.study.runner import Outcome

PROFILES = ("process/0.5", "workflow/0.5", "provenance/0.5")
RUN = "https://w3id.org/ro/wfrun/"
WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
CONTEXT = ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]
LICENSE = "https://spdx.org/licenses/MIT"
NAME, WORKFLOW = "ro-crate-metadata.json", "study.json"


def write_crate(study: Study, outcome: Outcome, command: str) -> None:
    """Write study.json and the metadata beside the results of a complete study, unless they are as they should be.

    Args:
        command: the command line that makes the results again.
    """
    if not outcome.failed and not outcome.left and outcome.done:
        _write(study.folder / WORKFLOW, _study(study, command))
        _write(study.folder / NAME, {"@context": CONTEXT, "@graph": _graph(study, outcome.done, command)})


def _write(place: Path, content: dict) -> None:
    if not place.is_file() or place.read_bytes() != json.dumps(content, indent=1).encode():
        write_json(place, content)


def _study(study: Study, command: str) -> dict:
    """What was asked: each node's notebook, values, and what its inputs read."""
    nodes = {
        node.id: {
            "notebook": node.notebook.path.name,
            "parameters": node.parameters,
            "reads": {label: f"{read.node}/{read.path}".rstrip("/") for label, read in node.reads.items()},
        }
        for node in study.nodes.values()
    }
    return {"study": study.name, "command": command, "nodes": nodes}


def _graph(study: Study, done: dict[str, dict], command: str) -> list[dict]:
    nodes = [study.nodes[node] for node in done]
    tools: dict[str, str] = {}
    for node in nodes:
        tools.setdefault(node.notebook.path.name, f"{quote(str(node.folder))}/notebook.ipynb")
    times = min(manifest["started"] for manifest in done.values()), max(map(_ended, done.values()))
    files = [file for node in nodes for file in _files(node, done[node.id])]
    return [
        *_about(study, times[1], [WORKFLOW, *tools.values(), *(file["@id"] for file in files)]),
        _workflow(study, nodes, tools),
        *({"@id": tool, "@type": ["File", "SoftwareSourceCode", "SoftwareApplication"], "name": name,
           "url": "https://jupyter.org", "version": _commits(done)} for name, tool in tools.items()),
        *_engine(study, nodes, done, times),
        _run(study, nodes, done, times, command),
        *(step for i, node in enumerate(nodes, 1) for step in _steps(node, i, tools)),
        *(_action(study, node, done[node.id], tools) for node in nodes),
        *files,
        *(value for node in nodes for value in _values(node)),
    ]  # fmt: skip


def _about(study: Study, ended: str, parts: list[str]) -> list[dict]:
    """The metadata file, the folder, and the profiles and licence that they name."""
    profiles = [f"{RUN}{name}" for name in PROFILES]
    conforms = [{"@id": "https://w3id.org/ro/crate/1.1"}, {"@id": WORKFLOW_CRATE}]
    root = {
        "@id": "./", "@type": "Dataset", "name": f"Anti-Disrupt, study {study.name}", "datePublished": ended,
        "description": "Results of a study of deepfake defences, with how each was made.", "license": {"@id": LICENSE},
        "conformsTo": [{"@id": profile} for profile in (*profiles, WORKFLOW_CRATE)],
        "mainEntity": {"@id": WORKFLOW}, "mentions": [{"@id": "#run"}], "hasPart": [{"@id": part} for part in parts],
    }  # fmt: skip
    return [
        {"@id": NAME, "@type": "CreativeWork", "about": {"@id": "./"}, "conformsTo": conforms},
        root,
        *(_named(profile, "CreativeWork", "Run Crate profile", version="0.5") for profile in profiles),
        _named(WORKFLOW_CRATE, "CreativeWork", "Workflow RO-Crate", version="1.0"),
        _named(LICENSE, "CreativeWork", "MIT licence"),
        _named("#json", "ComputerLanguage", "Study file of Anti-Disrupt", url="https://www.json.org/"),
    ]


def _named(id: str, kind: str, name: str, **more: str) -> dict:
    return {"@id": id, "@type": kind, "name": name} | more


def _workflow(study: Study, nodes: list[Node], tools: dict[str, str]) -> dict:
    return {
        "@id": WORKFLOW, "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"], "name": study.name,
        "programmingLanguage": {"@id": "#json"}, "license": {"@id": LICENSE},
        "hasPart": [{"@id": tool} for tool in tools.values()],
        "step": [{"@id": f"#step-{quote(node.id)}"} for node in nodes],
    }  # fmt: skip


def _engine(study: Study, nodes: list[Node], done: dict[str, dict], times: tuple[str, str]) -> list[dict]:
    """run_all.py, and that it ran the study."""
    organised = {
        "@id": "#organize", "@type": "OrganizeAction", "name": f"run_all.py on {study.name}",
        "instrument": {"@id": "#run_all"}, "startTime": times[0], "endTime": times[1], "result": {"@id": "#run"},
        "object": [{"@id": f"#control-{quote(node.id)}"} for node in nodes],
    }  # fmt: skip
    return [_named("#run_all", "SoftwareApplication", "Anti-Disrupt", softwareVersion=_commits(done)), organised]


def _run(study: Study, nodes: list[Node], done: dict[str, dict], times: tuple[str, str], command: str) -> dict:
    results = [file["@id"] for node in nodes if node.stage == study.evaluation for file in _files(node, done[node.id])]
    return {
        "@id": "#run", "@type": "CreateAction", "name": f"Run of {study.name}", "description": command,
        "instrument": {"@id": WORKFLOW}, "startTime": times[0], "endTime": times[1],
        "object": [{"@id": value["@id"]} for node in nodes for value in _values(node)],
        "result": [{"@id": file} for file in results],
    }  # fmt: skip


def _steps(node: Node, position: int, tools: dict[str, str]) -> list[dict]:
    """A node's place in the workflow, and that it was run there."""
    name, tool = quote(node.id), {"@id": tools[node.notebook.path.name]}
    control = {
        "@id": f"#control-{name}", "@type": "ControlAction", "name": f"Orchestration of {node.id}",
        "instrument": {"@id": f"#step-{name}"}, "object": {"@id": f"#run-{name}"},
    }  # fmt: skip
    return [{"@id": f"#step-{name}", "@type": "HowToStep", "position": str(position), "workExample": tool}, control]


def _action(study: Study, node: Node, manifest: dict, tools: dict[str, str]) -> dict:
    read = [f"{quote(str(study.nodes[need].folder))}/manifest.json" for need in sorted(node.needs)]
    return {
        "@id": f"#run-{quote(node.id)}", "@type": "CreateAction", "name": f"Run of {node.id}",
        "instrument": {"@id": tools[node.notebook.path.name]},
        "startTime": manifest["started"], "endTime": _ended(manifest),
        "object": [{"@id": what} for what in (*read, *(value["@id"] for value in _values(node)))],
        "result": [{"@id": file["@id"]} for file in _files(node, manifest)],
    }  # fmt: skip


def _files(node: Node, manifest: dict) -> list[dict]:
    folder = quote(str(node.folder))
    written = [
        {"@id": f"{folder}/{quote(name)}", "@type": "File", "name": name, "contentSize": str(about["size"]),
         "sha256": about["sha256"]}
        for name, about in manifest["outputs"].items()
    ]  # fmt: skip
    record = {"@id": f"{folder}/manifest.json", "@type": "File", "name": f"How {node.id} was made"}
    return [*written, record | {"encodingFormat": "application/json"}]


def _values(node: Node) -> list[dict]:
    return [
        {"@id": f"#{quote(node.id)}.{name}", "@type": "PropertyValue", "name": name, "value": json.dumps(value)}
        for name, value in node.parameters.items()
    ]


def _ended(manifest: dict) -> str:
    seconds = timedelta(seconds=round(manifest["wall_seconds"]))
    return (datetime.fromisoformat(manifest["started"]) + seconds).isoformat()


def _commits(done: dict[str, dict]) -> str:
    commits = dict.fromkeys(manifest["git"]["commit"] or "no commit" for manifest in done.values())
    return ", ".join(commits)
