"""The user's own pictures as a data set, and small versions of torchvision's other data sets."""

import gzip
import hashlib
import os
import struct

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from torchvision.datasets import FashionMNIST

from resnet.config import run_name
from resnet.errors import ConfigError
from resnet.launch.compose import compose_config
from resnet.training.catalogue import facts_of, pictures_digest
from resnet.training.data import load
from resnet.training.downloads import DataError
from resnet.training.pictures import PictureError


@pytest.mark.parametrize("grey, channels", [(False, 3), (True, 1)])
def test_a_folder_of_pictures_is_a_data_set(pictures, grey, channels):
    data = load("folder", str(pictures), 0.2, None, 16, grey, pictures_digest(str(pictures)))
    assert data.classes == ("dark", "light") and (len(data.train), len(data.val), len(data.test)) == (16, 4, 10)
    assert data.train.images.shape == (16, 16, 16, channels) and data.train.images.dtype == torch.uint8
    means = data.test.images.double().mean(dim=(1, 2, 3))
    assert ((means > 120) == data.test.labels.bool()).all()
    facts = facts_of("folder", str(pictures), 16, grey)
    assert (facts.images, facts.size, facts.channels, facts.classes) == (20, 16, channels, 2)


def test_other_pictures_are_another_run_and_a_moved_folder_is_not(pictures):
    def name() -> str:
        return run_name(compose_config(["data=folder", f"data.root={pictures}"]))

    before = name()
    moved = pictures.rename(pictures.with_name("moved"))
    assert run_name(compose_config(["data=folder", f"data.root={moved}"])) == before
    moved.rename(pictures)
    file = pictures / "test" / "light" / "0.png"
    original, content = file.read_bytes(), bytearray(file.read_bytes())
    content[-1] ^= 1  # same size, same name
    file.write_bytes(content)
    assert name() != before
    file.write_bytes(original)
    assert name() == before
    for suffix in ("png", "jfif"):  # Pillow reads both
        Image.new("RGB", (9, 9)).save(pictures / "train" / "dark" / f"new.{suffix}")
        assert name() != before
        before = name()


def test_pictures_in_folders_of_a_class_belong_to_it_and_hidden_ones_do_not(pictures):
    before = pictures_digest(str(pictures))
    inner, hidden = (pictures / "train" / "dark" / name for name in ("more/of.png", ".cache"))
    for folder in (inner, hidden):
        folder.mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(hidden / "0.png")
    assert pictures_digest(str(pictures)) == before
    Image.new("RGB", (9, 9)).save(inner / "0.png")
    after = pictures_digest(str(pictures))
    data = load("folder", str(pictures), 0.0, None, 16, False, after)
    assert after != before and data.train.labels.tolist() == [0] * 11 + [1] * 10


def test_a_picture_whose_name_is_not_utf_8_is_named(pictures):
    name = os.fsdecode(b"caf\xe9.png")
    try:
        Image.new("RGB", (9, 9)).save(pictures / "train" / "dark" / name)
    except OSError:
        pytest.skip("needs a file system that takes any bytes for a name")
    with pytest.raises(ConfigError, match=r"'train/dark/caf\\udce9.png' must have a name in UTF-8"):
        pictures_digest(str(pictures))


def test_what_is_wrong_with_a_folder_is_named(pictures):
    with pytest.raises(ConfigError, match="there is no folder nowhere/train; data=folder takes train/CLASS/PICTURE"):
        load("folder", "nowhere", 0.1, None)
    (pictures / "train" / "dark" / "broken.png").write_bytes(b"nothing")
    with pytest.raises(PictureError, match=r"dark/broken.png: not a picture"):
        load("folder", str(pictures), 0.1, None, 16, False, "1")
    (pictures / "train" / "dark" / "broken.png").unlink()
    (pictures / "test" / "dark").rename(pictures / "test" / "dusk")
    with pytest.raises(ConfigError, match="train/dark has no test/dark"):
        load("folder", str(pictures), 0.1, None, 16, False, "2")
    (pictures / "train" / "dark").rename(pictures / "train" / "dusk")
    (pictures / "train" / "dim").mkdir()
    Image.new("RGB", (9, 9)).save(pictures / "train" / "dim" / "0.png")
    with pytest.raises(ConfigError, match="train/dim has no test/dim"):
        load("folder", str(pictures), 0.1, None, 16, False, "3")
    (pictures / "train" / "dawn").mkdir()
    with pytest.raises(ConfigError, match="train/dawn has no picture; add some, or remove the folder"):
        load("folder", str(pictures), 0.1, None, 16, False, "4")
    with pytest.raises(ConfigError, match="^data.root=nowhere: there is no folder"):
        compose_config(["data=folder", "data.root=nowhere"])
    with pytest.raises(ConfigError, match="data.size=16: belongs to data=folder; the images of cifar10 are"):
        compose_config(["data.size=16"])


def test_svhn_is_read_as_torchvision_stores_it(tmp_path, monkeypatch):
    """A damaged file is not read: it is downloaded again, which fails here."""
    from torchvision.datasets import SVHN

    rng, split_list = np.random.default_rng(0), {}
    for part in ("train", "test"):
        images = rng.integers(0, 256, (32, 32, 3, 20), dtype=np.uint8)
        path = tmp_path / f"{part}_32x32.mat"
        savemat(path, {"X": images, "y": np.arange(20)[:, None] % 10 + 1})  # 10 stands for the digit 0
        split_list[part] = ["http://127.0.0.1:9/", path.name, hashlib.md5(path.read_bytes()).hexdigest()]
    monkeypatch.setattr(SVHN, "split_list", split_list)
    data = load("svhn", str(tmp_path), 0.0, None)
    assert data.train.images.shape == (20, 32, 32, 3) and data.classes == tuple("0123456789")
    assert torch.equal(data.test.images[0], torch.from_numpy(images[..., 0])) and data.test.labels[9] == 0
    path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1]))
    with pytest.raises(DataError, match="does not hold SVHN whole, and downloading it failed"):
        load("svhn", str(tmp_path), 0.0, None)


def test_fashion_mnist_is_read_as_torchvision_stores_it(tmp_path, monkeypatch):
    """A damaged file is unpacked again from its archive."""
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part in ("train", "t10k"):
        images, labels = rng.integers(0, 256, (20, 28, 28), dtype=np.uint8), np.arange(20, dtype=np.uint8) % 10
        files = {f"{part}-images-idx3-ubyte": struct.pack(">4i", 2051, 20, 28, 28) + images.tobytes()}
        files |= {f"{part}-labels-idx1-ubyte": struct.pack(">2i", 2049, 20) + labels.tobytes()}
        for name, content in files.items():
            (raw / name).write_bytes(content)
            (raw / f"{name}.gz").write_bytes(gzip.compress(content))
    archives = [(path.name, hashlib.md5(path.read_bytes()).hexdigest()) for path in raw.glob("*.gz")]
    monkeypatch.setattr(FashionMNIST, "resources", archives)
    for damage in (None, b"", content[:20]):
        if damage is not None:
            (raw / "train-images-idx3-ubyte").write_bytes(damage)
        data = load("fashion_mnist", str(tmp_path), 0.0, None)
    assert data.train.images.shape == (20, 28, 28, 1) and "Sneaker" in data.classes
    assert torch.equal(data.test.images[..., 0], torch.from_numpy(images))
    assert data.test.labels.tolist() == labels.tolist()
