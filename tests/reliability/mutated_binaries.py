"""Checkpoints and arrays: what is wrong in each, and which words must refuse it."""

import io
import os
import pickle
import zipfile

import numpy as np
import torch
from small_files import Mutation, drop, put, to


class Program:
    """What a hostile pickle does when it is loaded."""

    def __reduce__(self):
        return os.mkdir, ("/nonexistent/cvis was run",)


def saved(content, **how) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **how)
    return file.getvalue()


def with_bytes(change):
    return lambda content: change(saved(content))


def deflated(data: bytes, more: int = 0) -> bytes:
    """The same zip file, but compressed, as torch never writes it."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry) + bytes(more))
    return file.getvalue()


CHECKPOINT = [
    Mutation("empty file", to(b""), "is not a readable checkpoint"),
    Mutation("text", to(b"hello"), "is not a readable checkpoint"),
    Mutation("cut off", with_bytes(lambda data: data[: len(data) // 2]), "is not a readable checkpoint"),
    Mutation("cut off at its end", with_bytes(lambda data: data[:-1]), "is not a readable checkpoint"),
    Mutation("a byte of the list flipped", with_bytes(lambda data: data.replace(b"data.pkl", b"dataXpkl")), "readable"),
    Mutation("a program", to(pickle.dumps(Program())), "is not a readable checkpoint"),
    Mutation("a program among tensors", put("state.bias", Program()), "is not a readable checkpoint"),
    Mutation("a program in the old format", lambda c: saved({"state": Program()}, _use_new_zipfile_serialization=False),
             "is not a readable checkpoint"),
    Mutation("a bomb", with_bytes(lambda data: deflated(data, 10**6)), "would unpack to"),
    Mutation("another zip file", to(deflated(saved({}))[:-1]), "is not a readable checkpoint"),
    Mutation("list on top", lambda c: saved([1]), "state: is missing"),
    Mutation("tensor on top", lambda c: saved(torch.zeros(2)), "state: is missing"),
    Mutation("no state", drop("state"), "state: is missing"),
    Mutation("state a list", put("state", []), "state: is missing or not"),
    Mutation("a tensor missing", drop("state.bias"), "does not fit"),
    Mutation("a tensor a text", put("state.bias", "x"), "does not fit"),
    Mutation("a tensor None", put("state.bias", None), "does not fit"),
    Mutation("a tensor of another shape", put("state.bias", torch.zeros(3)), "does not fit"),
    Mutation("a tensor without end", put("state.bias", torch.zeros(1).expand(2**40)), "does not fit"),
    Mutation("a tensor too many", put("state.more", torch.zeros(1)), None),
    Mutation("the old format", lambda c: saved(c, _use_new_zipfile_serialization=False), None),
]  # fmt: skip


def arrays(how=np.savez, **content) -> bytes:
    file = io.BytesIO()
    how(file, **content)
    return file.getvalue()


GOOD = {"queries": np.zeros((3, 2), np.float32), "step": np.zeros(3, np.int64)}


def array(**other):
    return to(arrays(**{**GOOD, **other}))


QUERIES = [
    Mutation("empty file", to(b""), "cannot be read"),
    Mutation("text", to(b"hello"), "cannot be read"),
    Mutation("cut off", to(arrays(**GOOD)[:-30]), "cannot be read"),
    Mutation("a pickle", to(pickle.dumps(Program())), "cannot be read"),
    Mutation("objects", array(queries=np.array([Program()], object)), "cannot be read"),
    Mutation("no steps", to(arrays(queries=GOOD["queries"])), "cannot be read"),
    Mutation("a bomb", to(arrays(np.savez_compressed, **{**GOOD, "queries": np.zeros((10**5, 8))})), "would unpack"),
    Mutation("a shape without end", to(arrays(**GOOD).replace(b"(3, 2)", b"(3, 9)")), "cannot be read"),
    Mutation("NaN", array(queries=np.full((3, 2), np.nan)), "not finite float"),
    Mutation("texts", array(queries=np.full((3, 2), "x")), "not finite float"),
    Mutation("flat", array(queries=np.zeros(3)), "not finite float"),
    Mutation("other lengths", array(step=np.zeros(4, int)), "not finite float"),
    Mutation("steps of fractions", array(step=np.zeros(3)), "not finite float"),
    Mutation("none", array(queries=np.zeros((0, 2)), step=np.zeros(0, int)), "not finite float"),
]
