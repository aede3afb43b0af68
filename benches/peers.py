#!/usr/bin/env python3
"""Unfenced beside the programs that people use: the same file, the same objective, one judge.

    pip install numpy scipy scikit-learn safetensors liblinear-official snapml vowpalwabbit
    pip install --no-deps --target MULTICORE liblinear-multicore         # a module of the same name: in a folder of its own
    cargo build --release
    python3 benches/peers.py TRAIN [--loss hinge|squared_hinge|logistic] [--epsilon 1e-3,1e-4] [--rounds 5]
                                   [--threads 1,2] [--multicore MULTICORE] [--only REGEX]

TRAIN is LIBSVM text with two labels (unpack .zst first). All minimise, with C = 1 and no intercept,

    P(w) = 1/(2 n) |w|^2 + (1/n) sum loss(y w.x)

and P is computed here, in float64, from the weights (of Vowpal Wabbit, which hashes features, from its scores and the length
of its weights). Each fit is a fresh process; what is not installed is left out. For each program the loosest setting that
comes within epsilon of the lowest P seen (relative) is searched first; then all run in turn, ROUNDS times, and the medians
are printed: `train` is the fit alone (of Unfenced with its evaluations), `load` is reading the text.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

UNFENCED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "target", "release", "unfenced")
TOLERANCES = [0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5]
PASSES = [1, 2, 5, 10, 20, 50]
LIBLINEAR = {"liblinear-dual": {"hinge": 3, "squared_hinge": 1, "logistic": 7}, "liblinear-primal": {"squared_hinge": 2, "logistic": 0}}
LIBLINEAR["liblinear-multicore"] = LIBLINEAR["liblinear-dual"] | {"logistic": 0}


def read(path):
    import numpy as np
    from sklearn.datasets import load_svmlight_file

    X, y = load_svmlight_file(path)
    X.indices, X.indptr = X.indices.astype("int32"), X.indptr.astype("int32")  # what scikit-learn's solvers want
    return X, np.where(y == y.max(), 1.0, -1.0)


def losses(loss, margins):
    import numpy as np

    short = np.maximum(1 - margins, 0)
    return {"hinge": short, "squared_hinge": short**2, "logistic": np.logaddexp(0, -margins)}[loss]


def objective(X, y, loss, w):
    import numpy as np

    w = np.pad(np.ravel(w).astype(float), (0, max(0, X.shape[1] - np.size(w))))[: X.shape[1]]
    return float(w @ w / (2 * len(y)) + losses(loss, y * (X @ w)).mean())


def fit_unfenced(train, loss, threads, setting):
    from safetensors.numpy import load_file

    with tempfile.TemporaryDirectory() as folder:
        call = [UNFENCED, "train", train, "--loss", loss, "--c", "1", "--threads", str(threads), "--gap", str(setting)]
        said = subprocess.run(call + ["--model", f"{folder}/model", "--json", "--quiet"], capture_output=True, text=True)
        said = json.loads(said.stdout.splitlines()[-1])
        return said["train_seconds"] + said["eval_seconds"], said["load_seconds"], load_file(f"{folder}/model")["weights"]


def fit_vowpal_wabbit(X, y, loss, setting):
    """Returns P itself: its weights are hashed."""
    import numpy as np
    from vowpalwabbit import Workspace

    rows = [
        f"{int(y[i])} | " + " ".join(f"{j}:{x:.7g}" for j, x in zip(X.indices[a:b], X.data[a:b]))
        for i, (a, b) in enumerate(zip(X.indptr, X.indptr[1:]))
    ]
    with tempfile.TemporaryDirectory() as folder:
        options = f"--loss_function {loss} --l2 {1 / len(y)} --noconstant -b 24 --quiet --readable_model {folder}/w"
        started = time.perf_counter()
        program = Workspace(options)
        for _ in range(setting):
            for row in rows:
                program.learn(row)
        seconds = time.perf_counter() - started
        scores = np.array([program.predict(row) for row in rows])
        program.finish()
        model = open(f"{folder}/w").read()
    shrunk = float(re.search(r"^l2_state (\S+)$", model, re.M)[1])  # the penalty is applied late: to all weights at once
    squared = sum((shrunk * float(weight)) ** 2 for weight in re.findall(r"^\d+:(\S+)", model, re.M))
    return seconds, squared / (2 * len(y)) + float(losses(loss, y * scores).mean())


def fit(program, train, loss, threads, setting):
    """In a process of its own: seconds to train, seconds to load, P."""
    judge = lambda w: objective(X, y, loss, w)
    if program == "unfenced":
        seconds, load, w = fit_unfenced(train, loss, threads, setting)
        X, y = read(train)
        return seconds, load, judge(w)
    started = time.perf_counter()
    X, y = read(train)
    load = time.perf_counter() - started
    if program == "vowpal-wabbit":
        seconds, found = fit_vowpal_wabbit(X, y, loss, setting)
        return seconds, load, found
    if program in LIBLINEAR:
        from liblinear.liblinearutil import parameter, problem, train as train_liblinear

        rows = problem(y, X)
        options = f"-s {LIBLINEAR[program][loss]} -c 1 -e {setting} -q" + (f" -m {threads}" if "multicore" in program else "")
        started = time.perf_counter()
        model = train_liblinear(rows, parameter(options))
        seconds = time.perf_counter() - started
        return seconds, load, judge(model.get_decfun()[0])
    if program == "snapml":
        import snapml

        common = dict(regularizer=1.0, n_jobs=threads, tol=setting, max_iter=100_000)
        logistic = loss == "logistic"
        model = snapml.LogisticRegression(dual=True, **common) if logistic else snapml.SupportVectorMachine(loss=loss, **common)
    else:
        from sklearn.linear_model import LogisticRegression
        from sklearn.svm import LinearSVC

        common = dict(C=1.0, fit_intercept=False, tol=setting, max_iter=100_000)
        model = LogisticRegression(**common) if loss == "logistic" else LinearSVC(loss=loss, dual=True, **common)
    started = time.perf_counter()
    model.fit(X, y)
    return time.perf_counter() - started, load, judge(model.coef_)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train")
    parser.add_argument("--loss", default="hinge", choices=["hinge", "squared_hinge", "logistic"])
    parser.add_argument("--epsilon", default="1e-3")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--multicore", help="the folder that liblinear-multicore was installed into")
    parser.add_argument("--only", default=".", help="the programs to run")
    parser.add_argument("--fit", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fit:
        print(json.dumps(fit(*json.loads(options.fit))))
        return

    counts = [int(count) for count in options.threads.split(",")]
    field = [("liblinear-dual", 1), ("liblinear-primal", 1), ("scikit-learn", 1), ("vowpal-wabbit", 1)]
    field += [(name, count) for name in ["liblinear-multicore", "snapml", "unfenced"] for count in counts]
    field = [one for one in field if re.search(options.only, one[0]) and options.loss in LIBLINEAR.get(one[0], options.loss)]
    field = [one for one in field if one != ("vowpal-wabbit", 1) or options.loss != "squared_hinge"]
    field = [one for one in field if one[0] != "liblinear-multicore" or options.multicore]

    def run(name, count, setting):
        environment = dict(os.environ, OMP_NUM_THREADS=str(count), OPENBLAS_NUM_THREADS="1", PYTHONWARNINGS="ignore")
        if name == "liblinear-multicore":
            environment["PYTHONPATH"] = options.multicore
        job = json.dumps([name, options.train, options.loss, count, setting])
        call = [sys.executable, __file__, options.train, "--fit", job]
        done = subprocess.run(call, env=environment, capture_output=True, text=True)
        if done.returncode:
            print(f"{name} x {count} at {setting}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}", file=sys.stderr)
            return None
        return json.loads(done.stdout.splitlines()[-1])

    seen = {}
    for one in field:
        for setting in PASSES if one[0] == "vowpal-wabbit" else TOLERANCES:
            found = run(*one, setting)
            if found is None:
                break
            seen.setdefault(one, []).append((setting, *found))
    best = min(found[3] for runs in seen.values() for found in runs)
    for epsilon in map(float, options.epsilon.split(",")):
        print(f"{os.path.basename(options.train)}, {options.loss}, C = 1, to {epsilon:g} of P = {best:.10g}")
        settings = {one: [run for run in runs if run[3] <= best * (1 + epsilon)] for one, runs in seen.items()}
        settings = {one: min(runs, key=lambda run: run[1])[0] for one, runs in settings.items() if runs}
        times = {one: [] for one in settings}
        for _ in range(options.rounds):
            for one, setting in settings.items():
                times[one].append(run(*one, setting)[:2])
        for one in seen:
            if one not in settings:
                print(f"  {one[0]:20} {one[1]:2} threads  never came there")
                continue
            seconds, load = (statistics.median(column) for column in zip(*times[one]))
            print(f"  {one[0]:20} {one[1]:2} threads  train {seconds:8.4f} s   load {load:7.3f} s   (at {settings[one]:g})")


if __name__ == "__main__":
    main()
