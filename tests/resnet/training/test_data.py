import hashlib
import shutil
import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from resnet.config import ConfigError
from resnet.training import downloads
from resnet.training.augment import Augmenter
from resnet.training.data import (
    Split,
    channel_statistics,
    epoch_generator,
    first_of_each_class,
    hold_out,
    load,
    training_batches,
)
from resnet.training.downloads import DataError
from resnet.training.trainer import Normalize
from tests.resnet.runs import Harmful


@pytest.fixture(scope="module")
def digits():
    return load("digits", "unused", 0.1, None)


def test_digits_are_split_without_gap_or_overlap(digits):
    assert (len(digits.train), len(digits.val), len(digits.test)) == (1293, 144, 360)
    assert digits.train.images.shape == (1293, 8, 8, 1) and digits.train.images.dtype == torch.uint8
    together = np.concatenate([s.images.numpy().reshape(-1, 64) for s in (digits.train, digits.val, digits.test)])
    whole = np.rint(load_digits().images * 255 / 16).astype(np.uint8).reshape(-1, 64)
    assert sorted(map(bytes, together)) == sorted(map(bytes, whole))


def test_every_class_is_held_out_in_proportion(digits):
    fraction = torch.bincount(digits.val.labels) / torch.bincount(torch.cat([digits.train.labels, digits.val.labels]))
    assert fraction.tolist() == pytest.approx([0.1] * 10, abs=0.01)


def test_with_nothing_held_out_training_uses_everything():
    data = load("digits", "unused", 0.0, None)
    assert data.val is None and len(data.train) == 1437


def test_limit_takes_the_first_of_each_class():
    labels = np.array([1, 0, 1, 1, 0, 2, 1])
    assert first_of_each_class(labels, 2).tolist() == [1, 4, 0, 2, 5]
    data = load("digits", "unused", 0.2, 10)
    assert torch.bincount(data.train.labels).tolist() == [8] * 10
    assert torch.bincount(data.val.labels).tolist() == [2] * 10
    assert len(data.test) == 360


def test_images_left_out_of_the_training_still_count_in_the_statistics(digits):
    for fraction, limit in ((0.1, 20), (0.0, None)):
        data = load("digits", "unused", fraction, limit)
        assert torch.equal(data.mean, digits.mean) and torch.equal(data.std, digits.std)


def test_the_held_out_images_are_those_of_a_fixed_stratified_split(digits):
    whole, labels = np.rint(load_digits().images * 255 / 16).astype(np.uint8)[..., None], load_digits().target
    rest, test = train_test_split(np.arange(1797), test_size=0.2, stratify=labels, random_state=42)
    assert np.array_equal(digits.test.images.numpy(), whole[np.sort(test)])
    rest = np.sort(rest)
    _, val = train_test_split(rest, test_size=0.1, stratify=labels[rest], random_state=42)
    assert np.array_equal(digits.val.images.numpy(), whole[np.sort(val)])


def test_the_held_out_images_do_not_depend_on_scikit_learns_version():
    """The same 10 % of 1,000 labels as in the studies, by a checksum of their indices."""
    places = torch.arange(1000)
    _, held_out = hold_out(Split(places.view(-1, 1, 1, 1), places % 10), 0.1)
    digest = hashlib.sha256(held_out.images.flatten().numpy().astype("<i8").tobytes()).hexdigest()
    assert digest == "ec4e6457437b7c24e592b11a4e7b4ec689cd3a740590ac04825eb3c58d13685a"


@pytest.mark.parametrize("part", ["train", "val", "test"])
@pytest.mark.parametrize("of", ["images", "labels"])
def test_the_checksum_is_over_all_images_and_labels(digits, part, of):
    split = getattr(digits, part)
    changed = getattr(split, of).clone()
    changed[-1] += 1
    assert replace(digits, **{part: replace(split, **{of: changed})}).sha256() != digits.sha256()


def test_statistics_are_exact():
    images = torch.randint(0, 256, (500, 7, 7, 3), dtype=torch.uint8, generator=torch.manual_seed(0))
    mean, std = channel_statistics(images)
    flat = images.double().reshape(-1, 3)
    assert torch.allclose(mean.double(), flat.mean(dim=0), rtol=1e-7)
    assert torch.allclose(std.double(), flat.std(dim=0, correction=0), rtol=1e-7)


def test_a_constant_channel_is_normalised_to_zero():
    images = torch.randint(0, 256, (50, 7, 7, 3), dtype=torch.uint8, generator=torch.manual_seed(0))
    images[..., 1], images[..., 2] = 77, 0
    normal = Normalize(*channel_statistics(images))(images)
    assert normal.isfinite().all() and not normal[:, 1:].any()
    assert normal[:, 0].std().item() == pytest.approx(1, rel=1e-3)


def test_a_split_that_leaves_a_class_out_is_refused():
    with pytest.raises(ConfigError, match=r"data.val_fraction=0.1: 10 images are too few to split"):
        load("digits", "unused", 0.1, 1)


def batches_of(data, seed, epoch):
    augmenter = Augmenter(data.train.images, data.mean, True, 2, 0, False)
    return list(training_batches(data.train.labels, augmenter, 64, seed, epoch))


def test_an_epoch_holds_every_image_once(digits):
    augmenter = Augmenter(digits.train.images, digits.mean, False, 0, 0, False)
    batches = list(training_batches(digits.train.labels, augmenter, 64, seed=0, epoch=1))
    assert [len(labels) for _, labels in batches] == [64] * 20 + [13]
    seen = torch.cat([images for images, _ in batches]).numpy().reshape(-1, 64)
    assert sorted(map(bytes, seen)) == sorted(map(bytes, digits.train.images.numpy().reshape(-1, 64)))


def test_every_image_keeps_its_draws_through_all_batches(digits):
    augmenter = Augmenter(digits.train.images, digits.mean, True, 2, 3, False)
    generator = epoch_generator(7, 2)
    order, draws = torch.randperm(1293, generator=generator), augmenter.draw(generator)
    for place, (images, labels) in enumerate(training_batches(digits.train.labels, augmenter, 64, seed=7, epoch=2)):
        index = order[64 * place : 64 * (place + 1)]
        assert torch.equal(labels, digits.train.labels[index])
        assert torch.equal(images, augmenter.batch(index, draws[index]))


def test_the_batches_are_a_function_of_seed_and_epoch(digits):
    first = batches_of(digits, seed=3, epoch=5)
    torch.manual_seed(123)  # the global generator has no effect either
    again = batches_of(digits, seed=3, epoch=5)
    assert all(torch.equal(a, b) for x, y in zip(first, again) for a, b in zip(x, y))
    for seed, epoch in ((3, 6), (4, 5), (5, 3)):
        assert not torch.equal(first[0][1], batches_of(digits, seed, epoch)[0][1])


def test_cifar10_is_the_real_one_and_split_as_in_the_original(cifar10):
    data = load("cifar10", str(cifar10), 0.1, None)
    assert (len(data.train), len(data.val), len(data.test)) == (45000, 5000, 10000)
    assert (data.mean / 255).tolist() == pytest.approx([0.4914, 0.4822, 0.4465], abs=5e-5)
    assert (data.std / 255).tolist() == pytest.approx([0.2470, 0.2435, 0.2616], abs=5e-5)
    assert data.classes[:3] == ("airplane", "automobile", "bird")
    assert data.sha256() == "f8ef8bee48005473a6b151fa0f117f01bea611116f5222e76292a54bfc6b6297", "the studies' split"
    from torchvision.datasets import CIFAR10

    reference = CIFAR10(cifar10, train=True)
    labels = np.array(reference.targets)
    _, held_out = train_test_split(np.arange(50000), test_size=0.1, stratify=labels, random_state=42)
    assert np.array_equal(data.val.images.numpy(), reference.data[np.sort(held_out)])


def damaged(cifar10, tmp_path, change):
    """Return a copy of the CIFAR-10 folder after `change` was applied to one of its files."""
    copy = tmp_path / "data"
    shutil.copytree(cifar10 / "cifar-10-batches-py", copy / "cifar-10-batches-py")
    change(copy / "cifar-10-batches-py" / "data_batch_3")
    return copy


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[12345] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "change",
    [flip_a_byte, lambda p: p.write_bytes(p.read_bytes()[:1000]), lambda p: p.unlink()],
    ids=["flip", "cut", "gone"],
)
def test_damaged_cifar10_is_never_read(cifar10, tmp_path, change, no_network):
    root = damaged(cifar10, tmp_path, change)
    with pytest.raises(
        DataError, match=r"data.root=\S+ does not hold CIFAR10 whole, and downloading .* failed: "
    ) as error:
        load("cifar10", str(root), 0.1, None)
    assert str(error.value).count("\n") == 1 and "data=digits" in str(error.value)


@pytest.fixture
def no_network(monkeypatch):
    """Make every download fail immediately, as it does without a network."""

    def refuse(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr("socket.create_connection", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)


@pytest.fixture
def small_cifar(request, monkeypatch, tmp_path):
    """Yield the path of a new data folder, for which a local server offers CIFAR in its own format.

    It has 20 training and 20 test images, of CIFAR-10 unless a test asks for CIFAR100.
    """
    import functools
    import http.server
    import pickle
    import tarfile

    from torchvision import datasets

    dataset = getattr(datasets, getattr(request, "param", "CIFAR10"))
    labels, train, test = ("labels", "data_batch_1", "test_batch")
    if dataset is datasets.CIFAR100:
        labels, train, test = ("fine_labels", "train", "test")
    source = tmp_path / "source" / dataset.base_folder
    source.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in (train, test):
        batch = {"data": rng.integers(0, 256, (20, 3072), dtype=np.uint8), labels: [i % 10 for i in range(20)]}
        (source / name).write_bytes(pickle.dumps(batch))
    classes = [str(i) for i in range(100 if dataset is datasets.CIFAR100 else 10)]
    (source / dataset.meta["filename"]).write_bytes(pickle.dumps({dataset.meta["key"]: classes}))
    archive = tmp_path / "cifar.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(source, dataset.base_folder)

    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(dataset, "url", f"http://127.0.0.1:{server.server_port}/cifar.tar.gz")
    monkeypatch.setattr(dataset, "tgz_md5", md5(archive))
    monkeypatch.setattr(dataset, "train_list", [[train, md5(source / train)]])
    monkeypatch.setattr(dataset, "test_list", [[test, md5(source / test)]])
    monkeypatch.setattr(dataset, "meta", dataset.meta | {"md5": md5(source / dataset.meta["filename"])})
    yield tmp_path / "data"
    server.shutdown()
    server.server_close()


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "small_cifar, name, classes", [("CIFAR10", "cifar10", 10), ("CIFAR100", "cifar100", 100)], indirect=["small_cifar"]
)
def test_missing_data_are_downloaded(small_cifar, name, classes):
    data = load(name, str(small_cifar), 0.5, None)
    assert (len(data.train), len(data.val), len(data.test), len(data.classes)) == (10, 10, 20, classes)
    assert data.test.labels.tolist() == [i % 10 for i in range(20)]


def test_half_a_download_is_completed(small_cifar):
    small_cifar.mkdir()
    (small_cifar / "cifar-10-python.tar.gz").write_bytes(b"half of it")
    (small_cifar / "cifar-10-batches-py").mkdir()
    (small_cifar / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"half of it")
    assert len(load("cifar10", str(small_cifar), 0.0, None).train) == 20


def test_simultaneous_loads_download_only_once(small_cifar, monkeypatch):
    begun, both, download = [], threading.Event(), downloads._download
    together = threading.Barrier(4)

    def load_at_once(_):
        together.wait()
        return load("cifar10", str(small_cifar), 0.0, None).sha256()

    def slow(*arguments):
        begun.append(arguments)
        if len(begun) == 2:
            both.set()
        both.wait(0.3)
        return download(*arguments)

    monkeypatch.setattr(downloads, "_download", slow)
    with ThreadPoolExecutor(4) as pool:
        checksums = {*pool.map(load_at_once, range(4))}
    assert len(checksums) == len(begun) == 1


def dying_server(behaviour):
    """Return the URL of a server that reads a request and then calls `behaviour` on its connection."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            connection, _ = listening.accept()
            connection.recv(65536)
            behaviour(connection)

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listening.getsockname()[1]}/cifar.tar.gz"


HALF = b"HTTP/1.0 200 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(5000)


def hang_up(connection):
    connection.sendall(HALF)
    connection.close()


def reset(connection):
    connection.sendall(HALF)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close with a reset
    connection.close()


def talk_nonsense(connection):
    connection.sendall(b"\0\1\2 what?\r\n")
    connection.close()


def fall_silent(connection, kept=[]):  # noqa: B006  kept open, and silent
    connection.sendall(HALF)
    kept.append(connection)


@pytest.mark.parametrize("behaviour", [hang_up, reset, talk_nonsense, fall_silent])
def test_a_download_that_dies_half_way_is_reported(small_cifar, monkeypatch, behaviour):
    with monkeypatch.context() as while_broken:
        while_broken.setattr("resnet.training.downloads.STALLED", 0.3)
        while_broken.setattr("torchvision.datasets.CIFAR10.url", dying_server(behaviour))
        with pytest.raises(DataError, match=r"and downloading http://\S+ failed: .+\nPut the folder") as error:
            load("cifar10", str(small_cifar), 0.0, None)
    assert str(error.value).count("\n") == 1
    assert len(load("cifar10", str(small_cifar), 0.0, None).train) == 20, "the same command then fetches all of it"


@pytest.mark.parametrize("name", ["data_batch_1", "test_batch", "batches.meta"])
def test_a_malicious_batch_is_replaced_and_never_executed(small_cifar, tmp_path, name):
    import pickle

    load("cifar10", str(small_cifar), 0.0, None)
    (small_cifar / "cifar-10-batches-py" / name).write_bytes(pickle.dumps(Harmful(tmp_path / "executed")))
    assert len(load("cifar10", str(small_cifar), 0.0, None).train) == 20
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("found", ["cifar-100-python/train", "cifar-10-batches-py/data_batch_1/file", "unrelated"])
def test_other_files_in_the_data_folder_are_kept(small_cifar, found):
    (small_cifar / found).parent.mkdir(parents=True)
    (small_cifar / found).write_text("something else")
    if "data_batch_1" in found:
        with pytest.raises(DataError, match=r"data.root=\S+: cannot be read or written: |does not hold CIFAR10 whole"):
            load("cifar10", str(small_cifar), 0.0, None)
    else:
        assert len(load("cifar10", str(small_cifar), 0.0, None).train) == 20
    assert (small_cifar / found).read_text() == "something else"


def test_the_home_of_an_unknown_user_is_refused():
    with pytest.raises(ConfigError, match=r"^data.root=~nobody-0/x: must be a folder; there is no user ~nobody-0$"):
        load("cifar10", "~nobody-0/x", 0.0, None)


def test_a_data_folder_that_is_a_file_is_reported(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(DataError, match=r"data.root=\S+/data: cannot be read or written: .*(exists|Not a directory)"):
        load("cifar10", str(tmp_path / "data"), 0.0, None)


def test_a_data_folder_without_read_permission_is_reported(small_cifar):
    import os

    load("cifar10", str(small_cifar), 0.0, None)
    privileged = os.geteuid() == 0
    with TemporaryDirectory() as folder:  # unlike pytest's, it can be opened to other users
        os.chmod(folder, 0o755)
        root = shutil.copytree(small_cifar, Path(folder, "data"))
        for path in (root, *root.rglob("*")):  # whatever root's umask is
            path.chmod(0o755 if path.is_dir() else 0o644)
        try:
            if privileged:
                os.seteuid(65534)
            load("cifar10", str(root), 0.0, None)
            if privileged:
                os.seteuid(0)
            (root / "cifar-10-batches-py" / "data_batch_1").chmod(0)
            if privileged:
                os.seteuid(65534)
            with pytest.raises(DataError, match=r"data.root=\S+: cannot be read or written: .*Permission denied"):
                load("cifar10", str(root), 0.0, None)
        finally:
            if privileged:
                os.seteuid(0)
