"""Kill runs at random moments and resume them, many times over: `python tests/soak.py --rounds 100`.

A round trains a small network on digits, in real processes. It is killed with SIGKILL at a moment drawn uniformly
between its start and the end of an uninterrupted run; the same command then resumes it. The round passes if the final
weights and metrics.csv (apart from times) are byte-identical to those of the uninterrupted run. It counts only if the
kill was in time.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = (sys.executable, "-m", "resnet.run", "data=digits", "data.limit=30", "model.stages=[1,1]", "model.width=8")
COMMAND += ("device=cpu",)
CHOICES = {
    "optimizer": ("adam", "adamw", "sgd"),
    "schedule": ("constant", "cosine", "onecycle"),
    "precision": ("auto", "fp32"),
}
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "RESNET_RUNS"}
ENVIRONMENT |= {"OMP_NUM_THREADS": "1"}  # fastest for such a small network


def run(folder: Path, overrides: list[str], seconds: float | None = None) -> bool:
    """Run the command, and return whether it was killed after `seconds`; raises CalledProcessError if it fails."""
    try:
        subprocess.run(
            [*COMMAND, *overrides], cwd=folder, env=ENVIRONMENT, timeout=seconds, check=True, capture_output=True
        )
    except subprocess.TimeoutExpired:  # the process was killed with SIGKILL
        return True
    return False


def final_bytes(folder: Path) -> tuple[bytes, list[list[str]]]:
    """Return the bytes of the final weights, and the rows of metrics.csv without times."""
    (weights,) = folder.glob("runs/*/*/*/weights.safetensors")
    rows = (weights.parent / "metrics.csv").read_text().splitlines()
    return weights.read_bytes(), [row.split(",")[:6] for row in rows]


def epochs_done(folder: Path) -> int:
    """Return how many epochs a run has recorded so far."""
    return sum(max(0, path.read_bytes().count(b"\n") - 1) for path in folder.glob("runs/*/*/*/metrics.csv"))


def soak(rounds: int, epochs: int, seed: int) -> list[tuple[bool, bool]]:
    """Print the outcome of each round; return whether its run was killed, and whether it passed."""
    draws, expected, outcomes = random.Random(seed), {}, []
    for n in range(1, rounds + 1):
        folder = Path(tempfile.mkdtemp())
        choice = tuple(f"{key}={draws.choice(options)}" for key, options in CHOICES.items())
        overrides = [*choice, f"epochs.count={epochs}"]
        if choice not in expected:
            (folder / "uninterrupted").mkdir()
            started = time.monotonic()
            run(folder / "uninterrupted", overrides)
            expected[choice] = (final_bytes(folder / "uninterrupted"), time.monotonic() - started)
        uninterrupted, seconds = expected[choice]
        (folder / "killed").mkdir()
        moment = draws.uniform(0, seconds)
        killed = run(folder / "killed", overrides, moment)
        epoch = epochs_done(folder / "killed")
        run(folder / "killed", overrides)
        passed = final_bytes(folder / "killed") == uninterrupted
        outcomes.append((killed, passed))
        when = "killed after" if killed else "ended before the kill at"
        where = f"{when} {moment:.1f} of {seconds:.1f} s and {epoch} of {epochs} epochs"
        print(f"round {n}: {' '.join(choice)}, {where}: {'same' if passed else 'DIFFERENT'}", flush=True)
        if passed:
            shutil.rmtree(folder)
        else:
            print(f"kept: {folder}", flush=True)
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=80, help="per run; with more, fewer runs end before a kill")
    parser.add_argument("--seed", type=int, default=0, help="for the random kills")
    arguments = parser.parse_args()
    outcomes = soak(arguments.rounds, arguments.epochs, arguments.seed)
    same = [passed for killed, passed in outcomes if killed]
    print(f"{sum(same)} of {len(same)} killed runs ended with the bytes of an uninterrupted run")
    sys.exit(not same or not all(passed for _, passed in outcomes))


if __name__ == "__main__":
    main()
