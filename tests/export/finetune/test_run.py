"""A whole run: it resumes as if never killed, publishes a model, and says what is wrong."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from export.finetune.checkpoint import CHECKPOINT_FILE
from export.finetune.errors import BadCheckpoint, BadDevice, Diverged, TooFewPairs
from export.finetune.history import Evaluation
from export.finetune.model import WEIGHTS_FILE
from export.finetune.options import Options
from export.finetune.run import Result, run


class Killed(Exception):
    """Stands for SIGKILL between two steps."""


def nothing(step: int, loss: float, latest: Evaluation | None) -> None:
    """No progress bar."""


def finished(options: Options) -> Result:
    return run(options, nothing)


def killed_after(options: Options, steps: int) -> None:
    def kill(step: int, loss: float, latest: Evaluation | None) -> None:
        if step == steps:
            raise Killed

    with pytest.raises(Killed):
        run(options, kill)


@pytest.mark.parametrize("steps", [1, 3, 4])
def test_a_killed_run_ends_as_if_it_had_not_been_killed(
    options: Options, tmp_path: Path, steps: int
) -> None:
    unbroken = finished(options)
    broken = replace(options, out_dir=tmp_path / "broken")
    killed_after(broken, steps)
    resumed = finished(broken)
    states = [
        torch.load(folder / CHECKPOINT_FILE, weights_only=True)
        for folder in (options.out_dir, broken.out_dir)
    ]
    for part in ("network", "average"):
        for name, tensor in states[0][part].items():
            assert torch.equal(tensor, states[1][part][name]), (part, name)
    assert [replace(item, pictures_per_second=0) for item in resumed.history] == [
        replace(item, pictures_per_second=0) for item in unbroken.history
    ]


def test_open_clip_loads_the_published_folder(options: Options) -> None:
    finished(options)
    network, _, transform = open_clip.create_model_and_transforms(f"local-dir:{options.out_dir}")
    tokens = open_clip.get_tokenizer(f"local-dir:{options.out_dir}")(["thing number 3"])
    assert tokens.shape == (1, 12)
    assert network.encode_text(tokens).shape == (1, 16)
    picture = Image.new("RGB", (50, 40), "red")
    assert network.encode_image(transform(picture)[None]).shape == (1, 16)


def test_the_published_weights_are_those_of_the_best_evaluation(options: Options) -> None:
    result = finished(options)
    assert result.best.score == max(item.score for item in result.history)
    report = json.loads((options.out_dir / "training.json").read_text())
    assert report["best"]["step"] == result.best.step
    if result.best.step == options.schedule.steps:
        average = torch.load(options.out_dir / CHECKPOINT_FILE, weights_only=True)["average"]
        weights = load_file(options.out_dir / WEIGHTS_FILE)
        assert all(torch.equal(tensor, weights[name]) for name, tensor in average.items())


def test_every_evaluation_is_in_the_table_and_the_picture(options: Options) -> None:
    result = finished(options)
    with (options.out_dir / "curve.csv").open() as table:
        steps = [int(row["step"]) for row in csv.DictReader(table)]
    assert steps == [2, 4, 6] == [item.step for item in result.history]
    with Image.open(options.out_dir / "curve.png") as curve:
        assert curve.format == "PNG"


def test_a_finished_run_is_not_run_again(options: Options) -> None:
    first = finished(options)
    steps: list[int] = []
    again = run(options, lambda step, loss, latest: steps.append(step))
    assert steps == []
    assert again == first


def test_another_run_in_the_same_folder_is_refused(options: Options) -> None:
    finished(options)
    with pytest.raises(BadCheckpoint, match="other options"):
        finished(replace(options, schedule=replace(options.schedule, learning_rate=0.5)))


def test_unreadable_pictures_are_skipped_counted_and_listed(options: Options) -> None:
    (options.data.parent / "1-0.png").write_text("no picture")
    (options.data.parent / "4-1.png").unlink()
    whole = (options.data.parent / "2-0.png").read_bytes()
    (options.data.parent / "2-0.png").write_bytes(whole[: len(whole) // 2])
    assert finished(options).skipped == 3
    lines = (options.out_dir / "skipped.jsonl").read_text().splitlines()
    named = {Path(json.loads(line)["image"]).name for line in lines}
    assert named == {"1-0.png", "4-1.png", "2-0.png"}


def test_fewer_products_than_a_batch_is_a_sentence(options: Options) -> None:
    with pytest.raises(TooFewPairs, match=r"9 products .* one batch of 64; lower --batch"):
        finished(replace(options, schedule=replace(options.schedule, products_per_batch=64)))


def test_nothing_held_out_is_a_sentence(options: Options) -> None:
    rows = options.data.read_text().replace("heldout", "train")
    options.data.write_text(rows)
    with pytest.raises(TooFewPairs, match="held-out"):
        finished(options)


def test_a_loss_that_is_no_number_ends_the_run(options: Options) -> None:
    wild = replace(options.schedule, learning_rate=float("inf"), warmup_steps=0)
    with pytest.raises(Diverged, match="lower --learning-rate"):
        finished(replace(options, schedule=wild))


@pytest.mark.parametrize("device", ["cuda:99", "abacus"])
def test_a_device_that_is_not_there_is_a_sentence(options: Options, device: str) -> None:
    with pytest.raises(BadDevice, match=f"The device {device} cannot be used"):
        finished(replace(options, device=device))


def test_a_run_without_gain_stops_early(options: Options) -> None:
    still = replace(options.schedule, steps=40, learning_rate=0.0, patience=2)
    result = finished(replace(options, schedule=still))
    assert result.stopped_early
    assert [item.step for item in result.history] == [2, 4, 6]


@pytest.mark.slow
def test_training_learns_to_tell_colours_apart(options: Options) -> None:
    longer = replace(options.schedule, steps=150, evaluate_every=150, warmup_steps=10)
    result = finished(replace(options, schedule=longer))
    assert result.history[-1].text_to_picture == 1.0


KILLABLE = """
import sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from export.finetune.options import ModelSource, Options, Schedule
from export.finetune.run import run

data, config, out = map(Path, sys.argv[1:])
schedule = Schedule(
    steps=6, products_per_batch=8, learning_rate=1e-3, warmup_steps=2, evaluate_every=2, seed=7
)
source = ModelSource(config=config, vocabulary_size=300)
run(Options(data, out, source, schedule), lambda step, loss, latest: time.sleep(60 * (step == 3)))
"""


@pytest.mark.slow
def test_a_process_that_is_killed_hard_leaves_a_run_to_go_on_with(
    options: Options, tiny_config: Path, tmp_path: Path
) -> None:
    broken = replace(options, out_dir=tmp_path / "broken")
    arguments = [str(options.data), str(tiny_config), str(broken.out_dir)]
    with subprocess.Popen([sys.executable, "-c", KILLABLE, *arguments]) as process:
        deadline = time.monotonic() + 120
        while not (broken.out_dir / CHECKPOINT_FILE).is_file() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.kill()
    finished(broken)
    finished(options)
    for name, tensor in load_file(options.out_dir / WEIGHTS_FILE).items():
        assert torch.equal(tensor, load_file(broken.out_dir / WEIGHTS_FILE)[name]), name
