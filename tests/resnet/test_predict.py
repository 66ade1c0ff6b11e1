"""Pictures of every kind, shown to a trained network."""

import numpy as np
import pytest
import torch
from PIL import Image

from resnet import predict
from resnet.record.trained import load_trained
from resnet.training import data


def save(folder, image: Image.Image, name: str, **options):
    image.save(folder / name, **options)
    return folder / name


def grey(value: int, size=(40, 30), mode: str = "RGB") -> Image.Image:
    return Image.new("RGB", size, (value,) * 3).convert(mode)


def test_a_picture_of_the_data_set_is_read_unchanged(digits_run, tmp_path):
    trained, test = load_trained(digits_run), data.load("digits", "", 0.1, None).test
    path = save(tmp_path, Image.fromarray(test.images[5, :, :, 0].numpy()), "digit.png")
    image = predict.read_picture(path, trained.size, trained.channels)
    assert torch.equal(image, test.images[5])
    answer = predict.predict(trained, image)
    with torch.no_grad():
        expected = trained.model(trained.normalize()(test.images[5:6])).double().softmax(dim=1)[0]
    assert [answer[name] for name in trained.classes] == expected.tolist()
    assert list(answer.values()) == sorted(expected.tolist(), reverse=True)


@pytest.mark.parametrize(
    "name, image",
    [
        ("palette.gif", grey(200).quantize()),
        ("palette.png", grey(200).quantize()),
        ("alpha.png", grey(200, mode="RGBA")),
        ("grey alpha.png", grey(200, mode="LA")),
        ("grey.png", grey(200, mode="L")),
        ("16 bit.png", Image.fromarray(np.full((30, 40), 200 * 257, dtype=np.uint16))),
        ("16 bit.tiff", Image.fromarray(np.full((30, 40), 200 * 257, dtype=np.uint16))),
        ("32 bit.tiff", Image.fromarray(np.full((30, 40), 200 * 257, dtype=np.int32))),
        ("cmyk.jpg", grey(200, mode="CMYK")),
        ("ycbcr.tiff", grey(200, mode="YCbCr")),
        ("one.png", grey(200, (1, 1))),
        ("thin.png", grey(200, (1, 500))),
        ("large.jpg", grey(200, (3000, 2000))),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_kind_of_picture_makes_no_difference(tmp_path, name, image, channels):
    read = predict.read_picture(save(tmp_path, image, name), 32, channels)
    assert read.shape == (32, 32, channels) and read.dtype == torch.uint8
    assert (read.int() - 200).abs().max() <= 3  # JPEG is not exact


def test_the_extremes_of_sixteen_bits_become_those_of_eight(tmp_path):
    for value, read in ((0, 0), (65535, 255)):
        image = Image.fromarray(np.full((9, 9), value, dtype=np.uint16))
        assert (predict.read_picture(save(tmp_path, image, "deep.png"), 9, 1) == read).all()
    for value in (-1, 65536):
        path = save(tmp_path, Image.fromarray(np.full((9, 9), value, dtype=np.int32)), "deeper.tiff")
        with pytest.raises(predict.PictureError, match="more than 16 bits a pixel"):
            predict.read_picture(path, 9, 1)


def test_a_large_picture_is_averaged_not_sampled(tmp_path):
    squares = Image.fromarray((np.indices((320, 320)).sum(axis=0) % 2 * 255).astype(np.uint8))
    read = predict.read_picture(save(tmp_path, squares, "squares.png"), 32, 1)
    assert (read.int() - 127).abs().max() <= 2


def test_black_and_white_is_read_as_both(tmp_path):
    for value in (0, 255):
        assert (predict.read_picture(save(tmp_path, grey(value, mode="1"), "bit.png"), 8, 3) == value).all()


def test_transparent_pixels_become_white(tmp_path):
    clear = save(tmp_path, Image.new("RGBA", (9, 9), (255, 0, 0, 0)), "clear.png")
    palette = save(tmp_path, Image.new("P", (9, 9), 0), "palette.png", transparency=0)
    for path in (clear, palette):
        assert (predict.read_picture(path, 32, 3) == 255).all()


def test_the_middle_of_a_wide_picture_is_taken(tmp_path):
    image = Image.new("RGB", (300, 100), "blue")
    image.paste("red", (100, 0, 200, 100))
    read = predict.read_picture(save(tmp_path, image, "wide.png"), 32, 3)
    assert (read[:, 2:-2] == torch.tensor([255, 0, 0])).all()  # near the edges, the filter reaches beyond the middle


def test_a_photograph_is_turned_as_its_exif_orientation_says(tmp_path):
    image = Image.new("L", (64, 64), 0)
    image.paste(255, (0, 0, 32, 64))  # white on the left; on top after a quarter turn to the right
    exif = Image.Exif()
    exif[0x0112] = 6
    read = predict.read_picture(save(tmp_path, image, "turned.png", exif=exif), 32, 1)
    assert (read[:15] == 255).all() and (read[17:] == 0).all()


def test_it_needs_no_data_set_and_skips_what_cannot_be_read(photo_run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("resnet.record.trained.load", None)
    monkeypatch.chdir(tmp_path)
    save(tmp_path, grey(200), "good.png")
    save(tmp_path, grey(10), "good too.jpg")
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:60])
    (tmp_path / "text.png").write_text("no picture")
    Image.fromarray(np.ones((4, 4), dtype=np.float32)).save("float.tiff")
    names = ["good.png", "cut.png", "text.png", "none.png", ".", "float.tiff", "good too.jpg"]
    assert predict.main([str(photo_run), *names]) == 1
    output = capsys.readouterr()
    assert [line.split(":")[0] for line in output.out.splitlines()] == ["good.png", "good too.jpg"]
    assert [line.split(":")[:2] for line in output.err.splitlines()] == [["error", f" {name}"] for name in names[1:6]]


def test_it_shows_as_many_classes_as_are_asked_for(photo_run, tmp_path, capsys):
    path = str(save(tmp_path, grey(200), "grey.png"))
    for arguments, count in ([], 3), (["--top", "1"], 1), (["--top", "99"], 10):
        assert predict.main([str(photo_run), path, *arguments]) == 0
        answers = capsys.readouterr().out.removeprefix(f"{path}: ").strip().split(", ")
        assert len(answers) == count
    assert sum(float(answer.split()[1].rstrip("%")) for answer in answers) == pytest.approx(100, abs=0.5)
    with pytest.raises(SystemExit, match="2"):
        predict.main([str(photo_run), path, "--top", "0"])
    assert capsys.readouterr().err.startswith("error: argument --top: 0: must be a whole number, at least 1")
