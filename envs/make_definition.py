"""Write envs/image.def, an Apptainer definition, from envs/Containerfile.

python envs/make_definition.py
"""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).resolve().parent
HEADER = """# Written by envs/make_definition.py from Containerfile; from the repository's root:
#   apptainer build envs/image.sif envs/image.def    (--build-arg TORCH=cu128 for GPUs)
"""


def instructions(text: str) -> list[tuple[str, str]]:
    """Instructions of a Containerfile, one a line: (name, rest)."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines]


def copied(rest: str) -> list[tuple[str, str]]:
    """(source, full target) of one COPY; a folder is named as such in its target."""
    *sources, target = rest.split()
    return [(s, f"{target}{s}" if target.endswith("/") else target) for s in sources]


def definition(text: str) -> str:
    """The Apptainer definition that does what a Containerfile does.

    Raises:
        ValueError: an instruction that has no translation here.
    """
    sections: dict[str, list[str]] = {"arguments": [], "files": [], "post": [], "environment": []}
    base = ""
    for name, rest in instructions(text):
        if name == "FROM":
            base = rest
        elif name == "ARG":
            sections["arguments"].append(rest)
            argument = rest.split("=")[0]
            sections["post"].append(f"export {argument}={{{{ {argument} }}}}")
        elif name == "COPY":
            sections["files"] += [f"{source} {target}" for source, target in copied(rest)]
        elif name == "RUN":
            sections["post"].append(rest)
        elif name == "ENV":
            sections["environment"].append(f"export {rest}")
        else:
            raise ValueError(
                f"envs/Containerfile: expected FROM, ARG, COPY, RUN or ENV, found {name}"
            )
    parts = [f"{HEADER}Bootstrap: docker\nFrom: {base}\n"]
    for name, lines in sections.items():
        lines = ["set -e", *lines] if name == "post" else lines
        parts.append(f"%{name}\n" + "".join(f"    {line}\n" for line in lines))
    return "\n".join(parts)


if __name__ == "__main__":
    text = (HERE / "Containerfile").read_text()
    (HERE / "image.def").write_text(definition(text))
