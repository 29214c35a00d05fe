"""Uploads: the same for the same seed, of the sizes that were asked for, as phones store them."""

from __future__ import annotations

import io
import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from loadtest.make_pictures import make
from loadtest.photos import (
    DEFAULT_SHARES,
    ORIENTATION_TAG,
    SIZES,
    parse_shares,
    photo,
    size_names,
)
from loadtest.picture_folder import BadFolder, PictureFolder

RED = Image.new("RGB", (64, 64), "red")
CORNERED = Image.new("RGBA", (64, 64))
CORNERED.paste((255, 0, 0, 255), (0, 0, 64, 32))
CORNERED.paste((0, 0, 255, 255), (0, 32, 64, 64))


def files(folder: PictureFolder) -> dict[str, bytes]:
    return {p.file: (folder.path / p.file).read_bytes() for p in folder.pictures}


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert photo(RED, SIZES["vga"], 7, 3) == photo(RED, SIZES["vga"], 7, 3)


def test_seed_and_number_give_other_pictures() -> None:
    made = {photo(RED, SIZES["thumbnail"], seed, number) for seed in (1, 2) for number in range(5)}
    assert len(made) == 10


@pytest.mark.parametrize("name", ["thumbnail", "vga", "2mp"])
def test_pictures_have_the_size_that_they_are_named_for(name: str) -> None:
    size = SIZES[name]
    jpegs = [photo(RED, size, 1, number) for number in range(3)]
    for jpeg in jpegs:
        with Image.open(io.BytesIO(jpeg)) as picture:
            assert picture.format == "JPEG"
            assert picture.size == (size.width_px, size.height_px)
        assert 0.7 < len(jpeg) / size.target_bytes < 1.3


def test_a_phone_photo_is_upright_only_once_its_exif_is_obeyed() -> None:
    size = replace(SIZES["phone"], width_px=400, height_px=300, target_bytes=40_000)
    seen = set()
    for number in range(12):
        with Image.open(io.BytesIO(photo(CORNERED, size, 1, number))) as stored:
            orientation = stored.getexif()[ORIENTATION_TAG]
            assert stored.size == (400, 300)
            upright = ImageOps.exif_transpose(stored)
        seen.add(orientation)
        assert upright.size == ((300, 400) if orientation in (6, 8) else (400, 300))
        assert red_lies_above_blue(upright)
    assert seen == {1, 3, 6, 8}


def red_lies_above_blue(picture: Image.Image) -> bool:
    """By the mean rows of what is strongly red and strongly blue."""
    rows: dict[str, list[int]] = {"red": [], "blue": []}
    for y in range(0, picture.height, 4):
        for x in range(0, picture.width, 4):
            pixel = picture.getpixel((x, y))
            assert isinstance(pixel, tuple)
            red, green, blue = pixel
            if red > 130 and max(green, blue) < 35:
                rows["red"].append(y)
            if blue > 130 and max(red, green) < 35:
                rows["blue"].append(y)
    means = {name: sum(found) / max(1, len(found)) for name, found in rows.items()}
    return means["red"] < means["blue"]


def test_any_first_n_have_the_shares_that_were_asked_for() -> None:
    total = sum(DEFAULT_SHARES.values())
    for count in (7, 50, 333, 2_000):
        given = Counter(itertools.islice(size_names(DEFAULT_SHARES), count))
        for name, share in DEFAULT_SHARES.items():
            assert abs(given[name] - share / total * count) <= 1


@pytest.mark.parametrize("text", ["huge=10", "vga", "vga=-1,2mp=2", "vga=0"])
def test_shares_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_shares(text)


def test_making_goes_on_where_it_stopped(folder: PictureFolder, tmp_path: Path) -> None:
    """A file that is there is kept; one that is missing is made as it was; more change nothing."""
    again = replace(folder, path=tmp_path, pictures=())
    source = folder.path / "source"
    make(again, source, 3, 1, lambda _: None)
    first, second = (p.file for p in PictureFolder.load(tmp_path).pictures[:2])
    (tmp_path / first).unlink()
    (tmp_path / second).write_bytes(b"kept")
    done: list[int] = []
    finished = make(again, source, 8, 1, done.append)
    assert files(finished) == files(folder) | {second: b"kept"}
    assert done == list(range(1, 9))


def test_a_folder_that_is_not_finished_says_so(folder: PictureFolder, tmp_path: Path) -> None:
    with pytest.raises(BadFolder, match="make_pictures"):
        PictureFolder.load(tmp_path)
    replace(folder, path=tmp_path, pictures=()).save()
    with pytest.raises(BadFolder, match="goes on"):
        PictureFolder.load(tmp_path).complete()


def test_the_manifest_says_what_is_there(folder: PictureFolder) -> None:
    loaded = PictureFolder.load(folder.path)
    assert loaded == folder
    assert "6 thumbnail" in loaded.summary()
    assert {p.item_id for p in loaded.pictures} <= {e.id for e in loaded.entries}
