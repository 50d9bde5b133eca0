"""Every objective a second time, as slow arithmetic in 100 digits.

A reference takes one example's outputs as mpmath numbers and its label, and the options by keyword; that of a
batch-coupled objective takes all rows, labels and weights. None of them shares a line with the package.
"""

from __future__ import annotations

import functools

import mpmath as mp

mp.mp.dps = 100


def softmax(z):
    powers = [mp.exp(v - max(z)) for v in z]
    return [power / mp.fsum(powers) for power in powers]


def others(p, c):
    """1 - p_c, as the sum of the others."""
    return mp.fsum(p[:c] + p[c + 1 :])


def sigmoid(t):
    return 1 / (1 + mp.exp(-t))


def bce(t, answer):
    return mp.log1p(mp.exp(-t)) if answer else mp.log1p(mp.exp(t))


def softplus(t):
    return mp.log1p(mp.exp(t))


# Softmax families.


def surprise(p, y):
    """-log p_y, also of a p_y that rounds to 1."""
    return -mp.log1p(-others(p, y)) if p[y] > 0.5 else -mp.log(p[y])


def cross_entropy(z, y):
    return surprise(softmax(z), y)


def distance(z, y, *, power, margin=0.0, distance_matrix=None):
    p = softmax(z)
    far = distance_matrix or [[abs(c - k) for c in range(len(z))] for k in range(len(z))]
    room = [min(others(p, c) + mp.mpf(margin), mp.mpf(1)) for c in range(len(z))]
    logs = [mp.log1p(-p[c]) if p[c] < 0.5 and not margin else mp.log(room[c]) for c in range(len(z))]
    return -mp.fsum(mp.mpf(far[y][c]) ** mp.mpf(power) * logs[c] for c in range(len(z)) if c != y)


def soft_label(z, target):
    p = softmax(z)
    return mp.fsum(t * surprise(p, c) for c, t in enumerate(target))


def blended(target, y, blend):
    return [mp.mpf(blend) * t + (1 - mp.mpf(blend)) * (c == y) for c, t in enumerate(target)]


def label_smoothing(z, y, *, epsilon):
    return soft_label(z, blended([mp.mpf(1) / len(z)] * len(z), y, epsilon))


def custom_soft_labels(z, y, *, targets, blend):
    rows = targets or [[float(c == k) for c in range(len(z))] for k in range(len(z))]
    return soft_label(z, blended([mp.mpf(t) for t in rows[y]], y, blend))


def sord_target(num_classes, y, alpha, distance):
    phi = {
        "absolute": lambda c: abs(c - y),
        "squared": lambda c: (c - y) ** 2,
        "log": lambda c: (mp.log(c + 1) - mp.log(y + 1)) ** 2,
    }[distance]
    return softmax([-mp.mpf(alpha) * phi(c) for c in range(num_classes)])


def sord(z, y, *, alpha, distance, blend):
    return soft_label(z, blended(sord_target(len(z), y, alpha, distance), y, blend))


def exponential_soft_labels(z, y, *, power, tau, blend):
    target = softmax([-(mp.mpf(abs(c - y)) ** mp.mpf(power)) / mp.mpf(tau) for c in range(len(z))])
    return soft_label(z, blended(target, y, blend))


def binomial_soft_labels(z, y, *, chances, blend):
    n = len(z) - 1
    q = (y + mp.mpf("0.5")) / (n + 1) if chances == "centred" else mp.mpf("0.1") + mp.mpf("0.8") * y / n
    return soft_label(z, blended([mp.binomial(n, c) * q**c * (1 - q) ** (n - c) for c in range(n + 1)], y, blend))


def poisson_soft_labels(z, y, *, offset, blend):
    masses = [mp.mpf(y + mp.mpf(offset)) ** c / mp.factorial(c) for c in range(len(z))]
    return soft_label(z, blended([m / mp.fsum(masses) for m in masses], y, blend))


def triangular_soft_labels(z, y, *, alpha, blend):
    k, a = len(z), mp.mpf(alpha)

    def end(s):
        return ((1 - mp.sqrt(1 - 4 * s * (1 - 2 * a) * (2 * a - mp.sqrt(2 * a)))) / 2) ** 2

    mass = end(1) if y == 0 else end(mp.mpf(k - 1) ** 2 / k**2) if y == k - 1 else a
    target = [mass if abs(c - y) == 1 else mp.mpf(0) for c in range(k)]
    target[y] = 1 - mp.fsum(target)
    return soft_label(z, blended(target, y, blend))


@functools.cache
def beta_target(k, y):
    mean, deviation = (y + mp.mpf("0.5")) / k, mp.mpf("0.5") / k
    total = mean * (1 - mean) / deviation**2 - 1
    a, b = (1, 2 * k - 2) if y == 0 else (2 * k - 2, 1) if y == k - 1 else (mean * total, (1 - mean) * total)
    return [mp.betainc(a, b, mp.mpf(c) / k, mp.mpf(c + 1) / k, regularized=True) for c in range(k)]


def beta_soft_labels(z, y, *, blend):
    with mp.workdps(30):
        target = beta_target(len(z), y)
    return soft_label(z, blended(target, y, blend))


def geometric_soft_labels(z, y, *, alpha, blend):
    a = mp.mpf(alpha)
    rest = mp.fsum(a ** abs(c - y) for c in range(len(z)) if c != y)
    return soft_label(z, blended([1 - a if c == y else a * a ** abs(c - y) / rest for c in range(len(z))], y, blend))


def slace(z, y, *, alpha):
    p, total = softmax(z), mp.mpf(0)
    for k, t in enumerate(sord_target(len(z), y, alpha, "absolute")):
        beyond = mp.fsum(p[c] for c in range(len(z)) if abs(c - y) > abs(k - y))
        within = mp.fsum(p[c] for c in range(len(z)) if abs(c - y) <= abs(k - y))
        total -= t * (mp.log(within) if within < 0.5 else mp.log1p(-beyond))
    return total


def squared_emd(z, y):
    p = softmax(z)
    below = mp.fsum(mp.fsum(p[: k + 1]) ** 2 for k in range(y))
    return below + mp.fsum(mp.fsum(p[k + 1 :]) ** 2 for k in range(y, len(z)))


def emd(z, y):
    return mp.fsum(p * abs(c - y) for c, p in enumerate(softmax(z)))


def expected_squared_error(z, y):
    return mp.fsum(p * (c - y) for c, p in enumerate(softmax(z))) ** 2


def mce(z, y, *, class_weights):
    p, w = softmax(z), class_weights or [1.0] * len(z)
    return mp.fsum(mp.mpf(w[c]) * (others(p, c) if c == y else p[c]) ** 2 for c in range(len(z))) / len(z)


def disagreement(rows, labels, weights, power):
    k, probs = len(rows[0]), [softmax(z) for z in rows]
    shares = [mp.mpf(w) / mp.fsum(map(mp.mpf, weights)) for w in weights]
    observed = mp.fsum(
        s * p[c] * abs(c - y) ** power for s, p, y in zip(shares, probs, labels, strict=True) for c in range(k)
    )
    truth = [mp.fsum(s for s, y in zip(shares, labels, strict=True) if y == c) for c in range(k)]
    guess = [mp.fsum(s * p[c] for s, p in zip(shares, probs, strict=True)) for c in range(k)]
    return observed / mp.fsum(truth[i] * guess[j] * abs(i - j) ** power for i in range(k) for j in range(k))


POWER = {"linear": 1, "quadratic": 2}


def soft_qwk(rows, labels, weights, *, penalty, logarithm, epsilon):
    ratio = disagreement(rows, labels, weights, POWER[penalty])
    return mp.log(ratio + mp.mpf(epsilon)) if logarithm else ratio


def weighted_mean(values, weights):
    return mp.fsum(mp.mpf(w) * v for v, w in zip(values, weights, strict=True)) / mp.fsum(map(mp.mpf, weights))


def mce_qwk(rows, labels, weights, *, balance, penalty, class_weights):
    errors = [mce(z, y, class_weights=class_weights) for z, y in zip(rows, labels, strict=True)]
    kappa = disagreement(rows, labels, weights, POWER[penalty])
    return mp.mpf(balance) * kappa + (1 - mp.mpf(balance)) * weighted_mean(errors, weights)


def climbs(p, y, margin):
    downhill = [(p[k + 1] - p[k]) if k >= y else (p[k] - p[k + 1]) for k in range(len(p) - 1)]
    return mp.fsum(max(mp.mpf(margin) + d, mp.mpf(0)) for d in downhill)


def co2(z, y, *, strength, margin):
    return cross_entropy(z, y) + mp.mpf(strength) * climbs(softmax(z), y, margin)


def ho2(z, y, *, strength, margin):
    p = softmax(z)
    return mp.fsum(q * surprise(p, c) for c, q in enumerate(p)) + mp.mpf(strength) * climbs(p, y, margin)


# K - 1 logits.


def weighed(parts, threshold_weights):
    return mp.fsum(mp.mpf(w) * part for w, part in zip(threshold_weights or [1.0] * len(parts), parts, strict=True))


def binary_decomposition(t, y, *, threshold_weights):
    return weighed([bce(v, y > k) for k, v in enumerate(t)], threshold_weights)


def code_distance(t, y, *, threshold_weights):
    return weighed([(sigmoid(-v) if y > k else sigmoid(v)) ** 2 for k, v in enumerate(t)], threshold_weights)


def ordinal_encoding_mse(t, y, *, threshold_weights):
    return code_distance(t, y, threshold_weights=threshold_weights) / len(t)


def ordinal_focal(t, y, *, gamma, threshold_weights):
    right = [v if y > k else -v for k, v in enumerate(t)]
    return weighed([sigmoid(-v) ** mp.mpf(gamma) * bce(v, True) for v in right], threshold_weights)


def corn(t, y, *, threshold_weights):
    return weighed([bce(v, y > k) if k <= y else mp.mpf(0) for k, v in enumerate(t)], threshold_weights)


def corn_per_question(rows, labels, weights):
    asked = mp.fsum(mp.mpf(w) * min(y + 1, len(rows[0])) for w, y in zip(weights, labels, strict=True))
    total = mp.fsum(
        mp.mpf(w) * corn(t, y, threshold_weights=None) for t, y, w in zip(rows, labels, weights, strict=True)
    )
    return total / asked


def condor(t, y, *, threshold_weights):
    parts = []
    for k in range(len(t)):
        stopped = mp.fsum(sigmoid(-t[j]) * mp.fprod(map(sigmoid, t[:j])) for j in range(k + 1))
        passed = mp.fprod(map(sigmoid, t[: k + 1]))
        parts.append(mp.log1p(mp.exp(mp.log(stopped) - mp.log(passed)) ** (1 if y > k else -1)))
    return weighed(parts, threshold_weights)


def stick_breaking(t, y):
    return mp.fsum(bce(v, False) for v in t[:y]) + (bce(t[y], True) if y < len(t) else 0)


def adjacent_category(t, y):
    return cross_entropy([mp.fsum(t[:k]) for k in range(len(t) + 1)], y)


def cumulative_link(v, y, *, link):
    lower, upper = (v[y - 1] if y > 0 else -mp.inf), (v[y] if y < len(v) else mp.inf)
    if link == "cloglog":
        floor = mp.exp(lower) if y > 0 else mp.mpf(0)
        if y == len(v):
            return floor
        return floor - mp.log(-mp.expm1(-(mp.exp(upper) - floor)))
    cdf = {"logit": sigmoid, "probit": mp.ncdf}[link]
    if y == 0:
        return bce(upper, True) if link == "logit" else -log_normal(upper)
    if y == len(v):
        return bce(-lower, True) if link == "logit" else -log_normal(-lower)
    return -mp.log(cdf(upper) - cdf(lower) if upper < 0 else cdf(-lower) - cdf(-upper))


def log_normal(x):
    return mp.log1p(-mp.erfc(x / mp.sqrt(2)) / 2) if x > 0 else mp.log(mp.erfc(-x / mp.sqrt(2)) / 2)


def penalised(margin, penalty):
    short = max(1 - margin, mp.mpf(0))
    return {
        "logistic": lambda: mp.log1p(mp.exp(-margin)),
        "hinge": lambda: short,
        "squared_hinge": lambda: short**2,
        "smooth_hinge": lambda: mp.mpf("0.5") - margin if margin < 0 else short**2 / 2,
    }[penalty]()


def all_threshold(v, y, *, penalty, power, threshold_weights):
    parts = []
    for k, margin in enumerate(v):
        cost = abs(mp.mpf(abs(k + 1 - y)) ** mp.mpf(power) - mp.mpf(abs(k - y)) ** mp.mpf(power))
        parts.append(cost * penalised(margin if y <= k else -margin, penalty))
    return weighed(parts, threshold_weights)


def immediate_threshold(v, y, *, penalty, threshold_weights):
    parts = [penalised(m if y <= k else -m, penalty) if k in (y - 1, y) else mp.mpf(0) for k, m in enumerate(v)]
    return weighed(parts, threshold_weights)


# Unimodal families.


def running(first, steps):
    total = [first]
    for step in steps:
        total.append(total[-1] + step)
    return total


def ord_acl(t, y):
    return adjacent_category([-g for g in running(t[0], [softplus(v) for v in t[1:]])], y)


def vs_sl(z, y, *, shape):
    g = running(z[0], [softplus(v) for v in z[1:]])
    return cross_entropy([-(v**2) if shape == "square" else -abs(v) for v in g], y)


def copoc(z, y):
    return cross_entropy([-abs(r) for r in running(z[0], [abs(v) for v in z[1:]])], y)


def unimodal_net(z, y):
    v = [softplus(x) for x in z]
    return cross_entropy([min(mp.fsum(v[: k + 1]), mp.fsum(v[k:])) for k in range(len(v))], y)


# One or two outputs.


def binomial_unimodal(eta, y, *, num_classes, tau):
    n, s, f = num_classes - 1, sigmoid(eta[0]), sigmoid(-eta[0])
    logs = [mp.log(mp.binomial(n, k)) + k * mp.log(s) + (n - k) * mp.log(f) for k in range(n + 1)]
    return cross_entropy([v / mp.mpf(tau) for v in logs], y)


def poisson_unimodal(eta, y, *, num_classes, tau):
    rate = softplus(eta[0])
    logs = [k * mp.log(rate) - rate - mp.log(mp.factorial(k)) for k in range(num_classes)]
    return cross_entropy([v / mp.mpf(tau) for v in logs], y)


def gaussian_uncertainty(out, y, *, num_classes, alpha, floor):
    sigma = softplus(out[1]) + mp.mpf(floor)
    logs = [-((k - out[0]) ** 2) / (2 * sigma**2) for k in range(num_classes)]
    return cross_entropy(logs, y) + (1 - mp.mpf(alpha)) * sigma**2


def ordistic(eta, y, *, num_classes, means, log_priors):
    mu = means or [k - mp.mpf(num_classes - 1) / 2 for k in range(num_classes)]
    pi = log_priors or [0.0] * num_classes
    return cross_entropy([mp.mpf(m) * eta[0] + mp.mpf(q) - mp.mpf(m) ** 2 / 2 for m, q in zip(mu, pi, strict=True)], y)


def regression(eta, y, *, error, delta):
    size = abs(eta[0] - y)
    if error == "huber":
        return size**2 / 2 if size <= delta else mp.mpf(delta) * (size - mp.mpf(delta) / 2)
    return size**2 if error == "squared" else size
