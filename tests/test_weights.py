"""Weights come back as they were saved, or are refused by name; nothing half-written, no foreign code run."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from antidisrupt_lib import weights
from antidisrupt_lib.weights import find_weights, load_state, read_foreign_checkpoint, read_weights, save_weights


def network(width: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width))


def test_weights_and_card_survive_the_disk(tmp_path):
    saved, loaded = network(), network()
    save_weights(tmp_path / "new" / "w.safetensors", saved, {"architecture": {"width": 4}, "data": "drawn"})
    state, about = read_weights(tmp_path / "new" / "w.safetensors")
    load_state(loaded, state, "w")
    assert about == {"architecture": {"width": 4}, "data": "drawn"}
    assert all(torch.equal(loaded.state_dict()[name], value) for name, value in saved.state_dict().items())


def test_half_precision_halves_the_file_and_comes_back_as_float32(tmp_path):
    saved, loaded = network(400), network(400)
    save_weights(tmp_path / "full.safetensors", saved, {})
    save_weights(tmp_path / "half.safetensors", saved, {}, dtype=torch.float16)
    full, half = ((tmp_path / f"{name}.safetensors").stat().st_size for name in ("full", "half"))
    assert half < 0.55 * full
    with safe_open(tmp_path / "half.safetensors", framework="pt") as file:
        assert file.get_tensor("0.weight").dtype == torch.float16
        assert file.get_tensor("1.num_batches_tracked").dtype == torch.int64
    load_state(loaded, read_weights(tmp_path / "half.safetensors")[0], "half")
    assert loaded[0].weight.dtype == torch.float32 and saved[0].weight.dtype == torch.float32
    torch.testing.assert_close(loaded[0].weight, saved[0].weight, rtol=1e-3, atol=1e-6)


def test_a_failure_while_writing_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    save_weights(tmp_path / "w.safetensors", network(), {"version": 1})
    before = (tmp_path / "w.safetensors").read_bytes()

    def fail_halfway(path, data):
        path.write_text("half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail_halfway)
    with pytest.raises(OSError, match="no space"):
        save_weights(tmp_path / "w.safetensors", network(), {"version": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]
    assert (tmp_path / "w.safetensors").read_bytes() == before


def test_whoever_reads_the_old_weights_reads_them_to_their_end(tmp_path):
    save_weights(tmp_path / "w.safetensors", network(), {})
    before = (tmp_path / "w.safetensors").read_bytes()
    with open(tmp_path / "w.safetensors", "rb") as reader:
        save_weights(tmp_path / "w.safetensors", network(8), {})
        assert reader.read() == before != (tmp_path / "w.safetensors").read_bytes()


def test_weights_that_do_not_fit_are_refused_by_name_and_not_loaded():
    state = network().state_dict()
    cases = {
        "1 missing (1.bias)": {name: value for name, value in state.items() if name != "1.bias"},
        "1 unknown (2.weight)": state | {"2.weight": torch.zeros(1)},
        "0.weight: (5, 3, 3, 3) instead of (4, 3, 3, 3)": network(5).state_dict(),
    }
    for words, given in cases.items():
        target = network()
        before = target[0].weight.clone()
        with pytest.raises(ValueError) as refusal:
            load_state(target, given, "my.safetensors")
        assert words in str(refusal.value) and "my.safetensors" in str(refusal.value)
        assert torch.equal(target[0].weight, before)


def test_unreadable_and_absent_weights_are_refused_with_their_path(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"<html>Quota exceeded</html>")
    with pytest.raises(ValueError, match="w.safetensors is a web page instead of weights"):
        read_weights(tmp_path / "w.safetensors")
    with pytest.raises(FileNotFoundError, match="nothing at .*absent.safetensors"):
        read_weights(tmp_path / "absent.safetensors")
    with pytest.raises(FileNotFoundError, match="nothing at .*absent.ckpt"):
        read_foreign_checkpoint(tmp_path / "absent.ckpt")


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_code_in_a_foreign_checkpoint_is_never_run(tmp_path):
    torch.save({"w": torch.zeros(2), "bomb": Bomb(tmp_path / "ran")}, tmp_path / "evil.ckpt")
    with pytest.raises(
        ValueError, match="evil.ckpt is no checkpoint of plain tensors, and code in it is never run here"
    ):
        read_foreign_checkpoint(tmp_path / "evil.ckpt")
    assert not (tmp_path / "ran").exists()
    torch.load(tmp_path / "evil.ckpt", weights_only=False)  # the bomb is live
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [[torch.zeros(2)], {"steps": 5}, {}, {1: torch.zeros(2)}])
def test_a_foreign_checkpoint_must_be_a_plain_table_of_tensors(tmp_path, content):
    torch.save(content, tmp_path / "c.pth")
    with pytest.raises(ValueError, match="no plain table of tensors"):
        read_foreign_checkpoint(tmp_path / "c.pth")


def test_zoo_names_weights_that_ship_with_the_library(tmp_path):
    assert find_weights("zoo/g.safetensors") == Path(weights.__file__).parent / "zoo" / "g.safetensors"
    assert find_weights("runs/zoo/g.safetensors") == Path("runs/zoo/g.safetensors")
    assert find_weights(tmp_path / "zoo" / "g.safetensors") == tmp_path / "zoo" / "g.safetensors"
