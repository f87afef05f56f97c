"""Annotation files: what is wrong in each, and which words must refuse it."""

import gzip

from small_files import HEIGHT, WIDTH, Mutation, again, drop, nested, put, text, to

MASK = "annotations.0.segmentations.0"
SEGMENTATION = r"annotations\[0\]\.segmentations\[0\]"


def runs(*counts):
    return put(MASK, {"size": [HEIGHT, WIDTH], "counts": list(counts)})


def many_categories(content):
    content["categories"] += [{"id": i, "name": f"class {i}"} for i in range(10, 10_010)]


MUTATIONS = [
    Mutation("list on top", to([]), "does not hold an object"),
    Mutation("null on top", to(b"null"), "does not hold an object"),
    Mutation("empty object", to({}), "categories: .*has no categories"),
    Mutation("no videos", drop("videos"), "videos: .*has no videos"),
    Mutation("videos an object", put("videos", {}), "videos: .*has no videos"),
    Mutation("no annotations", drop("annotations"), "annotations: .*private"),
    Mutation("annotation null", put("annotations.0", None), r"annotations\[0\]: .*not an object"),
    Mutation("video a list", put("videos.0", []), r"videos\[0\]: .*not an object"),
    Mutation("no id", drop("annotations.0.id"), r"annotations\[0\]\.id: .*missing"),
    Mutation("id a text", put("videos.0.id", "0"), r"videos\[0\]\.id: '0': is not a whole number"),
    Mutation("id a fraction", put("videos.0.id", 0.5), r"videos\[0\]\.id: 0\.5"),
    Mutation("id a boolean", put("videos.0.id", True), r"videos\[0\]\.id: True"),
    Mutation("id negative", put("categories.0.id", -1), r"categories\[0\]\.id: -1: is negative"),
    Mutation("id beyond 64 bits", put("annotations.0.id", 2**63), "does not fit 64 bits"),
    Mutation("id of 5000 digits", text(lambda t: t.replace('"id": 7', '"id": ' + "7" * 5000)), "is not JSON"),
    Mutation("video twice", again("videos"), r"videos\[2\]\.id: 0: is the id of videos\[0\] too"),
    Mutation("category twice", again("categories"), r"categories\[2\]\.id"),
    Mutation("track twice", again("annotations"), r"annotations\[3\]\.id"),
    Mutation("two of one name", put("categories.1.name", "dog"), r"categories\[1\]\.name: 'dog'"),
    Mutation("video of another file", put("annotations.0.video_id", 99), r"annotations\[0\]\.video_id: 99: no video"),
    Mutation("category of another file", put("annotations.0.category_id", 99), r"\[0\]\.category_id: 99: no category"),
    Mutation("video id null", put("annotations.0.video_id", None), r"annotations\[0\]\.video_id: None"),
    Mutation("name a number", put("categories.0.name", 3), r"categories\[0\]\.name: 3: is not a string"),
    Mutation("name with an escape", put("categories.0.name", "\x1b[2J"), r"categories\[0\]\.name: .*control"),
    Mutation("name turned around", put("categories.0.name", "a\u202eb"), r"categories\[0\]\.name: .*control"),
    Mutation("name half a character", put("categories.0.name", "\ud800"), r"categories\[0\]\.name: .*control"),
    Mutation("name of a megabyte", put("categories.0.name", "a" * 2**20), r"categories\[0\]\.name: .*longer than 1000"),
    Mutation("name empty", put("categories.0.name", ""), r"categories\[0\]\.name: '': is empty"),
    Mutation("name in another script", put("categories.0.name", "犬 كلب 🐕"), None),
    Mutation("ten thousand categories", many_categories, "categories: 10002: are more than 10000"),
    Mutation("height a text", put("videos.0.height", "4"), r"videos\[0\]\.height: '4'"),
    Mutation("height 0", put("videos.0.height", 0), r"videos\[0\]\.height: 0: is not a positive"),
    Mutation("width of 100000", put("videos.0.width", 100_000), r"videos\[0\]\.width: 100000"),
    Mutation("no frames", put("videos.0.file_names", []), r"videos\[0\]\.file_names"),
    Mutation("frames a text", put("videos.0.file_names", "ab"), r"videos\[0\]\.file_names: 'ab': is not a list"),
    Mutation("frame above", put("videos.0.file_names.1", "../../x"), r"file_names\[1\]: .*leads out of the folder"),
    Mutation("frame hidden above", put("videos.0.file_names.1", "a/../../x"), r"file_names\[1\]: .*leads out"),
    Mutation("frame absolute", put("videos.0.file_names.1", "/etc/passwd"), r"file_names\[1\]: .*leads out"),
    Mutation("frame with a zero byte", put("videos.0.file_names.1", "a\0b"), r"file_names\[1\]: .*not the name"),
    Mutation("frame half a character", put("videos.0.file_names.1", "\udfff"), r"file_names\[1\]: .*not the name"),
    Mutation("frame a number", put("videos.0.file_names.1", 1), r"file_names\[1\]: 1"),
    Mutation("video name with an escape", put("videos.0.name", "\x1b]0;a\x07"), r"videos\[0\]\.name: .*control"),
    Mutation("another length", put("videos.0.length", 3), r"videos\[0\]\.length: 3"),
    Mutation("a mask too few", put("annotations.0.segmentations", [None]), r"segmentations: 1: video 0 has 2 frames"),
    Mutation("masks an object", put("annotations.0.segmentations", {}), r"segmentations: \{\}: is not a list"),
    Mutation("mask a number", put(MASK, 3), f"{SEGMENTATION}: 3"),
    Mutation("mask without size", put(MASK, {"counts": "a"}), rf"{SEGMENTATION}\.size: .*missing"),
    Mutation("mask without counts", put(MASK, {"size": [4, 6]}), rf"{SEGMENTATION}\.counts: .*missing"),
    Mutation("mask of another size", put(f"{MASK}.size", [6, 4]), rf"{SEGMENTATION}\.size: \[6, 4\]"),
    Mutation("runs too short", runs(3, 4), rf"{SEGMENTATION}\.counts: 7: is what the runs sum to"),
    Mutation("runs too long", runs(3, 4, 30), rf"{SEGMENTATION}\.counts: 30: is a run longer"),
    Mutation("a negative run", runs(30, -6), rf"{SEGMENTATION}\.counts: -6: is a negative run"),
    Mutation("runs beyond 64 bits", runs(2**64, 24), rf"{SEGMENTATION}\.counts"),
    Mutation("runs of fractions", runs(0.5, 23.5), rf"{SEGMENTATION}\.counts: .*whole numbers"),
    Mutation("runs in runs", runs([12], [12]), rf"{SEGMENTATION}\.counts"),
    Mutation("counts null", put(f"{MASK}.counts", None), rf"{SEGMENTATION}\.counts: None"),
    Mutation("counts cut off", put(f"{MASK}.counts", "P"), rf"{SEGMENTATION}\.counts: 'P'"),
    Mutation("counts not of the code", put(f"{MASK}.counts", "\u20ac"), rf"{SEGMENTATION}\.counts"),
    Mutation("counts half a character", put(f"{MASK}.counts", "\ud800"), rf"{SEGMENTATION}\.counts"),
    Mutation("counts of a megabyte", put(f"{MASK}.counts", "o" * 2**20), rf"{SEGMENTATION}\.counts"),
    Mutation("polygon of two points", put(MASK, [[0, 0, 1, 1]]), rf"{SEGMENTATION}\[0\]: .*not a polygon"),
    Mutation("polygon of words", put(MASK, [["a"] * 6]), rf"{SEGMENTATION}\[0\]: .*not a polygon"),
    Mutation("polygon far outside", put(MASK, [[0, 0, 1e9, 0, 0, 3]]), rf"{SEGMENTATION}\[0\]: .*far outside"),
    Mutation("polygon not finite", put(MASK, [[0, 0, float("nan"), 0, 0, 3]]), rf"{SEGMENTATION}\[0\]: .*not finite"),
    Mutation("polygon without end", put(MASK, [[0, 0, 12, 8] * 50_000]), rf"{SEGMENTATION}\[0\]: .*outlines longer"),
    Mutation("areas too few", put("annotations.0.areas", [1]), r"annotations\[0\]\.areas: 1"),
    Mutation("area negative", put("annotations.0.areas.0", -1), r"annotations\[0\]\.areas\[0\]: -1"),
    Mutation("area infinite", put("annotations.0.areas.0", float("inf")), r"annotations\[0\]\.areas\[0\]: inf"),
    Mutation("crowd of 2", put("annotations.0.iscrowd", 2), r"annotations\[0\]\.iscrowd: 2"),
    Mutation("crowd a text", put("annotations.0.iscrowd", "0"), r"annotations\[0\]\.iscrowd: '0'"),
    Mutation("crowd false", put("annotations.0.iscrowd", False), None),
    Mutation("keys that nobody knows", put("licenses", [{"id": "x"}]), None),
    Mutation("boxes that nobody reads", put("annotations.0.bboxes", "none"), None),
    Mutation("empty file", to(b""), "is not JSON"),
    Mutation("cut off", text(lambda t: t[:-9]), "is not JSON"),
    Mutation("in UTF-16", text(lambda t: t.encode("utf-16")), None),
    Mutation("with a byte order mark", text(lambda t: b"\xef\xbb\xbf" + t.encode()), None),
    Mutation("not UTF-8", text(lambda t: t.replace("dog", "d\xf6g").encode("latin-1")), "is not JSON"),
    Mutation("gzip where JSON should be", text(lambda t: gzip.compress(t.encode())), "is not JSON"),
    Mutation("nested 100000 deep", to(b"[" * 100_000), "is not JSON"),
    Mutation("nested inside", nested("videos", 300), None),
]
