"""The files of an inflation experiment: curves, placements, `run.json`."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from phasewise.profiling.artefacts.schemas import SCHEMA, Field, Record, told

Status = Literal["complete", "interrupted", "failed"]

CURVES: Final = Record(
    "curves.csv",
    (
        Field(
            "arrived_load_pct",
            "int",
            "percent",
            "GPU demand of all pods that have arrived, placed or not, over all GPUs",
        ),
        Field("alloc_pct", "float", "percent", "GPUs in use, over all GPUs"),
        Field("frag_pct_of_total", "float", "percent", "fragmented GPUs, over all GPUs"),
        Field("frag_pct_of_idle", "float", "percent", "fragmented GPUs, over the idle ones; 0 if none is idle"),
        Field("occupied_nodes", "float", "nodes", "nodes with a GPU in use", since=2),
    ),
)

PLACEMENTS: Final = Record(
    "placements.parquet",
    (
        Field("event", "int64", "", "index of the arrival, from 0"),
        Field("pod", "string", "", "name of the pod; a clone has the name of its original"),
        Field("node", "string", "", "name of its node; empty if it found none"),
        Field(
            "gpus",
            "string",
            "",
            "indices of its GPUs within the node, for example `0-1-2`; empty if it needs none or found no node",
        ),
        Field("score", "int64", "", "score of the node, before any scaling between nodes; -1 if it found no node"),
    ),
    "One row per arrival.",
)


class FillSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Results of an experiment."""

    arrived_load_pct: Annotated[int, told("arrived load at the end", "percent")]
    alloc_pct: Annotated[float, told("value of the curve of that name at the end", "percent")]
    frag_pct_of_total: Annotated[float, told("likewise", "percent")]
    frag_pct_of_idle: Annotated[float, told("likewise", "percent")]
    occupied_nodes: Annotated[float, told("likewise", "nodes", since=2)]
    arrived_pods: Annotated[int, told("pods that arrived, clones included", "pods")]
    clones: Annotated[int, told("clones among them", "pods")]
    failed_pods: Annotated[int, told("pods that found no node", "pods")]
    failed_by_class: Annotated[
        dict[str, int], told("the same by request: `cpu`, `share`, `gpu1`, `gpu2` and so on", "pods")
    ]
    failed_gpu_milli: Annotated[int, told("total GPU request of those pods", "GPU/1000")]
    unplaceable_pods: Annotated[
        int,
        told(
            "those of `failed_pods` that do not fit even on an empty node: a `gpu_spec` that no model matches, or a "
            "request above what any node has",
            "pods",
        ),
    ]
    unplaceable_example: Annotated[str | None, told("the first of them, with its request", null="there is none")]
    nodes: Annotated[int, told("nodes of the cluster with GPUs", "nodes")]
    gpus: Annotated[int, told("GPUs of the cluster", "GPUs")]
    typical_requests: Annotated[int, told("distinct typical requests, by which fragmentation is measured", "requests")]
    cpu_s: Annotated[float, told("CPU time of placing all pods", "s")]
    peak_rss_mib: Annotated[float, told("peak memory of the process", "MiB")]
    cpu_us_per_pod: Annotated[float | None, told("CPU time per pod", "us", null="none arrived")]


class FillJson(msgspec.Struct, frozen=True, kw_only=True):
    """The whole `run.json`."""

    schema: Annotated[int, told("version of the format that this page describes")] = SCHEMA
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
    summary: Annotated[FillSummary, told("the results: see below")]
    status: Annotated[Status, told("`complete`, `interrupted` or `failed`")]
