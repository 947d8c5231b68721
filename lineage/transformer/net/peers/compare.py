"""Trains and samples the same network here and in PyTorch, in turns, on all cores.

usage: compare.py [--rounds N] [--seconds S]       (make bench-peers)

PyTorch and OpenBLAS are those of Debian (python3-torch, libopenblas0-pthread),
installed with apt-get where that may be done. PyTorch gets five settings of
threads, and waits passively, since its default spins and loses; the best of the
five is shown, by medians over the rounds. The last rows bind both to AVX2.
"""

import argparse
import ctypes
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

PYTHON = "/usr/bin/python3"
HERE = os.path.dirname(os.path.abspath(__file__))
CORES = len(os.sched_getaffinity(0))
TASKS = [(what, size) for what in ("train", "sample") for size in ("big", "small")]
AVX2 = {"torch": {"ATEN_CPU_CAPABILITY": "avx2", "OPENBLAS_CORETYPE": "Haswell"}, "here": {"HEIRLOOM_KERNEL": "avx2"}}

# Layers, width, hidden layer, vocabulary, tokens of a batch.
SIZES = {"big": (4, 128, 512, 1024, 4096), "small": (2, 64, 256, 512, 2048)}


def settings():
    """Threads of OpenMP and of OpenBLAS."""
    return list(dict.fromkeys([(CORES, 1), (1, CORES), (CORES, CORES), (1, 1), (2 * CORES, 1)]))


def install():
    if subprocess.run([PYTHON, "-c", "import torch"], capture_output=True).returncode == 0:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", "python3-torch", "libopenblas0-pthread"]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        sys.exit(f"{PYTHON} has no torch; as root of a Debian system, run: {' '.join(command)}")
    print("installing PyTorch and OpenBLAS of Debian ...", file=sys.stderr)
    if subprocess.run(command, stdout=sys.stderr).returncode:
        sys.exit("apt-get could not install python3-torch and libopenblas0-pthread (run apt-get update, or see above)")


def run(command, environment):
    """What a program prints, and its peak memory in MB."""
    with tempfile.TemporaryFile("w+") as out:
        child = subprocess.Popen(command, stdout=out, env={**os.environ, **environment})
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read()
    if child.returncode:
        sys.exit(f"{' '.join(command)} ended with {child.returncode}:\n{text}")
    return text, usage.ru_maxrss / 1024


def torch(what, size, threads, seconds, extra):
    environment = {"OMP_WAIT_POLICY": "passive", "OPENBLAS_NUM_THREADS": str(threads[1]), **extra}
    text, peak = run([PYTHON, os.path.join(HERE, "torch_peer.py"), what, size, str(threads[0]), str(seconds)], environment)
    return float(text.split()[0]), peak


def here(binary, what, size, seconds, extra):
    name = f"^Benchmark{what.capitalize()}$/^{size}$/^threads={CORES}$"
    text, peak = run([binary, "-test.run=^$", f"-test.bench={name}", f"-test.benchtime={seconds}s"], extra)
    for line in text.splitlines():
        words = line.split()
        if "tokens/s" in words:
            return float(words[words.index("tokens/s") - 1]), peak
    sys.exit(f"the benchmark {name} printed no tokens/s:\n{text}")


def bound(size, seconds=1.0):
    """Tokens a second if a step were only its large products, by OpenBLAS."""
    try:
        blas = ctypes.CDLL("libopenblas.so.0")
    except OSError:
        return None
    blas.openblas_set_num_threads(CORES)
    layers, d, hidden, vocab, rows = SIZES[size]
    f = ctypes.c_float
    # x·W, the gradient of x and that of W: 101 row major, 111 as it is, 112 transposed.
    products = []
    for k, n, times in ((d, 3 * d, layers), (d, d, layers), (d, hidden, layers), (hidden, d, layers), (d, vocab, 1)):
        products += [(111, 111, rows, n, k, times), (111, 112, rows, k, n, times), (112, 111, k, n, rows, times)]
    room = max(max(m * n, m * k, k * n) for _, _, m, n, k, _ in products)
    a, b, c = ((f * room)() for _ in range(3))
    best, end = float("inf"), time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.monotonic()
        for ta, tb, m, n, k, times in products:
            for _ in range(times):
                blas.cblas_sgemm(101, ta, tb, m, n, k, f(1), a, m if ta == 112 else k, b, k if tb == 112 else n, f(0), c, n)
        best = min(best, time.monotonic() - start)
    return rows / best


def compare(binary, rounds, seconds, tries, extra):
    """Medians of tokens a second by task, for each setting of PyTorch and here."""
    rates, peaks = {}, {}
    for r in range(rounds):
        for what, size in TASKS:
            for threads in tries(what, size):
                rate, peak = torch(what, size, threads, seconds, extra.get("torch", {}))
                rates.setdefault((what, size, threads), []).append(rate)
                peaks[what, size, threads] = peak
            rate, peak = here(binary, what, size, seconds, extra.get("here", {}))
            rates.setdefault((what, size, None), []).append(rate)
            peaks[what, size, None] = max(peak, peaks.get((what, size, None), 0))
            print(f"round {r + 1} of {rounds}: {what} {size}", file=sys.stderr)
    return {key: statistics.median(all) for key, all in rates.items()}, peaks


def best(rates, what, size):
    return max((key for key in rates if key[:2] == (what, size) and key[2]), key=rates.get)


def table(rates, peaks, with_bound):
    print("| | here, tokens/s | PyTorch, tokens/s | its threads (OpenMP, BLAS) | ratio | peak MB here, PyTorch | share of the sgemm bound |")
    print("|---|---|---|---|---|---|---|")
    for what, size in TASKS:
        ours, key = rates[what, size, None], best(rates, what, size)
        limit = bound(size) if with_bound and what == "train" else None
        share = f"{ours / limit:.0%} of {limit:,.0f}" if limit else ""
        print(f"| {what} {size} | {ours:,.0f} | {rates[key]:,.0f} | {key[2][0]}, {key[2][1]} | {ours / rates[key]:.2f} "
              f"| {peaks[what, size, None]:.0f}, {peaks[key]:.0f} | {share} |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    o = parser.parse_args()
    install()
    with tempfile.TemporaryDirectory() as folder:
        binary = os.path.join(folder, "net.test")
        subprocess.run(["go", "test", "-c", "-o", binary, "."], cwd=os.path.dirname(HERE), check=True)
        rates, peaks = compare(binary, o.rounds, o.seconds, lambda *_: settings(), {})
        print(f"{CORES} cores, medians of {o.rounds} rounds; load {os.getloadavg()[0]:.1f}\n")
        table(rates, peaks, True)
        bound_rates, bound_peaks = compare(binary, o.rounds, o.seconds, lambda *task: [best(rates, *task)[2]], AVX2)
        print("\nboth bound to AVX2:\n")
        table(bound_rates, bound_peaks, False)


main()
