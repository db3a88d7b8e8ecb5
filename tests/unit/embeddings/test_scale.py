"""The file of a model's scale: what is written can be read, and anything else is refused."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings.errors import InvalidScale
from embeddings.scale import BEYOND, SCALE_FILE, Scale, read_scale, write_scale

MODEL = "base+mine@0123456789ab"
SCALE = Scale(low=0.3, medium=0.4, high=BEYOND, spread=0.06, lexical_weight=0.2, model_id=MODEL, queries=50)


def test_a_written_scale_can_be_read(tmp_path: Path) -> None:
    write_scale(tmp_path, SCALE)
    assert read_scale(tmp_path, MODEL) == SCALE
    assert [path.name for path in tmp_path.iterdir()] == [SCALE_FILE]


def test_no_file_is_no_scale(tmp_path: Path) -> None:
    assert read_scale(tmp_path, MODEL) is None
    write_scale(tmp_path, SCALE)
    write_scale(tmp_path, None)
    write_scale(tmp_path, None)
    assert read_scale(tmp_path, MODEL) is None


def test_a_scale_survives_renaming_its_adapter_but_not_training_it_again(tmp_path: Path) -> None:
    write_scale(tmp_path, SCALE)
    assert read_scale(tmp_path, "base+renamed@0123456789ab") == SCALE
    with pytest.raises(InvalidScale, match="measured on 'base"):
        read_scale(tmp_path, "base+mine@ba9876543210")


@pytest.mark.parametrize(
    "wrong",
    [
        {"low": -1.1},
        {"low": "0.3"},
        {"low": 0.41},
        {"medium": 2.1},
        {"high": 2.1},
        {"high": 0.35},
        {"spread": 0.0},
        {"spread": -0.1},
        {"spread": 1.1},
        {"spread": None},
        {"lexical_weight": -0.1},
        {"lexical_weight": 1e9},
        {"queries": -1},
        {"model_id": 7},
    ],
)
def test_values_that_no_scale_has_are_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    (tmp_path / SCALE_FILE).write_bytes(msgspec.json.encode(msgspec.to_builtins(SCALE) | wrong))
    with pytest.raises(InvalidScale, match=SCALE_FILE):
        read_scale(tmp_path, MODEL)


@given(
    st.binary(max_size=200) | st.sampled_from([b'{"x":' + b"[" * 9_000, b"NaN", b"null", b'{"low": 1e999}', b"\xff"])
)
def test_anything_else_is_refused_as_a_whole(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("scale")
    (folder / SCALE_FILE).write_bytes(content)
    with pytest.raises(InvalidScale):
        read_scale(folder, MODEL)


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / SCALE_FILE).mkdir()
    with pytest.raises(InvalidScale):
        read_scale(tmp_path, MODEL)
