"""``python -m benchmarks [--test FILE] [--short FILE]``: each part against the usual way, in turn."""

import subprocess
import sys


def main() -> None:
    """Run all; options go to those that judge a model."""
    for name, options in (("features", []), ("model", sys.argv[1:]), ("retrain", sys.argv[1:]), ("stars", [])):
        print(f"\n## {name}\n", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *options], check=True)


if __name__ == "__main__":
    main()
