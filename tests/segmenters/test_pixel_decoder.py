"""The pixel decoder is computed in single precision, whatever autocast is around."""

import torch


def answers(decoder, maps):
    mask_features, levels = decoder(maps)
    return [mask_features, *levels]


def test_autocast_changes_no_bit(small):
    decoder = small().pixel_decoder
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.2)  # offsets of zero would hide points that move
    sides = [(16, 24), (8, 12), (4, 6), (2, 3)]
    maps = [torch.randn(2, width, *side) for width, side in zip((8, 16, 24, 32), sides, strict=True)]
    plain = answers(decoder, maps)
    with torch.autocast("cpu", torch.bfloat16):
        shielded = answers(decoder, maps)
        assert (maps[0].flatten(1) @ maps[0].flatten(1).T).dtype == torch.bfloat16  # it is on, and on again
        rounded = answers(decoder, [level.bfloat16() for level in maps])  # as a backbone under autocast gives them
    assert all(torch.equal(a, b) for a, b in zip(plain, shielded, strict=True))
    exact = answers(decoder, [level.bfloat16().float() for level in maps])
    assert all(torch.equal(a, b) for a, b in zip(exact, rounded, strict=True))
    sum(answer.square().sum() for answer in rounded).backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in decoder.parameters())


def test_double_precision_stays(small):
    decoder = small().pixel_decoder.double()
    maps = [torch.randn(1, width, 8, 8, dtype=torch.float64) for width in (8, 16, 24, 32)]
    assert all(answer.dtype == torch.float64 for answer in answers(decoder, maps))
