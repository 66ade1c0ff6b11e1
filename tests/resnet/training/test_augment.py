import pytest
import torch

from resnet.training.augment import DRAWS, Augmenter, trivial_augment

N, SIZE, CHANNELS = 40, 10, 3
MEAN = torch.tensor([10.2, 20.0, 29.9])


@pytest.fixture
def images():
    return torch.randint(1, 256, (N, SIZE, SIZE, CHANNELS), dtype=torch.uint8, generator=torch.manual_seed(0))


def augmenter(images, flip=False, crop_padding=0, cutout=0, trivial=False) -> Augmenter:
    return Augmenter(images, MEAN, flip, crop_padding, cutout, trivial)


def one_by_one(image, draws, flip, padding, cutout):
    """Augment one image the obvious way."""
    draw = dict(zip(DRAWS, draws.tolist()))
    padded = torch.zeros(SIZE + 2 * padding, SIZE + 2 * padding, CHANNELS, dtype=torch.uint8)
    padded[padding : padding + SIZE, padding : padding + SIZE] = image
    top, left = draw["top"] + padding, draw["left"] + padding
    image = padded[top : top + SIZE, left : left + SIZE]
    if flip and draw["flip"]:
        image = image.flip(1)
    image = image.clone()
    rows = slice(max(0, draw["hole_row"] - cutout // 2), max(0, draw["hole_row"] - cutout // 2 + cutout))
    columns = slice(max(0, draw["hole_column"] - cutout // 2), max(0, draw["hole_column"] - cutout // 2 + cutout))
    image[rows, columns] = MEAN.round().to(torch.uint8)
    return image


@pytest.mark.parametrize(
    "flip, padding, cutout", [(False, 0, 0), (True, 0, 0), (False, 4, 0), (False, 0, 5), (True, 4, 4), (True, 12, 25)]
)
def test_a_batch_is_augmented_like_each_image_by_itself(images, flip, padding, cutout):
    ours = augmenter(images, flip, padding, cutout)
    draws = ours.draw(torch.manual_seed(1))
    index = torch.randperm(N)[:16]
    expected = torch.stack([one_by_one(images[i], draws[i], flip, padding, cutout) for i in index])
    assert torch.equal(ours.batch(index, draws[index]), expected)


def test_draws_are_uniform(images):
    many = augmenter(images.repeat(250, 1, 1, 1), flip=True, crop_padding=2)
    flip, top, left, row, column, _ = many.draw(torch.manual_seed(2)).unbind(1)
    assert flip.float().mean().item() == pytest.approx(0.5, abs=0.02)
    for shift in (top, left):
        assert torch.bincount(shift + 2, minlength=5).tolist() == pytest.approx([2000] * 5, rel=0.1)
    for place in (row, column):
        assert torch.bincount(place, minlength=SIZE).tolist() == pytest.approx([1000] * SIZE, rel=0.15)


def test_one_switch_leaves_the_other_draws_unchanged(images):
    with_cutout = augmenter(images, True, 4, 3).draw(torch.manual_seed(3))
    without = augmenter(images, True, 4, 0).draw(torch.manual_seed(3))
    assert torch.equal(with_cutout, without)


def test_trivial_augment_depends_on_each_images_seed(images):
    same = images[:1].repeat(12, 1, 1, 1)
    first = trivial_augment(same, list(range(12)))
    assert first.shape == same.shape and first.dtype == torch.uint8
    assert len({image.numpy().tobytes() for image in first}) > 6  # otherwise the batch shares its draws
    assert torch.equal(first[3], trivial_augment(same[:1], [3])[0])


def test_trivial_augment_leaves_the_global_generator_alone(images):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    trivial_augment(images[:4], [1, 2, 3, 4])
    assert torch.equal(torch.get_rng_state(), before)


def test_trivial_augment_is_torchvisions(images):
    from torchvision.transforms.v2 import TrivialAugmentWide

    for seed in range(12):
        torch.manual_seed(seed)
        expected = TrivialAugmentWide()(images[0].permute(2, 0, 1)).permute(1, 2, 0)
        assert torch.equal(trivial_augment(images[:1], [seed])[0], expected)


def test_trivial_augment_is_applied_last_with_a_seed_for_each_image(images):
    index, draws = torch.arange(16), augmenter(images, flip=True).draw(torch.manual_seed(4))[:16]
    before = augmenter(images, flip=True).batch(index, draws)
    together = augmenter(images, flip=True, trivial=True).batch(index, draws)
    assert torch.equal(together, trivial_augment(before, draws[:, DRAWS.index("seed")].tolist()))
    assert not torch.equal(together, before)
