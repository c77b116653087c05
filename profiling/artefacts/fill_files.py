"""The files of an inflation experiment: curves, placements, `run.json`."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from phasewise.profiling.artefacts.schemas import SCHEMA, Field, Record, told

Status = Literal["complete", "interrupted", "failed"]

CURVES: Final = Record(
    "curves.csv",
    (
        Field("arrived_load_pct", "int", "percent", "GPU demand of all pods so far, placed or not, of all GPUs"),
        Field("alloc_pct", "float", "percent", "GPUs in use, of all GPUs"),
        Field("frag_pct_of_total", "float", "percent", "fragmented GPUs, of all GPUs"),
        Field("frag_pct_of_idle", "float", "percent", "fragmented GPUs, of the idle ones; 0 where none is idle"),
        Field("occupied_nodes", "float", "nodes", "nodes with a GPU in use", since=2),
    ),
)

PLACEMENTS: Final = Record(
    "placements.parquet",
    (
        Field("event", "int64", "", "number of the arrival, from 0"),
        Field("pod", "string", "", "its name; a clone has the name of its original"),
        Field("node", "string", "", "name of its node, empty where it found none"),
        Field(
            "gpus",
            "string",
            "",
            "index of each of its GPUs within the node, as `0-1-2`; empty where it needs none or found no node",
        ),
        Field("score", "int64", "", "the node's score, before any scaling between nodes; -1 where it found no node"),
    ),
    "A row for each arrival.",
)


class FillSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of an experiment."""

    arrived_load_pct: Annotated[int, told("the last load", "percent")]
    alloc_pct: Annotated[float, told("the curve of that name at the last load", "percent")]
    frag_pct_of_total: Annotated[float, told("likewise", "percent")]
    frag_pct_of_idle: Annotated[float, told("likewise", "percent")]
    occupied_nodes: Annotated[float, told("likewise", "nodes", since=2)]
    arrived_pods: Annotated[int, told("how many arrived, clones included", "pods")]
    clones: Annotated[int, told("how many of them had arrived before", "pods")]
    failed_pods: Annotated[int, told("how many found no node", "pods")]
    failed_by_class: Annotated[
        dict[str, int], told("the same by what they asked for: `cpu`, `share`, `gpu1`, `gpu2` and so on", "pods")
    ]
    failed_gpu_milli: Annotated[int, told("what those asked for", "GPU/1000")]
    unplaceable_pods: Annotated[
        int,
        told(
            "those of `failed_pods` that no node can ever take, however empty: a `gpu_spec` that no model matches, or "
            "more than any node has",
            "pods",
        ),
    ]
    unplaceable_example: Annotated[str | None, told("the first of them, and what it asks for", null="there is none")]
    nodes: Annotated[int, told("of the cluster, those without GPUs left out", "nodes")]
    gpus: Annotated[int, told("of the cluster", "GPUs")]
    typical_requests: Annotated[int, told("how many requests fragmentation is judged by", "requests")]
    cpu_s: Annotated[float, told("CPU time of placing all of them", "s")]
    peak_rss_mib: Annotated[float, told("the most memory the process ever held", "MiB")]
    cpu_us_per_pod: Annotated[float | None, told("CPU time a pod", "us", null="none arrived")]


class FillJson(msgspec.Struct, frozen=True, kw_only=True):
    """The whole `run.json`."""

    schema: Annotated[int, told("version of what this page describes")] = SCHEMA
    experiment: Annotated[Literal["inflate"], told("`inflate`")] = "inflate"
    setting: Annotated[
        dict[str, Any],
        told(
            "`nodes`, `pods`, `placement`, `seed`, `order`, `load` (null: 1.3, or all of `order`), `bit_compatible`, "
            "`compiled`"
        ),
    ]
    command: Annotated[list[str], told("the command line, a list of words")]
    environment: Annotated[dict[str, Any], told("as in a [run directory](run-directory.md#runjson)")]
    summary: Annotated[FillSummary, told("the figures: see below")]
    status: Annotated[Status, told("`complete`, `interrupted` or `failed`")]
