"""The JSON files of runs, streams and configurations: what is wrong in each, and which words must refuse it."""

import json

from small_files import Mutation, drop, put, text, to

METRICS = [
    Mutation("list on top", to([]), "top level: list"),
    Mutation("empty file", to(b""), "is not complete JSON"),
    Mutation("cut off", text(lambda t: t[:-5]), "is not complete JSON"),
    Mutation("not UTF-8", to(b'{"schema": "\xff"}'), "is not complete JSON"),
    Mutation("nested 100000 deep", to(b'{"schema":' + b"[" * 100_000), "is not complete JSON"),
    Mutation("another schema", put("schema", 2), "schema: 2 is not 1"),
    Mutation("schema a text", put("schema", "1"), "schema: '1'"),
    *(Mutation(f"no {field}", drop(field), f"{field}: None")
      for field in ("scenario", "learner", "segmenter", "seed", "protocol", "classes", "groups", "steps", "final")),
    Mutation("seed a boolean", put("seed", True), "seed: True"),
    Mutation("seed a text", put("seed", "0"), "seed: '0'"),
    Mutation("learner with an escape", put("learner", "\x1b[2J"), "learner: .*control characters"),
    Mutation("learner turned around", put("learner", "a\u202eb"), "learner: .*control characters"),
    Mutation("learner of a megabyte", put("learner", "a" * 2**20), "learner: .*longer than"),
    Mutation("learner blank", put("learner", " "), "learner: ' ' is empty"),
    Mutation("learner of HTML", put("learner", "<script>alert(1)</script>"), None),
    Mutation("label a list", put("label", ["a"]), r"label: \['a'\]"),
    Mutation("steps empty", put("steps", []), "steps: has no finished step"),
    Mutation("step a number", put("steps.1", 3), "steps: has no finished step"),
    Mutation("step without classes", drop("steps.1.new_classes"), r"steps\[1\]\.new_classes: None"),
    Mutation("step of unknown classes", put("steps.1.new_classes", [9]), r"steps\[1\]\.new_classes: 9"),
    Mutation("class learned twice", put("steps.1.new_classes", [0]), r"steps\[1\]\.new_classes: 0"),
    Mutation("class a text", put("steps.1.new_classes", ["1"]), r"steps\[1\]\.new_classes"),
    Mutation("group a number", put("groups.0", 0), "groups"),
    Mutation("class without a name", drop("classes.1"), "classes: has no name of class 1"),
    Mutation("class name a number", put("classes.1", 1), "classes"),
    Mutation("class id a word", put("classes.one", "one"), "classes"),
    Mutation("class name with a line break", put("classes.1", "a\nb"), "classes.1: .*control characters"),
    Mutation("mAP a text", put("final.mAP", "10"), "final.mAP: '10' is not a number"),
    Mutation("mAP a boolean", put("final.mAP", True), "final.mAP: True"),
    Mutation("mAP NaN", put("final.mAP", float("nan")), "final.mAP: nan"),
    Mutation("mAP infinite", put("steps.2.mAP_seen", float("inf")), r"steps\[2\]\.mAP_seen: inf"),
    Mutation("mAP beyond floats", text(lambda t: t.replace('"mAP": 10.0', '"mAP": 1e999')), "final.mAP: inf"),
    Mutation("NaN elsewhere", put("train_s", float("nan")), "NaN, Infinity"),
    Mutation("half a character elsewhere", put("note", "\ud800"), "half a character"),
    Mutation("text encoder a text", put("text_encoder", "clip"), "text_encoder: 'clip'"),
    Mutation("text encoder without a model", put("text_encoder", {"pretrained": "x"}), "text_encoder"),
    Mutation("protocol a list", put("protocol", []), r"protocol: \[\]"),
    Mutation("init with an escape", put("protocol.init", "\x1b[2J"), "protocol.init: .*control"),
    Mutation("schedule with an escape", put("protocol.schedule.base", ["\x1b[2J"]), r"schedule\.base\.0: .*control"),
    Mutation("keys that nobody knows", put("mood", "good"), None),
]  # fmt: skip

STEP = [
    Mutation("list on top", to([]), r"step1/metrics\.json: top level: list"),
    Mutation("cut off", text(lambda t: t[:-5]), r"step1/metrics\.json: is not complete JSON"),
    Mutation("no classes", drop("new_classes"), r"step1/metrics\.json: new_classes: None"),
    Mutation("classes a number", put("new_classes", 1), r"step1/metrics\.json: new_classes: 1"),
    Mutation("class a fraction", put("new_classes", [1.5]), r"step1/metrics\.json: new_classes"),
]

RECORD = [
    Mutation("list on top", to([]), "top level: list"),
    Mutation("empty object", to({}), "config.names: None"),
    Mutation("cut off", text(lambda t: t[:-5]), "is not complete JSON"),
    Mutation("config a text", put("config", "x"), "config.names: None"),
    *(Mutation(f"{part} a list", put(f"config.{part}", []), rf"config\.{part}: \[\]")
      for part in ("names", "protocol", "runtime", "learner", "segmenter")),
    Mutation("scenario a number", put("config.scenario", 3), "config.scenario: 3"),
    Mutation("scenario of no one", put("config.scenario", "nothing.toml"), "no such scenario file"),
    Mutation("scenario a device", put("config.scenario", "/dev/zero"), "no such scenario"),
    Mutation("scenario with a zero byte", put("config.scenario", "a\0.toml"), "scenario"),
    Mutation("data a number", put("config.runtime.data", 3), "config.runtime.data: 3"),
    Mutation("visibility of no one", put("config.protocol.visibility", "all"), "visibility: 'all'"),
    Mutation("split a list", put("config.protocol.split", ["same"]), "split"),
    Mutation("another data set", put("scenario_hash", "0" * 64), "scenario_hash: '0"),
    Mutation("hash a number", put("scenario_hash", 3), "scenario_hash: 3"),
    Mutation("hash missing", drop("scenario_hash"), "scenario_hash: None"),
    Mutation("run name a list", put("config.names.run", []), None),
    Mutation("text encoder a list", put("text_encoder", [1]), None),
    Mutation("command a number", put("command", 3), None),
    Mutation("environment a list", put("environment", []), None),
    Mutation("packages a text", put("environment", {"packages": "torch"}), None),
    Mutation("git a number", put("environment", {"git": 3}), None),
    Mutation("learner elsewhere", put("config.names.learner", "../../x"), None),
    Mutation("wall time a text", put("wall_s", "long"), None),
]  # fmt: skip

SCENARIO = [
    Mutation("empty file", to(b""), "dataset: missing"),
    Mutation("not TOML", to(b"base 1"), "is not a TOML file"),
    Mutation("not UTF-8", lambda t: t.replace("dog", "d\xf6g").encode("latin-1"), "is not a TOML file"),
    Mutation("nested deep", lambda t: (t + "x = " + "[" * 5000).encode(), "is not a TOML file"),
    Mutation("number of 5000 digits", lambda t: t.replace("base = 1", "base = " + "1" * 5000).encode(), "TOML"),
    Mutation("two megabytes", lambda t: (t + "#" * 2**21).encode(), "is larger than"),
    Mutation("key twice", lambda t: (t + "base = 1\n").encode(), "is not a TOML file"),
    Mutation("unknown key", lambda t: (t + "bas = 1\n").encode(), "bas: 1: no such key; did you mean 'base'"),
    *(Mutation(f"base {value}", lambda t, v=value: t.replace("base = 1", f"base = {v}").encode(), "base")
      for value in ("0", "-1", "1.0", '"1"', "true", "[1]", "3", "nan", "9" * 30)),
    *(Mutation(f"order {value[:20]}", lambda t, v=value: t.replace('["dog", "cat"]', v).encode(), "order")
      for value in ('["dog"]', '["dog", "dog"]', '["dog", "cow"]', '[1, 2]', '"random"', "3", '["dog", true]')),
    Mutation("order random", lambda t: t.replace('["dog", "cat"]', '"random:x"').encode(), "order"),
    *(Mutation(f"name {value!a:.20}", lambda t, v=value: t.replace('"small"', v).encode(), "name")
      for value in ('"../x"', '""', '"a/b"', '"a b"', '"\\u001b"', "3", '"..\\\\x"')),
    Mutation("data set of no one", lambda t: t.replace('"custom"', '"customs"').encode(), "dataset: 'customs'"),
    Mutation("data set of a megabyte", lambda t: t.replace('"custom"', f'"{"a" * 10**6}"').encode(), "dataset"),
    Mutation("annotations elsewhere", lambda t: t.replace("instances", "no").encode(), "annotations: 'no.json'"),
    Mutation("annotations a folder", lambda t: t.replace("instances.json", ".").encode(), "cannot be read"),
    Mutation("annotations a device", lambda t: t.replace("instances.json", "/dev/zero").encode(), "is a device"),
    Mutation("annotations with a zero byte", lambda t: t.replace("instances", "a\\u0000").encode(), "annotations"),
    Mutation("split of no one", lambda t: t.replace('"same"', '"all"').encode(), "split: 'all'"),
    Mutation("fraction of 2", lambda t: (t + "test_fraction = 2\n").encode(), "test_fraction: 2"),
    Mutation("fraction NaN", lambda t: (t + "test_fraction = nan\n").encode(), "test_fraction: nan"),
    Mutation("excluded of no one", lambda t: (t + 'exclude = ["cow"]\n').encode(), "exclude"),
    Mutation("increment of none", lambda t: t.replace("increment = 1", "increment = []").encode(), "increment|base"),
    Mutation("byte order mark", lambda t: b"\xef\xbb\xbf" + t.encode(), "is not a TOML file"),
    Mutation("Windows line ends", lambda t: t.replace("\n", "\r\n").encode(), None),
]  # fmt: skip

CONFIG = [
    Mutation("no Python", to(b"schedule = dict("), "is not a valid config file"),
    Mutation("a program that ends", to(b"import sys; sys.exit(3)"), "is not a valid config file"),
    Mutation("zero bytes", to(b"\0\0"), "is not a valid config file"),
    Mutation("unknown key", to(b"schedul = dict()"), "schedul: .*did you mean 'schedule'"),
    *(Mutation(f"{key}={value}", to(f"schedule = dict({key}={value})".encode()), f"schedule.{key}")
      for key, value in (("batch_size", "0"), ("batch_size", "'2'"), ("batch_size", "True"), ("scale", "-1"),
                         ("scale", "float('nan')"), ("scale", "float('inf')"), ("milestones", "[2]"), ("base", "3"),
                         ("optimizer", "'adam'"), ("clip_grad", "None"), ("milestones", "'ab'"))),
    Mutation("lr of NaN", to(b"schedule = dict(base=dict(lr=float('nan')))"), "schedule.base.lr"),
    Mutation("iterations below 1", to(b"schedule = dict(base=dict(iterations=-3))"), "schedule.base.iterations"),
    Mutation("seed of another sign", to(b"runtime = dict(seed=-1)"), "runtime.seed"),
    Mutation("learners a list", to(b"learners = []"), r"learners: \[\]"),
    Mutation("learner of no one", to(b"learners = dict(nobody=dict())"), "learners.nobody"),
    Mutation("setting of no one", to(b"learners = dict(finetune=dict(x=1))"), "learners.finetune.x"),
    Mutation("nothing", to(b""), None),
]  # fmt: skip

OLD_CONFIG = [
    Mutation("code", to(b"__import__('os').system('true')\nscenario = 'x'"), "config.py: line 1"),
    Mutation("code in a value", to(b"scenario = open('x').read()"), "config.py: line 1"),
    Mutation("code in a call", to(b"runtime = dict(data=print(1))\n"), "config.py: line 1"),
    Mutation("another function", to(b"runtime = exec('1')"), "config.py: line 1"),
    Mutation("no Python", to(b"scenario = ("), "config.py"),
    Mutation("zero bytes", to(b"\0"), "config.py"),
    Mutation("nested deep", to(b"scenario = " + b"[" * 5000 + b"]" * 5000), "config.py"),
    Mutation("no scenario", to(json.dumps({}).encode()), "config"),
]
