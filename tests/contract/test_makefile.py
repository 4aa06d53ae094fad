"""Recipes that delete: what must outlive them does."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def clean(folder: Path) -> None:
    shutil.copyfile(ROOT / "Makefile", folder / "Makefile")
    subprocess.run(["make", "clean"], cwd=folder, check=True, capture_output=True)


def test_cleaning_takes_what_can_be_made_again_and_leaves_the_secrets(tmp_path: Path) -> None:
    for name in ("var/secrets/ring/content.sealing.key", "var/intake.db", "var/keys/x.key", ".mypy_cache/x"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    clean(tmp_path)
    left = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    assert left == {"Makefile", "var/secrets/ring/content.sealing.key"}


def test_cleaning_twice_or_without_secrets_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "var" / "faults").mkdir(parents=True)
    clean(tmp_path)
    clean(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["Makefile"]
