"""``python -m notifier.lawbook docs/law.md``: writes the law as a page."""

import sys
from pathlib import Path

from notifier.lawbook import Lawbook
from notifier.lawbook.page import page


def main(target: Path) -> None:
    """Write the page of the law as it ships."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page(Lawbook.load()), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/law.md"))
