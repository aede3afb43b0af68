#!/usr/bin/env python3
"""Unfenced beside LIBLINEAR and scikit-learn: the same file, the same objective, one judge.

    pip install liblinear-official scikit-learn safetensors
    cargo build --release
    python3 benches/peers.py TRAIN [--loss hinge|squared_hinge|logistic] [--epsilon 1e-3] [--rounds 5] [--threads 1,2]

TRAIN is LIBSVM text with two labels (unpack .zst first). All minimise, with C = 1 and no intercept,

    P(w) = 1/(2 n) |w|^2 + (1/n) sum loss(y w.x)

and P is computed here, in float64. The best P is that of a long run of LIBLINEAR. For each program the loosest tolerance
that comes within epsilon of it (relative) is searched; then all run in turn, ROUNDS times, and the medians are printed:
`train` is the fit alone (for Unfenced with its evaluations), `load` is reading the text.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

import numpy as np
from liblinear.liblinearutil import parameter, problem, train
from safetensors.numpy import load_file
from sklearn.datasets import load_svmlight_file
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "target", "release", "unfenced")
SOLVERS = {"hinge": [3], "squared_hinge": [1, 2], "logistic": [7, 0]}
LOSSES = {
    "hinge": lambda z: np.maximum(1 - z, 0),
    "squared_hinge": lambda z: np.maximum(1 - z, 0) ** 2,
    "logistic": lambda z: np.logaddexp(0, -z),
}
TOLERANCES = [0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5, 1e-6]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train")
    parser.add_argument("--loss", default="hinge", choices=list(LOSSES))
    parser.add_argument("--epsilon", type=float, default=1e-3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", default="1,2")
    options = parser.parse_args()

    started = time.perf_counter()
    X, y = load_svmlight_file(options.train)
    load_seconds = time.perf_counter() - started
    X.indices, X.indptr = X.indices.astype("int32"), X.indptr.astype("int32")  # what scikit-learn's solvers want
    y = np.where(y == y.max(), 1.0, -1.0)
    n = len(y)

    def objective(w):
        w = np.pad(np.ravel(w).astype(float), (0, max(0, X.shape[1] - np.size(w))))[: X.shape[1]]
        return float(w @ w / (2 * n) + LOSSES[options.loss](y * (X @ w)).mean())

    def liblinear(solver):
        def fit(tolerance):
            rows = problem(y, X)
            started = time.perf_counter()
            model = train(rows, parameter(f"-s {solver} -c 1 -e {tolerance} -q"))
            return time.perf_counter() - started, load_seconds, np.array(model.get_decfun()[0])

        return fit

    def sklearn(tolerance):
        if options.loss == "logistic":
            model = LogisticRegression(C=1, fit_intercept=False, tol=tolerance, max_iter=100_000)
        else:
            model = LinearSVC(loss=options.loss, C=1, fit_intercept=False, tol=tolerance, max_iter=100_000)
        started = time.perf_counter()
        model.fit(X, y)
        return time.perf_counter() - started, load_seconds, model.coef_

    def unfenced(threads):
        def fit(tolerance):
            with tempfile.TemporaryDirectory() as folder:
                call = [PROGRAM, "train", options.train, "--loss", options.loss, "--c", "1", "--threads", str(threads)]
                call += ["--gap", str(tolerance), "--model", f"{folder}/model", "--json", "--quiet"]
                said = json.loads(subprocess.run(call, capture_output=True, text=True).stdout)
                w = load_file(f"{folder}/model")["weights"]
            return said["train_seconds"] + said["eval_seconds"], said["load_seconds"], w

        return fit

    programs = {f"LIBLINEAR -s {solver}": liblinear(solver) for solver in SOLVERS[options.loss]}
    programs["scikit-learn"] = sklearn
    programs |= {f"Unfenced, {k} thread{'s' * (int(k) > 1)}": unfenced(k) for k in options.threads.split(",")}

    best = objective(liblinear(SOLVERS[options.loss][0])(1e-8)[2])
    settings = {}
    for name, fit in programs.items():
        reached = (t for t in TOLERANCES if objective(fit(t)[2]) <= best * (1 + options.epsilon))
        settings[name] = next(reached, None)
    times = {name: [] for name in programs if settings[name] is not None}
    for _ in range(options.rounds):
        for name in times:
            times[name].append(programs[name](settings[name])[:2])
    print(f"{os.path.basename(options.train)}: {n} rows, {X.nnz} non-zeros, {options.loss}, C = 1, to {options.epsilon:g} of P = {best:.10g}")
    for name in programs:
        if name not in times:
            print(f"{name:24} never came there")
            continue
        seconds, loading = (statistics.median(column) for column in zip(*times[name]))
        print(f"{name:24} train {seconds:8.3f} s   load {loading:7.3f} s   (tolerance {settings[name]:g})")


if __name__ == "__main__":
    main()
