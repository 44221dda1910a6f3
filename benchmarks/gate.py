"""How often the gate is wrong: what it lets through that it should not, and what it keeps that it need not.

The main test is counted out exactly over all outcomes that can occur; the others and the whole gate are simulated, in
thousands of trials. Each table has the rate beside what was promised. Run it with
``python -m benchmarks.gate [--trials N]``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from scipy import stats

from sentiment.settings import GatePolicy
from sentiment.training.evidence import Evidence, ModelEvidence
from sentiment.training.gate import Decision, Outcome, decide
from sentiment.training.paired import Pairs

POLICY = GatePolicy()
LABELS = {2: ("negative", "positive"), 5: ("1", "2", "3", "4", "5")}
SHARES = {2: (0.5, 0.5), 5: (0.35, 0.1, 0.05, 0.15, 0.35)}

Test = Callable[[Pairs, float], float]


def wald(pair: Pairs, margin: float) -> float:
    """Return the p-value of the usual interval, with one pair added to each side: what is compared with."""
    discordant = pair.gained + pair.lost + 2
    error = np.sqrt(discordant - (pair.gained - pair.lost) ** 2 / pair.rows) / pair.rows
    return float(stats.norm.sf((pair.difference + margin) / error))


def tango(pair: Pairs, margin: float) -> float:
    """Return the p-value of the gate's test."""
    return pair.p_not_worse(margin)


def proved(test: Test, rows: int, *, gained: float, lost: float, margin: float) -> float:
    """Return the exact probability that a test proves "no worse by the margin"."""
    found = 0.0
    for won in range(int(stats.binom.isf(1e-6, rows, max(gained, 1e-9))) + 2):
        counts = np.arange(min(int(stats.binom.isf(1e-6, rows, lost)) + 2, rows - won) + 1)
        shares = stats.binom.pmf(won, rows, gained) * stats.binom.pmf(counts, rows - won, lost / (1 - gained))
        found += float(shares[[test(Pairs(rows, won, lost), margin) <= POLICY.alpha for lost in counts.tolist()]].sum())
    return found


def main_test() -> None:
    """Print the rates of the main test."""
    margin = POLICY.margin
    print(f"Accuracy, margin {margin:.0%}: how often the test proves a challenger no worse\n")
    print("| held-out | models differ on | worse by the margin | (usual interval) | equal | power formula |")
    print("|---|---|---|---|---|---|")
    for rows in (200, 1_000, 5_000):
        for discordant in (0.01, 0.02, 0.05, 0.10):
            lost = (discordant + margin) / 2
            bad = [proved(test, rows, gained=discordant - lost, lost=lost, margin=margin) for test in (tango, wald)]
            equal = proved(tango, rows, gained=discordant / 2, lost=discordant / 2, margin=margin)
            line = (
                f"{rows:,}",
                f"{discordant:.0%}",
                *(f"{rate:.1%}" for rate in (*bad, equal, power(rows, discordant))),
            )
            print("| " + " | ".join(line) + " |", flush=True)


def power(rows: int, discordant: float) -> float:
    """Return how often an equal challenger should pass: what "needs about N more" is computed with."""
    return float(stats.norm.cdf(POLICY.margin * np.sqrt(rows / discordant) - stats.norm.ppf(1 - POLICY.alpha)))


def trial(rng: np.random.Generator, rows: int, labels: int, *, discordant: float, lost: np.ndarray) -> Evidence:
    """Return evidence about two models that differ on a share of the rows.

    Parameters
    ----------
    lost : ndarray of shape (4,)
        What the challenger loses in accuracy on each of four sources.
    """
    source = rng.integers(0, 4, rows)
    truth, u, loss = rng.choice(labels, rows, p=SHARES[labels]), rng.random(rows), lost[source]
    both = u < 0.08
    champion_wrong = both | ((u > 0.08) & (u < 0.08 + (discordant - loss) / 2))
    challenger_wrong = both | (u > 1 - (discordant + loss) / 2)
    kinds = np.repeat([f"kind {number}" for number in range(8)], 60)
    groups = np.arange(480) // 3
    fails = rng.random(160)[groups]
    models = []
    for side, wrong in enumerate((challenger_wrong, champion_wrong)):
        sure = np.clip(rng.beta(9, 1, rows), 1 / labels + 0.01, 0.999)
        answer = np.where(wrong, (truth + rng.integers(1, labels, rows)) % labels, truth)
        probabilities = np.repeat(((1 - sure) / (labels - 1))[:, None], labels, axis=1)
        probabilities[np.arange(rows), answer] = sure
        failed = (fails < 0.2) ^ (rng.random(160) < 0.02)[groups]
        models.append(ModelEvidence(str(side), probabilities, failed, 2.0, np.ones(9), 4 * rows))
    slices = {f"source {name}": source == name for name in range(4)}
    slices |= {f"label {name}": truth == column for column, name in enumerate(LABELS[labels])}
    return Evidence(
        "reviews@v2", LABELS[labels], truth, *models, known=rng.random(rows) < 0.8, slices=slices, kinds=kinds,
        groups=groups,
        train_labels={name: int(share * 4 * rows) for name, share in zip(LABELS[labels], SHARES[labels], strict=True)},
    )  # fmt: skip


def whole_gate(trials: int) -> None:
    """Print how often the whole gate promotes."""
    margin = POLICY.margin
    print("\nThe whole gate, simulated: every check at once\n")
    print("| labels | held-out | models differ on | challenger | promoted | inconclusive | rejected | should be |")
    print("|---|---|---|---|---|---|---|---|")
    stories = {
        "equal": np.zeros(4),
        "worse by the margin": np.full(4, margin),
        "better by the margin": np.full(4, -margin),
    }
    for labels, rows, discordant in ((2, 1_000, 0.05), (2, 5_000, 0.05), (5, 5_000, 0.05)):
        for name, lost in stories.items():
            decisions = simulate(trials, rows, labels, discordant=discordant, lost=lost)
            shares = [np.mean([decision.outcome is outcome for decision in decisions]) for outcome in
                      (Outcome.promote, Outcome.inconclusive, Outcome.reject)]  # fmt: skip
            promised = {"equal": f"about {power(rows, discordant):.0%}"}.get(name, "")
            promised = promised or (f"at most {POLICY.alpha:.0%}" if "worse" in name else "")
            line = (
                str(labels),
                f"{rows:,}",
                f"{discordant:.0%}",
                name,
                *(f"{share:.1%}" for share in shares),
                promised,
            )
            print("| " + " | ".join(line) + " |", flush=True)


def guards(trials: int) -> None:
    """Print how often single guards refuse a challenger that loses exactly what they allow."""
    print("\nA slice that loses exactly its margin, the other three gaining: how often it is refused\n")
    print("| held-out | slice refused | should be |\n|---|---|---|")
    lost = np.array([POLICY.slice_margin, -0.02, -0.02, -0.02])
    for rows in (1_000, 5_000):
        decisions = simulate(trials, rows, 2, discordant=0.12, lost=lost)
        share = np.mean([outcome_of(decision, "slice source 0") is Outcome.reject for decision in decisions])
        print(f"| {rows:,} | {share:.1%} | at most {POLICY.alpha:.0%} |", flush=True)


def simulate(trials: int, rows: int, labels: int, *, discordant: float, lost: np.ndarray) -> list[Decision]:
    """Return the decisions of as many trials."""
    rng = np.random.default_rng([rows, labels, int(1e6 * np.abs(lost).sum())])
    return [decide(trial(rng, rows, labels, discordant=discordant, lost=lost), POLICY) for _ in range(trials)]


def outcome_of(decision: Decision, name: str) -> Outcome:
    """Return what one check said."""
    return next(check.outcome for check in decision.checks if check.name == name)


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1_000, help="of each simulation")
    asked = parser.parse_args()
    main_test()
    whole_gate(asked.trials)
    guards(asked.trials)


if __name__ == "__main__":
    main()
