"""AUC, Holm's correction, McNemar's test, detectable differences and a clustered bootstrap.

    python statistics.py > statistics.json

Made with scikit-learn 1.9.1, scipy 1.17.1 and numpy 2.4.6; compared within 1e-9.
"""
import json

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binomtest, norm
from sklearn.metrics import roc_auc_score

rng = np.random.default_rng(8)
out = {}

scores, relevant = np.round(rng.normal(size=120), 1), rng.random(120) < 0.3
queries = []
for _ in range(12):
    s, t = np.round(rng.random(6), 1), int(rng.integers(6))
    y = (np.arange(6) == t).astype(int)
    queries.append({"scores": s.tolist(), "target": t, "roc_auc": float(roc_auc_score(y, s))})
out["auc"] = {
    "scores": scores.tolist(),
    "relevant": relevant.astype(int).tolist(),
    "roc_auc": float(roc_auc_score(relevant, scores)),
    "queries": queries,
    "mean_roc_auc": float(np.mean([q["roc_auc"] for q in queries])),
}


def holm(p):
    """By its definition as a procedure: the least level at which each hypothesis is rejected."""
    p, m = np.asarray(p), len(p)

    def rejects(level):
        rejected = np.zeros(m, bool)
        for step, index in enumerate(np.argsort(p, kind="stable")):
            if p[index] > level / (m - step):
                break
            rejected[index] = True
        return rejected

    levels = sorted({min(1.0, float(x * k)) for x in p for k in range(1, m + 1)} | {1.0})
    result = []
    for i in range(m):
        result.append(next((a for a in levels if rejects(a * (1 + 1e-12))[i]), 1.0))
    return result


cases = [[0.01, 0.04, 0.03, 0.005], [0.2, 0.2, 0.01], np.round(rng.random(9) ** 3, 4).tolist()]
out["holm"] = [{"p": p, "adjusted": holm(p)} for p in cases]
out["mcnemar"] = [
    {"first_only": b, "second_only": c, "p": float(binomtest(b, b + c).pvalue)}
    for b, c in [(3, 11), (40, 61), (7, 7), (210, 160)]
]

cases = []
for n, share, psi, confidence, power in [
    (400, 0.25, 0.3, 0.95, 0.8),
    (2479, 0.985, 0.02, 0.95, 0.9),
    (12393, 0.25, 0.1, 0.99, 0.8),
]:
    za, zb = norm.ppf(0.5 + confidence / 2), norm.ppf(power)

    def unpaired(d):
        p2, mean = share + d, share + d / 2
        return d * n**0.5 - za * (2 * mean * (1 - mean)) ** 0.5 - zb * (share * (1 - share) + p2 * (1 - p2)) ** 0.5

    def paired(d):
        return n - ((za * psi**0.5 + zb * (psi - d * d) ** 0.5) / d) ** 2

    cases.append({
        "n": n, "share": share, "disagreement": psi, "confidence": confidence, "power": power,
        "unpaired": brentq(unpaired, 1e-6, 1 - share, xtol=1e-14), "paired": brentq(paired, 1e-6, psi, xtol=1e-14),
    })
out["detectable"] = cases

M = (1 << 64) - 1


class SplitMix64:
    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state + 0x9E3779B97F4A7C15) & M
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & M
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M
        return (((z ^ (z >> 31)) >> 11) * n) >> 53


clusters = rng.integers(0, 25, 140)
values = (rng.random(140) < 0.2 + 0.6 * rng.random(25)[clusters]).astype(float)
members = [values[clusters == c] for c in dict.fromkeys(clusters.tolist())]
random, means = SplitMix64(17), []
for _ in range(400):
    drawn = np.concatenate([members[random.below(len(members))] for _ in members])
    means.append(drawn.mean())
out["clustered"] = {
    "values": values.tolist(), "clusters": clusters.tolist(), "replicates": 400, "seed": 17,
    "mean": float(values.mean()), "ci95": np.percentile(means, [2.5, 97.5]).tolist(),
    "std_error": float(np.std(means, ddof=1)),
}
print(json.dumps(out, indent=1))
