"""``python -m benchmarks [--test FILE]``: features and model against the usual way, then the gate's error rates."""

import subprocess
import sys


def main() -> None:
    """Run them one after the other; options go to the model's."""
    for name, options in (("features", []), ("model", sys.argv[1:]), ("gate", [])):
        print(f"\n## {name}\n", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *options], check=True)


if __name__ == "__main__":
    main()
