"""``python -m benchmarks [--test FILE]``: the features, then the model, each against the usual way, in one run each."""

import subprocess
import sys


def main() -> None:
    """Run both; options go to the model's."""
    for name, options in (("features", []), ("model", sys.argv[1:])):
        print(f"\n## {name}\n", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *options], check=True)


if __name__ == "__main__":
    main()
