"""Checkpoints as bytes: written by PyTorch, and verified part by part when they are read."""

import io
import zipfile
from pathlib import Path
from typing import Any

from resnet.errors import lacks_memory


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint on the CPU: tensors, numbers and strings, never code; raises ValueError for a damaged one.

    The file is a zip archive with a checksum for each part, which PyTorch writes but does not verify. A file that
    cannot be read right now, e.g. on a network drive, is not damaged: that raises OSError.
    """
    import torch  # the sweep reads run folders without it

    file = io.BytesIO(path.read_bytes())
    try:
        with zipfile.ZipFile(file) as archive:
            if (part := archive.testzip()) is not None:
                raise ValueError(f"damaged: {part} does not match its checksum")
        file.seek(0)
        checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        if lacks_memory(error):
            raise
        # the bytes are in memory, so any other error in unzipping or unpickling means damage
        raise ValueError(f"damaged: {str(error).splitlines()[0] if str(error) else type(error).__name__}") from None
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("epoch"), int):
        raise ValueError("it is not a run's checkpoint")
    return checkpoint


def serialize(checkpoint: dict[str, Any]) -> bytes:
    """Return the bytes of a checkpoint."""
    import torch

    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    return buffer.getvalue()
