"""Time a table of a made-up tree of runs: `python -m analysis.benchmark [--runs 2000] [--epochs 200]`."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from analysis.frames.tables import METRICS

SEEDS = 5
CHECKSUM = "0" * 64


def make_tree(folder: Path, runs: int, epochs: int) -> None:
    """Write complete runs, SEEDS per configuration, as resnet.run would."""
    rows = "".join(f"{epoch},0.001,0.5,0.8,0.6,0.75,70.1,2.5,640.3\n" for epoch in range(1, epochs + 1))
    for number in range(runs):
        configuration, seed = divmod(number, SEEDS)
        blocks = configuration + 1
        run = folder / "runs" / "made-up" / f"blocks{blocks}-none-{configuration:08x}" / f"seed{seed}"
        run.mkdir(parents=True)
        network = {"stages": [blocks], "width": 32, "shortcut": "none", "norm": "batch", "zero_init": False}
        final = {"epoch": epochs, "train_loss": 0.5, "train_acc": 0.8, "val_loss": 0.6, "val_acc": 0.75 + seed / 1000}
        counts = {"blocks": blocks, "depth": 2 * blocks + 2, "parameters": 10**5, "multiply_adds": 10**8}
        test = {"loss": 0.6, "acc": 0.74, "images": 10000, "confusion": [[100] * 10] * 10}
        result = {"status": "complete", "seed": seed, "epochs": epochs, "final": final, "best": final, "test": test}
        config = {"data": {"name": "cifar10"}, "epochs": {"count": epochs}, "seed": seed}
        config |= {"model": {"name": f"blocks{blocks}", **network}, "study": "made-up"}
        config |= {f"group{i}": {"name": "choice", "one": 0.1, "two": None, "three": False} for i in range(5)}
        config |= {"identity": {"model": {"stages": [blocks], "shortcut": "none"}, "epochs": {"count": epochs}}}
        config |= {"choices": {"model": f"blocks{blocks}"} | {f"group{i}": "choice" for i in range(5)}}
        (run / "config.yaml").write_text(yaml.safe_dump(config))
        (run / "metrics.csv").write_text(f"{','.join(METRICS)}\n{rows}")
        origin = {"network": network, "code": CHECKSUM, "data": {"name": "cifar10", "sha256": CHECKSUM}}
        (run / "result.json").write_text(json.dumps(result | counts | origin))
        start = {"epoch": 0, "precision": "bf16", "code": CHECKSUM, "data": CHECKSUM}
        (run / "starts.jsonl").write_text(json.dumps(start) + "\n")


def table_seconds(runs: int, epochs: int) -> float:
    """Return how many seconds `python -m analysis.table` takes for this many runs, including the start of Python."""
    with tempfile.TemporaryDirectory() as folder:
        make_tree(Path(folder), runs, epochs)
        started = time.perf_counter()
        done = subprocess.run(
            (sys.executable, "-m", "analysis.table"), cwd=folder, capture_output=True, text=True, check=True
        )
        if done.stdout.count("made-up") != 1 or done.stdout.count("blocks") < runs // SEEDS:
            raise SystemExit(f"not the table of {runs} runs:\n{done.stdout}{done.stderr}")
        return time.perf_counter() - started


def main() -> None:
    """Print how long the table takes for a quarter, half and all of the runs."""
    parser = argparse.ArgumentParser(prog="python -m analysis.benchmark", description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=200)
    options = parser.parse_args()
    print("| runs | epochs | seconds |\n|---|---|---|")
    for part in (4, 2, 1):
        runs = options.runs // part
        print(f"| {runs} | {options.epochs} | {table_seconds(runs, options.epochs):.2f} |")


if __name__ == "__main__":
    main()
