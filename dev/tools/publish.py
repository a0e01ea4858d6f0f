"""Stamp the project's address into README and notebooks: `make publish REPO=owner/name`.

Keeps the address in dev/tools/series.toml, and lets dev/tools/stamp.py put badges and set-up lines
everywhere; a second time it changes nothing. The notebooks then fetch lggseg at the tag v<version
of pyproject.toml>.
"""

import argparse
import re
import sys
from pathlib import Path

from . import stamp

ADDRESS = re.compile(r'^repository = ".*"$', re.MULTILINE)


def publish(repository: str, root: Path = stamp.ROOT) -> list[Path]:
    """Note the address 'owner/name' and stamp it ('' takes it out again); returns the files that
    changed.
    """
    if not re.fullmatch(r"([\w.-]+/[\w.-]+)?", repository):
        raise ValueError(
            f"{repository!r} is no address; give owner/name, as in github.com/owner/name"
        )
    series = root / "dev" / "tools" / "series.toml"
    text = series.read_text(encoding="utf-8")
    series.write_text(ADDRESS.sub(f'repository = "{repository}"', text, count=1), encoding="utf-8")
    before = {path: path.read_text(encoding="utf-8") for path in stamp.stamped(root)}
    stamp.main([], root)
    return [path for path, old in before.items() if path.read_text(encoding="utf-8") != old]


def main(arguments: list[str] | None = None, root: Path = stamp.ROOT) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("repository", help="owner/name on GitHub")
    repository = parser.parse_args(arguments).repository
    try:
        changed = publish(repository, root)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    tag = stamp.tag(root)
    print(
        f"{len(changed)} files changed. Now commit, and tag what you push:\n"
        f"  git tag {tag} && git push https://github.com/{repository} HEAD {tag}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
