"""Encoders that run models: the contract of every runtime, exports, adapters, and what happens when one fails."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from peft import LoraConfig, PeftModel, get_peft_model
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding
from tokenizers import Tokenizer
from transformers import AutoModel, AutoTokenizer, BertConfig

from embeddings import (
    DEFAULT_MODEL,
    Encoder,
    ExportFailed,
    HashingEncoder,
    InvalidExport,
    LoadedEncoder,
    ModelUnusable,
    identify,
    load_encoder,
)
from embeddings import export as export_module
from embeddings.export import LOWEST_COSINE, export_model
from embeddings.layout import GRAPH_FILE, LAYOUT, MANIFEST_FILE, TOKENIZER_FILE, export_folder
from embeddings.loading import load_export
from embeddings.onnx_runtime import OnnxEncoder
from embeddings.scale import Scale, write_scale
from embeddings.sources import ModelSource, resolve_source
from embeddings.texts import CHARACTERS_PER_TOKEN
from embeddings.transformer import TransformerEncoder

WIDTH = 32
TEXTS = (
    "Find out why a test fails only sometimes.",
    "fix types",
    "Split the report into sections, number its figures and check every link. " * 60,
    "",
    "def add(left: int, right: int) -> int:\n    return left + right\n" * 8,
    "修复类型错误并运行测试",
    "Naïve café 🚀",
)
# Those that sentence-transformers alone reads as they are.
WRITTEN = tuple(text for text in TEXTS if text)


@pytest.fixture(autouse=True, scope="module")
def one_torch_thread() -> None:
    # The models here are too small for more, and torch's threads wait for one another by spinning.
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def default_encoder(default_models: Path) -> LoadedEncoder:
    return load_encoder(DEFAULT_MODEL, default_models)


@pytest.fixture(scope="session")
def reference() -> TransformerEncoder:
    return TransformerEncoder(resolve_source(DEFAULT_MODEL), device="cpu")


def save_model(
    folder: Path,
    *,
    pooling: str | tuple[str, ...] = "mean",
    rest: Sequence[torch.nn.Module] = (),
    include_prompt: bool = True,
    prompts: dict[str, str] | None = None,
    precision: torch.dtype = torch.float32,
) -> Path:
    """Save a small BERT of random weights, with the default model's tokenizer, as sentence-transformers does."""
    torch.manual_seed(1)
    config = BertConfig(
        hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, initializer_range=0.2
    )
    plain = folder.with_name(f"{folder.name}-plain")
    AutoModel.from_config(config).to(precision).save_pretrained(plain)
    tokenizer = AutoTokenizer.from_pretrained(resolve_source(DEFAULT_MODEL).folder)
    tokenizer.model_max_length = 64
    tokenizer.save_pretrained(plain)
    modules = [Transformer(str(plain)), Pooling(WIDTH, pooling, include_prompt=include_prompt), *rest]
    SentenceTransformer(modules=modules, device="cpu", prompts=prompts).save(str(folder), create_model_card=False)
    return folder


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    return resolve_source(str(save_model(tmp_path_factory.mktemp("small") / "small")))


@pytest.fixture(scope="session")
def small_export(small: ModelSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_model(small, tmp_path_factory.mktemp("exports"))


@pytest.fixture(params=["hashing", "onnx", "sentence-transformers"])
def encoder(request: pytest.FixtureRequest, default_encoder: LoadedEncoder, small: ModelSource) -> Encoder:
    """Each runtime; sentence-transformers with a small model, since it is the slow one."""
    encoders: dict[str, Callable[[], Encoder]] = {
        "hashing": HashingEncoder,
        "onnx": lambda: default_encoder.encoder,
        "sentence-transformers": lambda: TransformerEncoder(small, device="cpu"),
    }
    return encoders[request.param]()


@pytest.fixture
def copied_export(small_export: Path, tmp_path: Path) -> Path:
    return shutil.copytree(small_export, tmp_path / small_export.name)


@pytest.fixture(scope="session")
def adapter(small: ModelSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter of random weights, large enough to move every vector."""
    torch.manual_seed(2)
    folder = tmp_path_factory.mktemp("adapters") / "house-style"
    base = AutoModel.from_pretrained(small.folder)
    adapted = get_peft_model(base, LoraConfig(r=4, target_modules=["query", "value"], init_lora_weights=False))
    adapted.save_pretrained(str(folder))
    return folder


def cosines(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.einsum("ij,ij->i", left, right, dtype=np.float64)


def assert_unit_rows(vectors: NDArray[np.float32], rows: int, dimension: int) -> None:
    assert vectors.shape == (rows, dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


# What every runtime promises


def test_vectors_are_unit_rows_of_the_dimension(encoder: Encoder) -> None:
    assert_unit_rows(encoder.encode_documents(TEXTS), len(TEXTS), encoder.dimension)
    assert_unit_rows(encoder.encode_queries(TEXTS), len(TEXTS), encoder.dimension)


def test_no_texts_give_no_rows(encoder: Encoder) -> None:
    assert_unit_rows(encoder.encode_documents([]), 0, encoder.dimension)
    assert_unit_rows(encoder.encode_queries(()), 0, encoder.dimension)


def test_each_text_gets_the_same_vector_as_when_encoded_alone(encoder: Encoder) -> None:
    together = encoder.encode_documents(TEXTS)
    alone = np.concatenate([encoder.encode_documents([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_a_model_without_prompts_puts_a_query_where_it_puts_the_document(encoder: Encoder) -> None:
    np.testing.assert_allclose(encoder.encode_queries(TEXTS), encoder.encode_documents(TEXTS), atol=1e-5)


@pytest.mark.parametrize(
    "text",
    ["", " \t\n", "\x00\x01\x1b[31m", "\ufeff\u200b\u202e", "\ud800", "a\udfffb", "👩‍💻", "e\u0301", "\U0010ffff"],
)
def test_any_string_has_a_vector(encoder: Encoder, text: str) -> None:
    assert_unit_rows(encoder.encode_queries([text]), 1, encoder.dimension)


@pytest.mark.parametrize(("written", "read"), [("tests \ud83d fail", "tests \ufffd fail"), ("\ud83d\ude80", "🚀")])
def test_a_surrogate_is_read_as_what_it_stands_for(encoder: Encoder, written: str, read: str) -> None:
    np.testing.assert_allclose(encoder.encode_documents([written]), encoder.encode_documents([read]), atol=1e-6)


def test_a_huge_text_is_cut_before_it_is_tokenized(encoder: Encoder) -> None:
    huge = "x, " * 4_000_000
    beginning = huge[: CHARACTERS_PER_TOKEN * encoder.max_tokens]
    started = time.process_time()
    vectors = encoder.encode_documents([huge])
    # Tokenizing all of it takes ten times as long and more.
    assert time.process_time() - started < 1.0
    np.testing.assert_allclose(vectors, encoder.encode_documents([beginning]), atol=1e-6)


def test_text_beyond_the_last_token_is_ignored(encoder: Encoder) -> None:
    filled = "test " * encoder.max_tokens
    np.testing.assert_allclose(
        encoder.encode_documents([filled + "onion soup"]), encoder.encode_documents([filled]), atol=1e-6
    )


def test_progress_adds_up_to_the_number_of_texts(encoder: Encoder) -> None:
    done: list[int] = []
    encoder.encode_documents(["a b c"] * 600, on_progress=done.append)
    assert sum(done) == 600
    assert len(done) > 1
    assert min(done) > 0


def test_an_exception_in_progress_stops_the_encoding(encoder: Encoder) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    started = time.process_time()
    with pytest.raises(KeyboardInterrupt):
        encoder.encode_documents(["a b c"] * 20_000, on_progress=stop)
    # All of them would take ten seconds and more.
    assert time.process_time() - started < 3.0
    assert_unit_rows(encoder.encode_queries(["still there"]), 1, encoder.dimension)


def test_a_single_string_is_refused(encoder: Encoder) -> None:
    with pytest.raises(TypeError, match="sequence of strings"):
        encoder.encode_documents("fix types")
    with pytest.raises(TypeError, match="sequence of strings"):
        encoder.encode_queries("fix types")


def test_many_threads_get_the_same_vectors_as_one(encoder: Encoder) -> None:
    # Lengths differ, so that threads that shared a buffer or a tokenizer's state would show.
    queries = [[f"word {number} " * (1 + number % 7)] for number in range(48)]
    alone = [encoder.encode_queries(query) for query in queries]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(encoder.encode_queries, queries))
    np.testing.assert_allclose(together, alone, atol=1e-5)


# The default model's export


def test_texts_with_the_same_meaning_are_nearer_than_others(default_encoder: LoadedEncoder) -> None:
    texts = ["repair a broken build", "fix the compiler's errors", "a recipe for onion soup"]
    vectors = default_encoder.encoder.encode_documents(texts)
    near, far = vectors[0] @ vectors[1:].T
    assert near > far + 0.1


def test_the_default_model_runs_in_onnx(default_encoder: LoadedEncoder) -> None:
    assert (default_encoder.runtime, default_encoder.degraded) == ("onnx", None)


def test_the_default_export_answers_as_sentence_transformers_does(
    default_encoder: LoadedEncoder, reference: TransformerEncoder
) -> None:
    texts = [*TEXTS, *(" ".join(f"{word}{number}" for word in ("step", "run", "错误")) for number in range(40))]
    given = default_encoder.encoder.encode_documents(texts)
    assert cosines(given, reference.encode_documents(texts)).min() >= LOWEST_COSINE


def test_identity_dimension_and_limit_are_the_same_in_both_runtimes(
    default_encoder: LoadedEncoder, reference: TransformerEncoder
) -> None:
    runs = [default_encoder.encoder, reference]
    assert {(run.model_id, run.dimension, run.max_tokens) for run in runs} == {(identify(DEFAULT_MODEL), 384, 256)}


def test_an_existing_export_is_loaded_without_torch(default_models: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from embeddings import load_encoder, DEFAULT_MODEL;"
        "loaded = load_encoder(DEFAULT_MODEL, Path(sys.argv[1]), allow_export=False);"
        "loaded.encoder.encode_queries(['fix types']);"
        "print(loaded.runtime, *{'torch', 'transformers', 'sentence_transformers'} & set(sys.modules))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, default_models], capture_output=True, check=True, text=True
    ).stdout
    assert said.split() == ["onnx"]


def test_an_encoding_that_is_stopped_leaves_no_thread_running(default_encoder: LoadedEncoder) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    # The traceback that is held here holds the encoding's frames too.
    with pytest.raises(KeyboardInterrupt) as caught:
        default_encoder.encoder.encode_documents(TEXTS * 60, on_progress=stop)
    assert caught.tb is not None
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("embeddings")]


def test_an_export_can_be_loaded_by_its_identity_alone(small: ModelSource, small_export: Path) -> None:
    loaded = load_export(small.model_id, small_export.parent)
    assert loaded is not None
    assert loaded.encoder.model_id == small.model_id
    assert load_export("another@0123", small_export.parent) is None


# Exports of other models


@pytest.mark.parametrize(
    ("pooling", "rest", "dimension"),
    [
        ("mean", (), WIDTH),
        ("cls", (), WIDTH),
        ("max", (Normalize(),), WIDTH),
        ("lasttoken", (), WIDTH),
        (("cls", "mean"), (), 2 * WIDTH),
        ("mean", (Dense(WIDTH, 8), Normalize()), 8),
    ],
)
def test_an_export_pools_as_the_model_does(
    tmp_path: Path, pooling: str | tuple[str, ...], rest: Sequence[torch.nn.Module], dimension: int
) -> None:
    source = resolve_source(str(save_model(tmp_path / "pooled", pooling=pooling, rest=rest)))
    given = OnnxEncoder(export_model(source, tmp_path / "cache")).encode_documents(TEXTS)
    assert_unit_rows(given, len(TEXTS), dimension)
    assert cosines(given, TransformerEncoder(source, device="cpu").encode_documents(TEXTS)).min() >= LOWEST_COSINE


def test_a_blank_text_has_a_vector_where_the_tokenizer_makes_no_token_of_it(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "bare")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer | {"post_processor": None}))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"tokenizer_class": "TokenizersBackend"}))
    source = resolve_source(str(folder))
    model = TransformerEncoder(source, device="cpu")
    assert model._model.tokenizer("")["input_ids"] == []
    export = OnnxEncoder(export_model(source, tmp_path / "cache"))
    for encoder in (model, export):
        assert_unit_rows(encoder.encode_documents(["", " \n", "fix types"]), 3, WIDTH)


def test_a_model_stored_in_half_precision_is_exported_in_full(tmp_path: Path) -> None:
    source = resolve_source(str(save_model(tmp_path / "half", precision=torch.bfloat16)))
    assert_unit_rows(OnnxEncoder(export_model(source, tmp_path / "cache")).encode_documents(TEXTS), len(TEXTS), WIDTH)


@pytest.mark.parametrize("name", ["document", "passage", "corpus"])
def test_an_export_puts_the_models_prompts_before_the_texts(tmp_path: Path, name: str) -> None:
    folder = save_model(tmp_path / "prompted", prompts={"query": "query: ", name: "text: "})
    export = OnnxEncoder(export_model(resolve_source(str(folder)), tmp_path / "cache"))
    plain = SentenceTransformer(str(folder), device="cpu")
    for given, prompt in (
        (export.encode_queries(WRITTEN), "query: "),
        (export.encode_documents(WRITTEN), "text: "),
    ):
        expected = plain.encode([prompt + text for text in WRITTEN], prompt="", normalize_embeddings=True)
        assert cosines(given, expected).min() >= LOWEST_COSINE


def test_a_model_that_pools_without_its_prompt_is_not_exported(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "instructed", include_prompt=False, prompts={"query": "query: "})
    with pytest.raises(ExportFailed, match="prompt"):
        export_model(resolve_source(str(folder)), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_export_that_gives_different_vectors_is_discarded(
    small: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_graph = TransformerEncoder.write_graph

    def write_after_a_change(model: TransformerEncoder, file: Path) -> None:
        weights = model._model[0].model.embeddings.LayerNorm.weight
        with torch.no_grad():
            weights[0] *= 2
            write_graph(model, file)
            weights[0] /= 2

    monkeypatch.setattr(TransformerEncoder, "write_graph", write_after_a_change)
    with pytest.raises(ExportFailed, match="different vectors") as caught:
        export_model(small, tmp_path)
    assert caught.value.model_id == small.model_id
    assert caught.value.cosine is not None
    assert caught.value.cosine < LOWEST_COSINE
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written_fails_the_export(small: ModelSource, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(ExportFailed, match="cannot be written"):
        export_model(small, tmp_path / "cache")


# Whole, damaged and contested exports


def cut_graph(folder: Path) -> None:
    graph = folder / GRAPH_FILE
    graph.write_bytes(graph.read_bytes()[:-1000])


def flip_a_bit(folder: Path) -> None:
    content = bytearray((folder / GRAPH_FILE).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / GRAPH_FILE).write_bytes(content)


def lose_tokenizer(folder: Path) -> None:
    (folder / TOKENIZER_FILE).unlink()


def empty_manifest(folder: Path) -> None:
    (folder / MANIFEST_FILE).write_bytes(b"")


def lose_manifest(folder: Path) -> None:
    (folder / MANIFEST_FILE).unlink()


def set_older_layout(folder: Path) -> None:
    manifest = (folder / MANIFEST_FILE).read_text()
    (folder / MANIFEST_FILE).write_text(manifest.replace(f'"layout": {LAYOUT}', f'"layout": {LAYOUT - 1}'))


def replace_by_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("a file")


@pytest.mark.parametrize(
    "damage",
    [cut_graph, flip_a_bit, lose_tokenizer, empty_manifest, lose_manifest, set_older_layout, replace_by_file],
    ids=lambda damage: damage.__name__,
)
class TestDamage:
    def test_is_noticed(self, copied_export: Path, damage: object) -> None:
        assert callable(damage)
        damage(copied_export)
        with pytest.raises(InvalidExport) as caught:
            OnnxEncoder(copied_export)
        assert caught.value.folder == copied_export

    def test_is_replaced_by_a_new_export(self, small: ModelSource, copied_export: Path, damage: object) -> None:
        assert callable(damage)
        damage(copied_export)
        assert export_model(small, copied_export.parent) == copied_export
        assert_unit_rows(OnnxEncoder(copied_export).encode_queries(TEXTS), len(TEXTS), WIDTH)
        assert list(copied_export.parent.iterdir()) == [copied_export]


def test_an_export_under_another_models_name_is_noticed(copied_export: Path) -> None:
    renamed = copied_export.rename(export_folder("another@0123", copied_export.parent))
    with pytest.raises(InvalidExport, match="another model"):
        OnnxEncoder(renamed)


def test_a_complete_export_that_another_process_made_meanwhile_is_kept(small: ModelSource, copied_export: Path) -> None:
    graph = copied_export / GRAPH_FILE
    before = graph.stat().st_ino
    assert export_model(small, copied_export.parent) == copied_export
    assert graph.stat().st_ino == before
    assert list(copied_export.parent.iterdir()) == [copied_export]


def test_processes_that_export_at_once_all_end_with_a_complete_export(small: ModelSource, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "embeddings.export", small.model_id, small.folder, tmp_path]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    said = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    folder = export_folder(small.model_id, tmp_path)
    assert OnnxEncoder(folder).model_id == small.model_id
    assert list(tmp_path.iterdir()) == [folder]


def test_leftovers_of_killed_exports_are_removed_once_they_are_old(small: ModelSource, tmp_path: Path) -> None:
    old, fresh = (tmp_path / f"{export_module._WORKSHOP}{name}" for name in ("old", "fresh"))
    for leftover in (old, fresh):
        leftover.mkdir()
        (leftover / GRAPH_FILE).write_bytes(b"half a graph")
    an_hour_ago = time.time() - export_module._LEFTOVER_AGE_S - 1
    os.utime(old, (an_hour_ago, an_hour_ago))
    export_model(small, tmp_path)
    assert not old.exists()
    assert fresh.exists()


# When there is no export


def test_without_an_export_nothing_is_written_where_that_is_not_allowed(small: ModelSource, tmp_path: Path) -> None:
    loaded = load_encoder(str(small.folder), tmp_path / "cache", allow_export=False)
    assert loaded.runtime == "sentence-transformers"
    assert loaded.degraded is not None
    assert "is not an export" in loaded.degraded
    assert not (tmp_path / "cache").exists()


def test_a_model_that_cannot_be_exported_runs_in_sentence_transformers_and_says_why(tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_file(str(resolve_source(DEFAULT_MODEL).folder / "tokenizer.json"))
    folder = tmp_path / "static"
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=WIDTH)], device="cpu").save(
        str(folder), create_model_card=False
    )
    loaded = load_encoder(str(folder), tmp_path / "cache")
    assert loaded.runtime == "sentence-transformers"
    assert loaded.degraded == f"{loaded.encoder.model_id} starts with a StaticEmbedding, not a transformer."
    assert_unit_rows(loaded.encoder.encode_documents(["fix types"]), 1, WIDTH)


def test_a_model_whose_files_are_broken_is_unusable(tmp_path: Path, small: ModelSource) -> None:
    folder = shutil.copytree(small.folder, tmp_path / "broken")
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelUnusable, match="broken@"):
        load_encoder(str(folder), tmp_path / "cache", allow_export=False)


def test_a_model_runs_in_sentence_transformers_when_no_process_can_export_it(
    small: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    loaded = load_encoder(str(small.folder), tmp_path / "cache")
    assert loaded.runtime == "sentence-transformers"
    assert loaded.degraded is not None
    assert "could not be started" in loaded.degraded


# Adapters


def test_an_adapter_is_merged_into_the_model(small: ModelSource, adapter: Path) -> None:
    adapted = TransformerEncoder(resolve_source(str(small.folder), adapter=adapter), device="cpu")
    unmerged = SentenceTransformer(str(small.folder), device="cpu")
    unmerged[0].model = PeftModel.from_pretrained(unmerged[0].model, adapter)
    given = adapted.encode_documents(WRITTEN)
    assert cosines(given, unmerged.encode(list(WRITTEN), normalize_embeddings=True)).min() > 0.99999
    assert cosines(given, TransformerEncoder(small, device="cpu").encode_documents(WRITTEN)).max() < 0.999


def test_an_adapted_model_is_exported_beside_the_plain_one(
    small: ModelSource, adapter: Path, copied_export: Path
) -> None:
    source = resolve_source(str(small.folder), adapter=adapter)
    folder = export_model(source, copied_export.parent)
    assert folder != copied_export
    given = OnnxEncoder(folder).encode_documents(TEXTS)
    assert cosines(given, TransformerEncoder(source, device="cpu").encode_documents(TEXTS)).min() >= LOWEST_COSINE


def test_an_adapter_of_another_model_is_unusable(adapter: Path) -> None:
    with pytest.raises(ModelUnusable, match=r"\+house-style@"):
        TransformerEncoder(resolve_source(DEFAULT_MODEL, adapter=adapter), device="cpu")


# Scales


def scale_of(source: ModelSource, *, low: float = 0.3) -> Scale:
    return Scale(low=low, medium=0.4, high=0.5, spread=0.06, lexical_weight=0.2, model_id=source.model_id, queries=50)


@pytest.fixture
def own_adapter(adapter: Path, tmp_path: Path) -> Path:
    return shutil.copytree(adapter, tmp_path / "own" / "house-style")


@pytest.mark.usefixtures("exports_here")
def test_a_scale_beside_an_adapter_goes_with_its_export(small: ModelSource, own_adapter: Path, tmp_path: Path) -> None:
    source = resolve_source(str(small.folder), adapter=own_adapter)
    assert load_encoder(str(small.folder), tmp_path, adapter=own_adapter).scale is None
    write_scale(own_adapter, scale_of(source))
    assert resolve_source(str(small.folder), adapter=own_adapter).model_id == source.model_id
    assert load_encoder(str(small.folder), tmp_path, adapter=own_adapter).scale == scale_of(source)
    shutil.rmtree(own_adapter)
    alone = load_export(source.model_id, tmp_path)
    assert alone is not None
    assert (alone.scale, alone.scale_problem) == (scale_of(source), None)


def test_a_scale_that_was_measured_anew_replaces_the_exports(
    small: ModelSource, own_adapter: Path, tmp_path: Path
) -> None:
    source = resolve_source(str(small.folder), adapter=own_adapter)
    for low in (0.3, 0.35):
        write_scale(own_adapter, scale_of(source, low=low))
        load_encoder(str(small.folder), tmp_path, adapter=own_adapter)
        exported = load_export(source.model_id, tmp_path)
        assert exported is not None
        assert exported.scale == scale_of(source, low=low)


def test_a_scale_is_read_in_the_slow_runtime_too(small: ModelSource, own_adapter: Path, tmp_path: Path) -> None:
    source = resolve_source(str(small.folder), adapter=own_adapter)
    write_scale(own_adapter, scale_of(source))
    loaded = load_encoder(str(small.folder), tmp_path / "none", adapter=own_adapter, allow_export=False)
    assert (loaded.runtime, loaded.scale) == ("sentence-transformers", scale_of(source))
    assert not (tmp_path / "none").exists()


def test_a_scale_that_cannot_be_used_is_ignored_and_reported(copied_export: Path, small: ModelSource) -> None:
    (copied_export / "scale.json").write_text('{"low": 0.9}')
    loaded = load_export(small.model_id, copied_export.parent)
    assert loaded is not None
    assert loaded.scale is None
    assert loaded.scale_problem is not None
    assert "scale.json" in loaded.scale_problem
