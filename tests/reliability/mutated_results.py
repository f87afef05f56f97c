"""Results files: what is wrong in each, and which words must refuse it."""

import gzip

from small_files import Mutation, drop, nested, put, square, text, to

MASK = "0.segmentations.0"


def mask(**fields):
    return put(MASK, {**square((0, 0)), **fields})


def packed(change=lambda data: data):
    return text(lambda t: change(gzip.compress(t.encode())))


MUTATIONS = [
    Mutation("object on top", to({}), "top level: dict"),
    Mutation("number on top", to(3), "top level: number"),
    Mutation("text on top", to("a"), "top level: str"),
    Mutation("null on top", to(b"null"), "top level: null"),
    Mutation("empty file", to(b""), "not JSON, or truncated"),
    Mutation("blank file", to(b" " * 1000), "not JSON, or truncated"),
    Mutation("no predictions", to([]), None, mAP=0),
    Mutation("entry a list", put("0", []), "entry 0: list: not an object"),
    Mutation("entry null", put("1", None), "entry 1: NoneType: not an object"),
    *(Mutation(f"no {field}", drop(f"1.{field}"), f"entry 1: {field}: missing")
      for field in ("video_id", "category_id", "score", "segmentations")),
    Mutation("video a text", put("0.video_id", "0"), "entry 0: video_id: '0'"),
    Mutation("video a boolean", put("0.video_id", False), "entry 0: video_id: False"),
    Mutation("video a fraction", put("0.video_id", 0.0), "entry 0: video_id: 0.0"),
    Mutation("video of another set", put("0.video_id", 99), "entry 0: video_id: 99: not in the ground truth"),
    Mutation("video negative", put("0.video_id", -1), "entry 0: video_id: -1"),
    Mutation("video beyond 64 bits", put("0.video_id", 2**70), "entry 0: video_id"),
    Mutation("category of another set", put("0.category_id", 99), "entry 0: category_id: 99"),
    Mutation("category a list", put("0.category_id", [0]), r"entry 0: category_id: \[0\]"),
    Mutation("score NaN", put("0.score", float("nan")), "entry 0: score: nan"),
    Mutation("score infinite", put("0.score", float("-inf")), "entry 0: score: -inf"),
    Mutation("score beyond floats", text(lambda t: t.replace("0.9", "1e999")), "entry 0: score"),
    Mutation("score of 400 digits", put("0.score", 10**400), "entry 0: score"),
    Mutation("score of 5000 digits", text(lambda t: t.replace("0.9", "9" * 5000)), "in or after entry 0"),
    Mutation("score a text", put("0.score", "0.9"), "entry 0: score: '0.9'"),
    Mutation("score null", put("0.score", None), "entry 0: score: None"),
    Mutation("score a boolean", put("0.score", True), "entry 0: score: True"),
    Mutation("score a whole number", put("0.score", 1), None),
    Mutation("score above 1", put("0.score", 1e300), None),
    Mutation("masks null", put("0.segmentations", None), "entry 0: segmentations: None"),
    Mutation("a mask too few", put("0.segmentations", [None]), "entry 0: segmentations: 1 entries"),
    Mutation("a mask too many", put("0.segmentations", [None] * 3), "entry 0: segmentations: 3 entries"),
    Mutation("mask a number", put(MASK, 3), r"entry 0: segmentations\[0\]: 3"),
    Mutation("mask a polygon", put(MASK, [[0, 0, 3, 0, 3, 3]]), r"entry 0: segmentations\[0\]"),
    Mutation("mask without counts", drop(f"{MASK}.counts"), r"entry 0: segmentations\[0\]"),
    Mutation("mask without size", drop(f"{MASK}.size"), r"entry 0: segmentations\[0\]"),
    Mutation("mask of another size", mask(size=[6, 4]), r"segmentations\[0\]\.size: \[6, 4\]"),
    Mutation("size a text", mask(size="46"), r"segmentations\[0\]\.size"),
    Mutation("size a number", mask(size=4), r"segmentations\[0\]\.size"),
    Mutation("size in a list", mask(size=[[4], 6]), r"segmentations\[0\]\.size"),
    Mutation("counts a list", mask(counts=[24]), r"entry 0: segmentations\[0\]"),
    Mutation("counts null", mask(counts=None), r"entry 0: segmentations\[0\]"),
    Mutation("counts empty", mask(counts=""), r"entry 0: segmentations\[0\]"),
    Mutation("runs too short", mask(counts="13"), r"entry 0: segmentations\[0\]"),
    Mutation("runs too long", mask(counts="1f1"), r"entry 0: segmentations\[0\]"),
    Mutation("a negative run", mask(counts="M1"), r"entry 0: segmentations\[0\]"),
    Mutation("a run without end", mask(counts="o" * 100_000), r"entry 0: segmentations\[0\]"),
    Mutation("runs that wrap around", mask(counts="0" + "oooooo0" * 3), r"entry 0: segmentations\[0\]"),
    Mutation("counts not of the code", mask(counts="\u20ac\n\0"), r"entry 0: segmentations\[0\]"),
    Mutation("counts half a character", mask(counts="\ud800"), "entry 0"),
    Mutation("cut off in an entry", text(lambda t: t[:-30]), "in or after entry"),
    Mutation("cut off behind an entry", text(lambda t: t[:-1]), "in or after entry 1"),
    Mutation("a list too many", text(lambda t: t + "[]"), "in or after entry 1"),
    Mutation("a comma too many", text(lambda t: t[:-1] + ",]"), "in or after entry 1"),
    Mutation("a byte of another code", text(lambda t: t.replace("score", "sc\xf6re").encode("latin-1")), "entry 0"),
    Mutation("a byte order mark", text(lambda t: b"\xef\xbb\xbf" + t.encode()), None),
    Mutation("keys that nobody knows", put("0.colour", float("nan")), None),
    Mutation("gzip", packed(), None),
    Mutation("gzip cut off", packed(lambda data: data[:-12]), "damaged or truncated gzip"),
    Mutation("gzip cut off in its head", packed(lambda data: data[:5]), "damaged or truncated gzip"),
    Mutation("gzip of another checksum", packed(lambda data: data[:-8] + bytes(8)), "damaged or truncated gzip"),
    Mutation("gzip with another byte inside", packed(lambda data: data[:40] + b"\xff" + data[41:]), "gzip|JSON|entry"),
    Mutation("gzip in gzip", packed(gzip.compress), "not JSON"),
    Mutation("zeros behind the gzip", packed(lambda data: data + bytes(512)), None),
    Mutation("zip bomb of blanks", to(gzip.compress(b" " * 2**20)), "entry 0: more than .* MiB"),
    Mutation("zip bomb of blanks inside", to(gzip.compress(b"[" + b" " * 2**20)), "entry 0: more than .* MiB"),
    Mutation("zip bomb of blanks behind", packed(lambda data: data + gzip.compress(b" " * 2**20)), "more than .* MiB"),
    Mutation("zip bomb of one text", to(gzip.compress(b'["' + b"a" * 2**20)), "entry 0: more than .* MiB"),
    Mutation("zip bomb of numbers", to(gzip.compress(b"[0" + b",0" * 2**20)), "entry 0: more than .* MiB"),
    Mutation("nested 100000 deep", to(b"[" * 100_000), "nested more than 1000 deep"),
    Mutation("nested in an entry", nested("score", 1100), "nested|entry 0"),
    Mutation("nested a little", nested("score", 90), None),
]  # fmt: skip
