"""Write a finished run's network to one file that others can load without this project.

    python -m resnet.export runs/default/blocks4-projection-…/seed0 --format onnx

onnx              for ONNX Runtime and similar; needs: pip install -e ".[onnx]"
exported_program  for torch.export.load
safetensors       the weights alone, under their names in this project

The first two take images as most programs hold them, float32 (batch, channels, height, width) from 0 to 1, any number
at a time, and normalise them. They return logits (batch, classes); a softmax turns these into probabilities. With the
weights alone, you must normalise the images yourself. All are in fp32 and evaluation mode. Their metadata holds the
names of the classes, mean and standard deviation of the channels (from 0 to 255), and the network's shape.
"""

import io
import json
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from resnet.command import RunParser
from resnet.errors import ConfigError, UserError, exit_on_error
from resnet.record.files import write_whole
from resnet.record.trained import Trained, load_trained

METADATA = "metadata.json"  # its name in torch.export.load's extra_files


class ExportError(UserError):
    """A format that cannot be written here."""


class Classifier(nn.Module):
    """Map images, float32 (batch, channels, height, width) from 0 to 1, to logits (batch, classes)."""

    def __init__(self, trained: Trained):
        super().__init__()
        self.mean: Tensor
        self.std: Tensor
        self.network = trained.model.to(memory_format=torch.contiguous_format)
        self.register_buffer("mean", trained.mean.view(-1, 1, 1) / 255)
        self.register_buffer("std", trained.std.view(-1, 1, 1) / 255)

    def forward(self, images: Tensor) -> Tensor:
        return self.network((images - self.mean) / self.std)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = RunParser("resnet.export", __doc__)
    parser.add_argument("--format", required=True, choices=FORMATS)
    parser.add_argument(
        "--out", metavar="FILE", type=Path, help="default: a name like the run's, in the working folder"
    )
    given = parser.parse_args(arguments)
    trained = load_trained(given.run)
    to_bytes, suffix = FORMATS[given.format]
    folder = given.run.resolve()
    out = given.out or Path(f"{folder.parent.name}-{folder.name}{suffix}")
    if out.exists() and not out.is_file():  # a device file would be replaced
        raise ConfigError(f"--out {out}: is a folder or a device; it must be a file")
    if not out.parent.is_dir():
        raise ConfigError(f"--out {out}: there is no folder {out.parent}")
    if given.out and (run := run_around(out)):
        raise ConfigError(f"--out {out}: is in the run folder {run}, whose files are its record; write it elsewhere")
    write_whole(out.resolve(), to_bytes(trained))
    print(f"{out}: {given.format}, {len(trained.classes)} classes, {trained.size}x{trained.size} pixels")
    return 0


def run_around(path: Path) -> Path | None:
    """Return the run folder that a file is in, at any depth; None if it is in none."""
    signs = ("result.json", "failure.json", "starts.jsonl")  # a config.yaml alone need not be a run's
    for folder in path.resolve().parents:
        if (folder / "config.yaml").exists() and any((folder / sign).exists() for sign in signs):
            return folder
    return None


def to_onnx(trained: Trained) -> bytes:
    """Return an ONNX file with input `images` and output `logits`; raises ExportError without the packages for it."""
    if missing := [package for package in ("onnx", "onnxscript") if find_spec(package) is None]:
        raise ExportError(f'onnx: {missing[0]} is not installed; pip install -e ".[onnx]"')
    program = torch.onnx.export(export(trained), input_names=["images"], output_names=["logits"], verbose=False)
    assert program is not None
    model = program.model_proto
    for node in model.graph.node:
        del node.metadata_props[:]  # the operation's source location, in this machine's files
    for key, value in metadata(trained).items():
        model.metadata_props.add(key=key, value=value)
    return model.SerializeToString()


def to_exported_program(trained: Trained) -> bytes:
    """Return what torch.export.load reads."""
    buffer = io.BytesIO()
    torch.export.save(export(trained), buffer, extra_files={METADATA: json.dumps(metadata(trained))})
    return buffer.getvalue()


def to_safetensors(trained: Trained) -> bytes:
    """Return the weights, with the metadata in the header."""
    weights = {name: weight.contiguous() for name, weight in trained.model.state_dict().items()}
    return save(weights, {"format": "pt"} | metadata(trained))


def export(trained: Trained) -> ExportedProgram:
    """Return the network as PyTorch's graph of operations, for batches of any size."""
    # with a batch of 1, torch.export would allow no other size
    example = torch.zeros(2, trained.channels, trained.size, trained.size)
    with torch.no_grad():
        program = torch.export.export(Classifier(trained).eval(), (example,), dynamic_shapes=({0: Dim("batch")},))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # the operation's source location, in this machine's files
    return program


def metadata(trained: Trained) -> dict[str, str]:
    """Return what a user of the file needs to know about the network, each value as JSON."""
    known = {
        "classes": trained.classes,
        "mean": trained.mean.tolist(),
        "std": trained.std.tolist(),
        "size": trained.size,
        "network": trained.network.as_dict(),
    }
    return {key: json.dumps(value) for key, value in known.items()}


FORMATS = {
    "onnx": (to_onnx, ".onnx"),
    "exported_program": (to_exported_program, ".pt2"),
    "safetensors": (to_safetensors, ".safetensors"),
}


if __name__ == "__main__":
    with exit_on_error():
        sys.exit(main())
