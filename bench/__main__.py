"""`make bench`: run the measurements; `ARGS=w5_mapping` runs one."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    works = sorted(path.stem for path in HERE.glob("w*_*.py"))
    wanted = sys.argv[1:] or works
    for name in wanted:
        if name not in works:
            raise SystemExit(f"no measurement {name!r}; there are: {', '.join(works)}")
    for name in wanted:
        print(f"== {name}", flush=True)
        sys.argv = [str(HERE / f"{name}.py")]
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
