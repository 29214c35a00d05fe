"""The sample recipe: captions, the split, and that no test design leaks into training."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.sample.captions import captions, plural
from export.sample.designs import DESIGNS, Role
from export.sample.drawings import Drawing, rendered
from export.sample.objects import DrawnObject, normal_code, squashed
from export.sample.packages import Package, PackageError, fetched, member

WORD = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8)


@given(title=WORD, synonyms=st.lists(WORD, max_size=9), context=st.lists(WORD, max_size=9))
def test_captions_start_with_the_title_and_never_repeat(
    title: str, synonyms: list[str], context: list[str]
) -> None:
    texts = captions(title, tuple(synonyms), tuple(context))
    assert texts[0] == title
    assert len(set(texts)) == len(texts)


@given(title=WORD, context=st.lists(WORD, min_size=1, max_size=9))
def test_a_word_for_the_kind_alone_is_no_caption(title: str, context: list[str]) -> None:
    texts = captions(title, (), tuple(word for word in context if word != title))
    forms = {title, plural(title)}
    assert not {word for word in context if word in texts} - forms


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("shoe", "shoes"),
        ("box", "boxes"),
        ("cherry", "cherries"),
        ("toy", "toys"),
        ("jeans", "jeans"),
    ],
)
def test_plurals(one: str, many: str) -> None:
    assert plural(one) == many


def test_the_test_design_has_no_other_generation_in_training() -> None:
    families = {design.name: design.name.removesuffix("-v1") for design in DESIGNS}
    train = {families[design.name] for design in DESIGNS if design.role is Role.TRAIN}
    judged = {families[design.name] for design in DESIGNS if design.role is not Role.TRAIN}
    assert judged
    assert not train & judged


def test_about_a_tenth_of_the_objects_is_held_out() -> None:
    codes = [f"{number:X}" for number in range(0x1F300, 0x1F300 + 2000)]
    held = [DrawnObject(code, "x", "y", ("x",), frozenset()).held_out for code in codes]
    assert 0.08 < sum(held) / len(held) < 0.12


def test_names_and_codes_have_one_spelling() -> None:
    assert normal_code("1f6e0-fe0f") == "1F6E0"
    assert squashed("Hammer & Wrench") == squashed("hammer-wrench") == "hammerwrench"


def test_a_drawing_is_rendered_with_transparency_around_it() -> None:
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10">'
        '<circle cx="5" cy="5" r="3" fill="red"/></svg>'
    )
    picture = rendered(Drawing("0", svg), 20)
    assert picture.size == (20, 20)
    assert picture.getpixel((0, 0)) == (0, 0, 0, 0)
    assert picture.getpixel((10, 10)) == (255, 0, 0, 255)


def test_a_package_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    package = Package("@scope/name", "1.0.0", "0" * 64)
    with tarfile.open(tmp_path / package.file_name, "w:gz") as archive:
        info = tarfile.TarInfo("package/a.json")
        info.size = 2
        archive.addfile(info, io.BytesIO(b"{}"))
    with pytest.raises(PackageError, match="has the hash"):
        fetched(package, tmp_path)
    assert member(tmp_path / package.file_name, "a.json").read() == b"{}"
    with pytest.raises(PackageError, match="no file"):
        member(tmp_path / package.file_name, "b.json")
