"""What a file seems to be, told from its first bytes: a file of another kind is named, not judged line by line.

Sources of the columns: the published files of each trace (`docs/howto/bring-your-own-trace.md` names them).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

GUIDE: Final = "docs/howto/bring-your-own-trace.md"
HEAD: Final = 1 << 16  # bytes that are looked at
OURS: Final = (
    "a trace, a scenario (.toml), or a throughput table, a co-throughput table, a node list or a pod list (.csv)"
)

TRACE, SCENARIO = "trace", "scenario"
THROUGHPUTS, NODES, PODS = "throughput table", "node list", "pod list"
CO_THROUGHPUTS = "co-throughput table"
ORDERS, RECORDED = "arrival orders", "recorded allocations"

_MAGIC: Final = (
    (b"PAR1", "a Parquet file; of a run directory? name the folder: `phasewise report FOLDER`"),
    (b"PK\x03\x04", "a zip archive; a tape? `phasewise solve` reads it. Otherwise unpack it first"),
    (b"(\xb5/\xfd", "packed with zstd; unpack it first, or pack it with gzip"),
    (b"\xfd7zXZ\x00", "packed with xz; unpack it first, or pack it with gzip"),
    (b"BZh", "packed with bzip2; unpack it first, or pack it with gzip"),
    (b"SQLite format 3\x00", "an SQLite database; export a table"),
    (b"\x89HDF", "an HDF5 file; export a table"),
    (b"\x93NUMPY", "a NumPy array; write it as text"),
    (b"\xff\xfe", "UTF-16 text; save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text; save it as UTF-8"),
    (
        b"version https://git-lfs.github.com/spec/",
        "a pointer of Git LFS, not the file itself; fetch it: `git lfs pull`",
    ),
    (b"%PDF-", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"\x7fELF", "a program"),
)
_GAVEL_PAIR: Final = re.compile(rb"\"\('[^'\"]*', \d+\)\"")
_JSON: Final = re.compile(rb"\s*(\{\s*[\"}]|\[\s*([{\"\]]|-?\d[\d.eE+-]*\s*[,\]]|\[\s*[\[{\"\d\]-]))")
_TOML: Final = re.compile(r"(?m)^\s*(\[[\w.\" -]+\]|[\w.\"-]+\s*=)")
_PAI: Final = re.compile(
    r"([^,]*,){3}([^,]*,[^,]*,)?(Terminated|Failed|Running|Waiting|Interrupted)(,[\d.]*){2}(,[^,]*)?"
)
# machine_spec, which comes without a header
_PAI_NODE: Final = re.compile(r"[^,]+,[^,]+(,\d+(\.\d+)?){2},\d{1,2}(\.0)?")
_HELIOS_GPUS: Final = re.compile(r"date,([^,]+,)+total")
PAI_BESIDE: Final = "a job or instance table of the Alibaba PAI traces; of these the task table is to be named"
_LINE: Final = re.compile(rb"(PROFILE|TELEMETRY|EVENT) \{")

# What of JSON it is: words that stand in it -> what it is, and what to do.
_JSON_KINDS: Final = (
    ((b'"jobid"', b'"attempts"'), "a job log of the Philly traces (JSON)"),
    (
        (b'"worker_types"', b'"allocations"'),
        "recorded allocations; replay them: `phasewise run ... --allocations FILE`",
    ),
    ((b'"seeds"', b'"node_rank"'), "arrival orders; `phasewise inflate --order FILE` reads them"),
    (
        (b'"schema"', b'"summary"', b'"status"'),
        "the run.json of a run directory; name its folder to `phasewise report`",
    ),
)


@dataclass(frozen=True, slots=True)
class _Table:
    """A kind of table with a header: its name, and the columns by which it is known."""

    name: str
    columns: frozenset[str]


def _table(name: str, columns: str) -> _Table:
    return _Table(name, frozenset(columns.split(",")))


OUR_TABLES: Final = (
    _table(THROUGHPUTS, "job_type,scale_factor,gpu_type,steps_per_second"),
    _table(
        CO_THROUGHPUTS,
        "job_type_0,scale_factor_0,job_type_1,scale_factor_1,gpu_type,steps_per_second_0,steps_per_second_1",
    ),
    _table(NODES, "sn,cpu_milli,memory_mib,gpu,model"),
    _table(PODS, "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time"),
)
AS_NODES: Final = ", which is no jobs; give it to `--nodes`"
_TABLES: Final = (
    _table("a job log of the Helios traces", "job_id,user,vc,gpu_num,cpu_num,node_num,state,submit_time,queue"),
    _table("a job log of the Acme traces", "job_id,user,node_num,gpu_num,cpu_num,type,state,submit_time,gpu_time"),
    _table("a workload of Sia or Pollux", "name,time,application,num_replicas,batch_size"),
    _table("a trace of Tiresias", "job_id,num_gpu,submit_time,iterations,model_name,duration,interval"),
    _table("a task list of the Alibaba PAI traces", "job_name,task_name,inst_num,plan_cpu,plan_mem,plan_gpu,gpu_type"),
    _table("a job list of the PAI simulator", "num_gpu,num_cpu,submit_time,duration,user_dur,group_dur,group_gpu_dur"),
    _table(
        "a job list of Alibaba's spot traces",
        "job_name,organization,gpu_model,cpu_request,gpu_request,worker_num,submit_time",
    ),
    _table(f"a node list of Alibaba's spot traces{AS_NODES}", "gpu_model,gpu_capacity_num,cpu_num,node_name"),
    _table(f"a node list of the Alibaba PAI traces{AS_NODES}", "machine,gpu_type,cap_cpu,cap_mem,cap_gpu"),
    _table(f"a node list of the Philly traces{AS_NODES}", "machineId,number of GPUs,single GPU mem"),
    _table(
        f"a node list of Tiresias{AS_NODES}", "num_switch,num_node_p_switch,num_gpu_p_node,num_cpu_p_node,mem_p_node"
    ),
    _table(
        "an output of sacct (SLURM)", "JobIDRaw,User,Account,Partition,QOS,Submit,Eligible,Start,End,State,AllocTRES"
    ),
)
MOST_CONTROLS: Final = 0.02  # share of control characters; text has none, but for a slip
_SHARED_COLUMNS: Final = 3  # with fewer columns of a kind of table a header is not taken for it


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a file seems to be.

    Attributes
    ----------
    kind
        One of the kinds that are read here, or empty.
    seems
        What it seems to be where it is none of them, and what to do about it.
    """

    kind: str = ""
    seems: str = ""


def recognise(content: bytes) -> Recognised:
    """Return what a file with this content seems to be: a kind that is read here, another one, or neither."""
    if seems := _by_magic(content):
        return Recognised(seems=seems)
    head = content[:HEAD]
    if _JSON.match(head):
        return Recognised(seems=_json(head))
    if re.match(rb"\s*<(!doctype html|html|\?xml)", head, re.IGNORECASE):
        return Recognised(seems="an HTML or XML page; a download that went wrong?")
    if _LINE.match(head):
        return Recognised(seems="the lines of a run (lines.log); name its folder to `phasewise report`")
    return _text(head.decode("utf-8", "replace"))


def misfit(content: bytes, expected: str) -> str:
    """Return why a file is none of the ``expected`` kind, in one sentence; empty where it may be one.

    A file that fits no kind at all may be one with faults: they are for the reader of that kind to name.
    """
    found = recognise(content)
    if found.kind == expected or not (found.kind or found.seems):
        return ""
    seems = f"a {found.kind}" if found.kind else found.seems
    return f"this is not a {expected}; it seems to be {seems}" + (
        "" if found.kind else f". How to convert public data: {GUIDE}"
    )


def _by_magic(content: bytes) -> str:
    for magic, seems in _MAGIC:
        if content.startswith(magic):
            return seems
    if content[:1] == b"\x80" and content[1:2] in b"\x02\x03\x04\x05" and content.rstrip().endswith(b"."):
        return "a Python pickle, which is code and is not opened; write what it holds as text"
    head = content[:HEAD]
    strange = sum(byte < 32 and byte not in b"\t\n\v\f\r\x1b" for byte in head)
    return "binary data, no text" if strange > MOST_CONTROLS * len(head) else ""


def _json(head: bytes) -> str:
    for words, seems in _JSON_KINDS:
        if all(word in head for word in words):
            return seems
    if _GAVEL_PAIR.search(head):
        return "a throughput table of Gavel (JSON)"
    return "JSON"


def _text(text: str) -> Recognised:
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return Recognised()
    first = lines[0]
    if "\t" not in first and _TOML.match(next((line for line in lines if not line.lstrip().startswith("#")), "")):
        return Recognised(SCENARIO)
    for separator in (",", "|", ";", "\t"):
        names = {name.strip().strip('"') for name in first.split(separator)}
        if ours := _best(OUR_TABLES, names):
            same = separator == ","
            return Recognised(ours) if same else Recognised(seems=f"a {ours} separated by {separator!r}; use commas")
        if other := _best(_TABLES, names):
            return Recognised(seems=other)
    return _plain(lines, first)


def _plain(lines: list[str], first: str) -> Recognised:
    """Return what lines without a header that is known are, by how they are divided."""
    fields = {line.count("\t") + 1 for line in lines[:20]}
    if fields <= {11, 12}:
        return Recognised(seems="a trace of Shockwave (with a mode and a duration)")
    if fields == {7}:
        return Recognised(seems="a trace of Gavel's first form (7 fields)")
    if max(fields) > 1:
        return Recognised(TRACE)
    if first.startswith(";") or all(re.fullmatch(r"\s*(-?[\d.]+\s+){17}-?[\d.]+\s*", line) for line in lines[:20]):
        return Recognised(seems="a workload in the standard form of parallel machines (SWF)")
    if first.count(",") >= 2:
        return Recognised(seems=_by_first_line(first.strip()))
    return Recognised()


def _by_first_line(first: str) -> str:
    """Return what a table separated by commas is whose header, if it has one, has too few known columns."""
    if _PAI.fullmatch(first):
        return PAI_BESIDE
    if _PAI_NODE.fullmatch(first):
        return f"a node list of the Alibaba PAI traces{AS_NODES}"
    if _HELIOS_GPUS.fullmatch(first):
        return f"the GPUs of the Helios clusters by day{AS_NODES}"
    return "a table separated by commas whose header has no column that is known here"


def _best(tables: Iterable[_Table], names: set[str]) -> str:
    """Return the table with which a header shares most columns, the first of those that share as many; or nothing."""
    best = max(tables, key=lambda table: len(table.columns & names))
    return best.name if len(best.columns & names) >= _SHARED_COLUMNS else ""
