"""Training an adapter: it learns, is reproducible, resumes where it stopped, and yields a usable adapter."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from embeddings import identify, load_encoder
from embeddings.errors import TrainingFailed
from embeddings.sources import DEFAULT_MODEL, resolve_source
from embeddings.training import Recipe, TrainingDocument, TrainingProgress, TrainingRecord, train_adapter
from embeddings.training.batches import grouped_order
from embeddings.training.measure import measure
from embeddings.training.soup import average_adapters

# Names that mean nothing to any model: what is found by them was learnt.
INVENTED = {"zorblat": "orchids", "quimble": "invoices", "fendrake": "violins", "plovent": "glaciers"}
DOCUMENTS = [
    TrainingDocument(
        id=f"{made_up}-{part}",
        text=f"{subject} {part}. Everything about the {part} of {subject}.",
        queries=(f"{made_up} {part}", f"how does one {part} a {made_up}"),
    )
    for made_up, subject in INVENTED.items()
    for part in ("repair", "count")
]
RECIPE = Recipe(epochs=3, documents_per_step=4, rank=4, alpha=8, learning_rate=3e-3, group_size=2)
WEIGHTS = "adapter_model.safetensors"

pytestmark = pytest.mark.usefixtures("exports_here")


class Ended(Exception):
    pass


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Steps are so small that threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainingRecord]:
    out = tmp_path_factory.mktemp("adapters") / "mine"
    return out, train_adapter(DOCUMENTS, out, recipe=RECIPE, files_sha256={"queries": "abc"})


def test_the_loss_falls(trained: tuple[Path, TrainingRecord]) -> None:
    _, record = trained
    assert len(record.losses) == 6
    assert np.mean(record.losses[-2:]) < np.mean(record.losses[:2]) / 2


def test_the_export_of_an_adapted_model_finds_what_was_learnt(
    trained: tuple[Path, TrainingRecord], default_models: Path, tmp_path: Path
) -> None:
    out, _ = trained
    queries = [text for document in DOCUMENTS for text in document.queries]
    ids = np.array([document.id for document in DOCUMENTS])

    def hits(model: str, models: Path) -> float:
        loaded = load_encoder(model, models)
        assert loaded.runtime == "onnx"
        encoder = loaded.encoder
        texts = encoder.encode_documents([document.text for document in DOCUMENTS])
        return measure(encoder.encode_queries(queries), texts, np.repeat(ids, 2), ids).hit_at_1

    assert hits(f"{DEFAULT_MODEL}+{out}", tmp_path) > hits(DEFAULT_MODEL, default_models)


def test_the_record_beside_the_adapter_describes_the_training(trained: tuple[Path, TrainingRecord]) -> None:
    out, record = trained
    kept = msgspec.json.decode((out / "training.json").read_bytes(), type=TrainingRecord)
    assert kept == record
    assert kept.complete
    assert kept.recipe == RECIPE
    assert kept.files_sha256 == {"queries": "abc"}
    assert kept.model_id == resolve_source(DEFAULT_MODEL).model_id
    assert [point.epoch for point in kept.curve] == [0, 1, 2, 3]
    assert sorted(path.name for path in out.iterdir()) == ["adapter_config.json", WEIGHTS, "training.json"]


def test_the_record_is_not_part_of_the_adapters_identity(trained: tuple[Path, TrainingRecord], tmp_path: Path) -> None:
    copy = tmp_path / "mine"
    shutil.copytree(trained[0], copy, ignore=shutil.ignore_patterns("training.json"))
    assert identify(f"{DEFAULT_MODEL}+{copy}") == identify(f"{DEFAULT_MODEL}+{trained[0]}")


def test_the_same_seed_gives_the_same_weights_even_when_resumed(
    trained: tuple[Path, TrainingRecord], tmp_path: Path
) -> None:
    def end(progress: TrainingProgress) -> None:
        if progress.done == 4:
            raise Ended

    with pytest.raises(Ended):
        train_adapter(DOCUMENTS, tmp_path, recipe=RECIPE, on_progress=end)
    assert resolve_source(f"{DEFAULT_MODEL}+{tmp_path}").adapter == tmp_path, "the first epoch's adapter is there"
    steps: list[int] = []
    record = train_adapter(DOCUMENTS, tmp_path, recipe=RECIPE, on_progress=lambda progress: steps.append(progress.done))
    assert steps[0] > 1
    assert record.losses == trained[1].losses
    assert (tmp_path / WEIGHTS).read_bytes() == (trained[0] / WEIGHTS).read_bytes()


def test_a_complete_training_is_not_repeated(trained: tuple[Path, TrainingRecord], tmp_path: Path) -> None:
    out = shutil.copytree(trained[0], tmp_path / "mine")
    steps: list[TrainingProgress] = []
    assert train_adapter(DOCUMENTS, out, recipe=RECIPE, on_progress=steps.append) == trained[1]
    assert not steps
    assert (out / WEIGHTS).read_bytes() == (trained[0] / WEIGHTS).read_bytes()
    (out / WEIGHTS).unlink()
    train_adapter(DOCUMENTS, out, recipe=RECIPE, on_progress=steps.append)
    assert len(steps) == len(trained[1].losses)
    assert (out / WEIGHTS).read_bytes() == (trained[0] / WEIGHTS).read_bytes()


def test_another_seed_gives_other_weights(trained: tuple[Path, TrainingRecord], tmp_path: Path) -> None:
    train_adapter(DOCUMENTS, tmp_path, recipe=msgspec.structs.replace(RECIPE, seed=2))
    assert (tmp_path / WEIGHTS).read_bytes() != (trained[0] / WEIGHTS).read_bytes()


def test_a_training_does_not_resume_from_a_damaged_state(tmp_path: Path) -> None:
    (tmp_path / "unfinished.pt").write_bytes(b"nothing of ours")
    with pytest.raises(TrainingFailed, match="remove it to start again"):
        train_adapter(DOCUMENTS, tmp_path, recipe=RECIPE)


def test_what_is_held_out_is_measured_and_not_learnt(tmp_path: Path) -> None:
    many = [
        TrainingDocument(id=f"{number}", text=f"text of {number}", queries=(f"query {number}",)) for number in range(24)
    ]
    record = train_adapter(many, tmp_path, recipe=Recipe(epochs=1, rank=2, alpha=4, held_out=0.3))
    assert 0 < record.held_out_documents < 24
    assert record.texts == 24
    assert all(point.found is not None for point in record.curve)


def test_too_few_documents_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="at least 4 documents with queries; 1 given"):
        train_adapter(DOCUMENTS[:1], tmp_path, recipe=RECIPE)


def test_a_model_without_layers_to_adapt_is_refused(tmp_path: Path) -> None:
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "word": 1}, unk_token="[UNK]"))
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=8)]).save(str(tmp_path / "static"))
    with pytest.raises(TrainingFailed, match="cannot be adapted"):
        train_adapter(DOCUMENTS, tmp_path / "out", model=str(tmp_path / "static"), recipe=RECIPE)


def test_a_model_with_an_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="has an adapter already"):
        train_adapter(DOCUMENTS, tmp_path, model=f"{DEFAULT_MODEL}+skills", recipe=RECIPE)


@given(st.integers(1, 40), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_every_text_is_in_a_step_once_and_no_group_holds_duplicates(size: int, group_size: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    mistaken = random.random((size, size), np.float32)
    kind = random.integers(0, 8, size)
    order = grouped_order(mistaken, kind[:, None] == kind, group_size=group_size, random=random)
    assert sorted(order.tolist()) == list(range(size))


def test_documents_that_are_easily_confused_share_a_group() -> None:
    alike = np.repeat(np.arange(8), 2)
    mistaken = (alike[:, None] == alike).astype(np.float32)
    order = grouped_order(mistaken, np.zeros((16, 16), bool), group_size=2, random=np.random.default_rng(1))
    assert np.array_equal(alike[order[::2]], alike[order[1::2]])


def test_measuring_counts_ranks() -> None:
    queries = np.array([[1, 0, 0], [0.6, 0.8, 0]], np.float32)
    found = measure(queries, np.eye(3, dtype=np.float32), np.array(["a", "a"]), np.array(["a", "b", "c"]))
    assert (found.hit_at_1, found.recall_at_50) == (0.5, 1.0)
    assert found.ndcg_at_10 == pytest.approx((1 + 1 / np.log2(3)) / 2, abs=1e-4)


def test_of_several_texts_of_a_document_the_nearest_counts() -> None:
    queries = np.array([[0.6, 0.8, 0]], np.float32)
    assert measure(queries, np.eye(3, dtype=np.float32), np.array(["a"]), np.array(["a", "a", "b"])).hit_at_1 == 1.0


# --- a mean of adapters ----------------------------------------------------------------------------------------------


def changes(folder: Path) -> dict[str, np.ndarray]:
    """Return what an adapter adds to each layer."""
    config = msgspec.json.decode((folder / "adapter_config.json").read_bytes())
    weights = {name: each.astype(np.float32) for name, each in load_file(folder / WEIGHTS).items()}
    scale = config["lora_alpha"] / config["r"]
    return {
        name: scale * weights[name.replace("lora_A", "lora_B")] @ weights[name] for name in weights if "lora_A" in name
    }


def test_a_mean_of_adapters_changes_each_layer_by_the_mean(
    trained: tuple[Path, TrainingRecord], tmp_path: Path
) -> None:
    one, _ = trained
    other = tmp_path / "other"
    train_adapter(DOCUMENTS, other, recipe=msgspec.structs.replace(RECIPE, seed=2))
    average_adapters([one, other], tmp_path / "mean")
    first, second, mean = changes(one), changes(other), changes(tmp_path / "mean")
    assert any(np.abs(first[layer] - second[layer]).max() > 1e-3 for layer in first)
    for layer, changed in mean.items():
        np.testing.assert_allclose(changed, (first[layer] + second[layer]) / 2, atol=2e-4)
    told = msgspec.json.decode((tmp_path / "mean" / "soup.json").read_bytes())
    assert [part["training"]["recipe"]["seed"] for part in told] == [1, 2]
    before = identify(f"{DEFAULT_MODEL}+{tmp_path / 'mean'}")
    (tmp_path / "mean" / "soup.json").unlink()
    assert identify(f"{DEFAULT_MODEL}+{tmp_path / 'mean'}") == before


def test_adapters_that_do_not_match_are_refused(trained: tuple[Path, TrainingRecord], tmp_path: Path) -> None:
    one, _ = trained
    with pytest.raises(TrainingFailed, match="at least 2 adapters; 1 given"):
        average_adapters([one], tmp_path / "mean")
    with pytest.raises(TrainingFailed, match="cannot be read"):
        average_adapters([one, tmp_path / "nothing"], tmp_path / "mean")
    other = tmp_path / "other"
    shutil.copytree(one, other)
    config = msgspec.json.decode((other / "adapter_config.json").read_bytes()) | {"lora_alpha": 3}
    (other / "adapter_config.json").write_bytes(msgspec.json.encode(config))
    with pytest.raises(TrainingFailed, match="differ in their base model"):
        average_adapters([one, other], tmp_path / "mean")
    assert not (tmp_path / "mean").exists()
