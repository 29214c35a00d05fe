"""Releases to switch to, made in seconds: one in a rotated space, one of another architecture."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from export.formats import Target
from export.release_export import ExportOrder, export_release
from export.release_writer import Destination
from gateway.adapters.release_files import (
    digest,
    load_release,
    manifest_path,
    write_golden,
    write_manifest,
)
from gateway.domain.release import fingerprint
from tests.export.models import CONFIGS, model_folder

OUTPUT = "vector"
TOWERS = ("image", "text")
FILES = ("model.onnx", "model.py")


def rotated(repository: Path, source: str, name: str) -> None:
    """`source`'s own towers, with every vector turned by one random rotation: the same neighbours,
    in a space of the same size in which no vector of `source` matches anything."""
    loaded = load_release(repository, source)
    old = loaded.release
    turn = _rotation(old.dim)
    weights = {}
    for tower in TOWERS:
        folder = repository / f"{name}-{tower}"
        shutil.copytree(repository / f"{source}-{tower}", folder)
        config = folder / "config.pbtxt"
        config.write_text(config.read_text().replace(f'"{source}-{tower}"', f'"{name}-{tower}"', 1))
        graph = folder / "1" / "model.onnx"
        _append(graph, turn)
        weights[f"{tower}/model.onnx"] = digest(graph)
    tokenizer, golden = f"{name}.tokenizer.json", f"{name}.golden.npz"
    shutil.copy(repository / old.tokenizer_file, repository / tokenizer)
    write_golden(
        repository / golden,
        replace(
            loaded.golden,
            image_vectors=loaded.golden.image_vectors @ turn,
            text_vectors=loaded.golden.text_vectors @ turn,
        ),
    )
    image = replace(old.image, model=f"{name}-image")
    text = replace(old.text, model=f"{name}-text")
    towers = [f"{name}-{tower}/1/{file}" for tower in TOWERS for file in FILES]
    precision, own_tokenizer = old.precision, digest(repository / tokenizer)
    release = replace(
        old,
        id=name,
        image=image,
        text=text,
        tokenizer_file=tokenizer,
        golden_file=golden,
        weights=weights,
        digests={file: digest(repository / file) for file in [tokenizer, golden, *towers]},
        fingerprint=fingerprint(weights, own_tokenizer, image, text, precision),
    )
    assert not manifest_path(repository, name).exists()
    write_manifest(repository, release)


def other_architecture(repository: Path, name: str, folder: Path) -> None:
    """A small untrained model: other towers, tokenizer, image size and vector length."""
    folder.mkdir()
    choice = model_folder(folder, CONFIGS["timm-eos"])
    order = ExportOrder(choice, Destination(repository, name), Target.ONNX_CPU)
    export_release(order, lambda _step: None)


def _rotation(dim: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    rows = np.random.default_rng(7).normal(size=(dim, dim))
    return np.linalg.qr(rows)[0].astype(np.float32)


def _append(path: Path, turn: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> None:
    """Puts the rotation behind the graph's output."""
    model = onnx.load(path)
    graph = model.graph
    for node in graph.node:
        for part in (node.input, node.output):
            for number, tensor in enumerate(part):
                if tensor == OUTPUT:
                    part[number] = "vector_before_the_turn"
    graph.initializer.append(numpy_helper.from_array(turn, "turn"))
    graph.node.append(helper.make_node("MatMul", ["vector_before_the_turn", "turn"], [OUTPUT]))
    onnx.save(model, path)
