"""What a terminal obeys, in everything that somebody else can have written: no command passes it on, to a terminal or
to a file, in whatever format, and what is for programs stays what it is."""

import errno
import json
import os
import re
import socket
import struct
import subprocess
import sys
import xml.etree.ElementTree as xml

BAD = "\x1b]0;x\x07\x1b[2J\r\x08\x7f\x9b31m\x85\u202e\u2066\u200f\u061c\u2028\u2029"
# The loader allows these in texts.
ALLOWED = "a\u202e\u2066\u200f\u061c\u2028\u2029"
SHORT = "\x1b[2J\x9b\u202e"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]")
# What nslab itself writes to a terminal: its colours, and the line that says how far it is.
OWN = re.compile(r"\x1b\[[0-9;]*m|\r\d+ of \d+ steps|\r\x1b\[K")
TAP_LINE = re.compile(r"TAP version 1[34]$|1\.\.\d+|ok \d|not ok \d|#|  |Bail out!")
COUNT = {"outputs": 0, "spelled out": 0}


def run(*command, **more):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, **more)


def must(*command):
    done = run(*command)
    assert done.returncode == 0, (command, done)


def clean(what, text):
    """Nothing that a terminal obeys is in a text."""
    COUNT["outputs"] += text != ""
    COUNT["spelled out"] += r"\u{1b}" in text or r"\u001b" in text or "\\x1b" in text
    found = OBEYED.search(text)
    assert not found, f"{what}: {found} in {text!r}"


def nslab(*arguments, formats=()):
    """Runs nslab for a program, on a terminal, and in every format."""
    done = run("nslab", *arguments)
    assert done.returncode in (0, 1, 2, 3, 126, 127), (arguments, done)
    clean(arguments, done.stdout.decode())
    clean(arguments, done.stderr.decode())
    quoted = ["'" + argument.replace("'", r"'\''") + "'" for argument in arguments]
    colours = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    terminal = run("script", "-qec", "nslab " + " ".join(quoted), "/dev/null", env={**colours, "SHELL": "/bin/sh"})
    clean(("on a terminal", *arguments), OWN.sub("", terminal.stdout.decode().replace("\r\n", "\n")))
    for form in formats:
        done = run("nslab", *arguments, "--format", form)
        text = done.stdout.decode()
        clean((form, *arguments), text)
        clean((form, *arguments), done.stderr.decode())
        well_formed(form, text, arguments)


def well_formed(form, text, what):
    if text and form == "json":
        json.loads(text)
    elif text and form == "junit":
        xml.fromstring(text)
    elif form == "tap":
        wrong = [line for line in text.split("\n")[:-1] if not TAP_LINE.match(line)]
        assert not wrong, (what, wrong)


def reports(*arguments):
    nslab(*arguments, formats=("table", "json", "junit", "tap"))
    run("nslab", *arguments, "--json", "r.json", "--junit", "r.junit", "--tap", "r.tap")
    for form in ("json", "junit", "tap"):
        text = open(f"r.{form}", encoding="utf-8", newline="").read() if os.path.exists(f"r.{form}") else ""
        clean(("a report", form, *arguments), text)
        well_formed(form, text, arguments)


def make_table(name):
    """Makes a table of nf_tables with any name, in this process's namespace."""

    def message(kind, flags, family, resource, rest=b""):
        body = struct.pack("=BBH", family, 0, resource) + rest
        return struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body

    value = name.encode() + b"\0"
    attribute = struct.pack("=HH", 4 + len(value), 1) + value + b"\0" * (-len(value) % 4)
    subsystem = socket.htons(10)
    batch = message(16, 1, 0, subsystem) + message(10 << 8, 0x405, 2, 0, attribute) + message(17, 1, 0, subsystem)
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    kernel.send(batch)
    error = -struct.unpack_from("=i", kernel.recv(4096), 16)[0]
    assert error in (0, errno.EEXIST), os.strerror(error)


def spoil():
    """Puts such text into everything in the kernel that others can name."""
    in_red = ["ip", "netns", "exec", "red"]
    for place, name in [(place, name) for place in ([], in_red) for name in ("\x1b[2J", "\x9b1m\u202e", "a\u2028\u2066")]:
        run(*place, "ip", "link", "add", name, "type", "bridge")
        must(*place, "ip", "link", "set", name, "alias", "nslab:" + BAD)
        run(*place, "ip", "link", "property", "add", "dev", name, "altname", "alt" + BAD.replace("\r", ""))
    must(*in_red, "ip", "link", "set", "eth0", "alias", "nslab:odd " + BAD)
    must(*in_red, "ip", "addr", "add", "10.0.0.9/24", "dev", "eth0", "label", "eth0:\x1b[2J")
    for place in ([], in_red):
        for program in ("iptables", "ip6tables"):
            must(*place, program, "-A", "FORWARD", "-m", "comment", "--comment", "c" + SHORT, "-j", "DROP")
            run(*place, program, "-N", "N" + SHORT)
            run(*place, program, "-A", "INPUT", "-j", "LOG", "--log-prefix", SHORT)
        must(*place, sys.executable, __file__, "table")
    os.makedirs("/run/nslab/o" + BAD.replace("/", ""), exist_ok=True)
    open("/run/nslab/f" + SHORT, "w", encoding="utf-8").write(BAD)
    open("/run/netns/n" + SHORT, "w", encoding="utf-8").write("nslab:" + BAD)


def spoil_program(name):
    """Has a program of iptables say such things, and fail."""
    with open("odd-program", "w", encoding="utf-8") as program:
        program.write("#!/bin/sh\ncat <<'END' >&2\n" + BAD.replace("\r", "") + "\nEND\nexit 1\n")
    os.chmod("odd-program", 0o755)
    os.remove("links/" + name)
    os.symlink(os.path.abspath("odd-program"), "links/" + name)


def lab(name):
    text = json.dumps(ALLOWED)
    return f"""name: {name}
description: {text}
namespaces:
  red: {{ interfaces: {{ eth0: {{ addresses: [10.0.0.1/24] }} }} }}
  blue: {{ interfaces: {{ eth0: {{ addresses: [10.0.0.2/24] }} }} }}
  green: {{ interfaces: {{ eth0: {{ addresses: [10.9.0.2/24] }} }} }}
  host:
    interfaces: {{ h-green: {{ addresses: [10.9.0.1/24] }} }}
    nat: [masquerade: {{ source: 10.9.0.0/24 }}]
links: [[red/eth0, blue/eth0], [host/h-green, green/eth0]]
checks:
  - {{ name: {text}, from: red, to: blue, expect: reachable }}
  - {{ name: {json.dumps("lies" + ALLOWED)}, from: red, to: blue, protocol: tcp, port: 80, expect: unreachable }}
  - {{ name: {json.dumps("not so" + ALLOWED)}, from: red, to: green, expect: reachable, retries: 0, timeout: 200ms }}
"""


FILES = {
    f"o{BAD}d.yaml": lab("odd"),
    "plain.yaml": lab("odd"),
    f"w{BAD}.yaml": f"name: {json.dumps(BAD)}\n{json.dumps(BAD)}: 1\nnamespaces: {{ {json.dumps(BAD)}: {json.dumps(BAD)} }}\n",
    "raw.yaml": f"name: x\nnamespaces: {{ '{BAD}': {{}} }}\nchecks: [{{ to: '{BAD}' }}]\n",
    "text.yaml": BAD,
}


def main():
    for name, text in FILES.items():
        with open(name, "w", encoding="utf-8") as file:
            file.write(text)
    odd, *others = FILES
    for file in [*FILES, f"no{BAD}.yaml", f"no{BAD}/", f"./{BAD}"]:
        nslab("validate", file, formats=("text", "json"))
        nslab("plan", file, formats=("text", "json"))
        nslab("plan", file, "--expanded")
        nslab("commands", file)
        nslab("doctor", file, formats=("text", "json"))
    reports("test", odd, *others)
    must("nslab", "apply", odd)
    reports("check", odd)
    spoil()
    for what in (odd, "odd", BAD, f"no{BAD}.yaml"):
        for command in ("plan", "status"):
            nslab(command, what, formats=("text", "json"))
        nslab("status", what, "red", formats=("text", "json"))
        nslab("status", what, "host", formats=("text", "json"))
        nslab("status", what, BAD)
        reports("check", what)
        nslab("exec", what, "red", "no" + BAD)
        nslab("exec", what, BAD, "true")
        nslab("shell", what, BAD)
    nslab("list", formats=("text", "json"))
    nslab(BAD)
    nslab("apply", "--" + BAD)
    nslab("apply", odd, "--format", BAD)
    nslab("sandbox", "no" + BAD)
    nslab("init", "/no" + BAD + "/x.yaml")
    nslab("schema", BAD)
    nslab("completions", BAD)
    nslab("apply", odd, "--verbose", formats=("text", "json"))
    spoil()
    for program in ("iptables-save", "iptables-restore"):
        spoil_program(program)
        nslab("plan", odd, formats=("text", "json"))
        nslab("apply", odd, formats=("text", "json"))
        nslab("status", "odd", formats=("text", "json"))
        nslab("destroy", "odd", formats=("text", "json"))
    nslab("destroy", BAD)
    nslab("destroy", "--all", formats=("text", "json"))
    print(COUNT)
    assert COUNT["outputs"] > 300 and COUNT["spelled out"] > 100, COUNT


if sys.argv[1:] == ["table"]:
    make_table("t" + BAD)
else:
    main()
