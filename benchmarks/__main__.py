"""``python -m benchmarks [--test FILE] [--short FILE]``: ours against the usual way; errors of gate and drift."""

import subprocess
import sys


def main() -> None:
    """Run all; options go to those that judge a model."""
    given = sys.argv[1:]
    for name, options in (
        ("features", []),
        ("model", given),
        ("retrain", given),
        ("stars", []),
        ("scoring", []),
        ("gate", []),
        ("serving", []),
        ("drift", ["--trials", "40", "--rivals", "2"]),
        ("drift_race", []),
    ):
        print(f"\n## {name}\n", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *options], check=True)


if __name__ == "__main__":
    main()
