"""The page and the figure of what perf/calibration.py found; `write` is a pure function of its report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

NAMES = {
    "two_way": "this package",
    "one_quantile": "one t quantile (Satterthwaite)",
    "bootstrap": "two-level bootstrap",
    "prompts_only": "prompts only",
    "clusters_ignored": "clusters ignored",
    "unpaired": "unpaired z test",
}
SHOWN = (("copies", "independent"), ("trainings", "independent"), ("trainings", "clustered"))
TITLES = {"copies": "copies (A/A)", "trainings": "trainings"}
MARKS = ("o", "s", "^", "D", "P", "v")
COLOURS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#D55E00")


def write(report: dict[str, Any], folder: Path) -> None:
    """Write calibration.md, calibration.svg and calibration.png."""
    (folder / "calibration.md").write_text(page(report), "utf-8")
    draw(report, folder)


def page(report: dict[str, Any]) -> str:
    """The page in markdown."""
    lines = [
        "# Calibration",
        "",
        "Made by `python perf/calibration.py`; the numbers with their intervals are in "
        "[calibration.json](calibration.json).",
        "",
        f"{report['repeats']:,} simulated comparisons of two methods a scenario, nominal 95 %. *Copies* "
        "differ in nothing but the answers they draw; *trainings* differ prompt by prompt and seed by seed, "
        "but not on average. 200 prompts, alone or in 40 clusters of uneven size; *few*: 28 prompts.",
        "",
        "Promised of the package's analysis: the lower end of the simulation's own interval for the "
        "false-positive rate is at most 5 %; coverage is at least 93 % with three or more seeds, and at most "
        "97.5 % for continuous scores with five or more; power is 75-85 % at the median printed detectable "
        "effect, planted half up and half down. Below 30 prompts exact tests are coarse and power is only "
        "shown; it is not measured where a difference of two shares would have to exceed .4.",
        "",
        "**Kept in every scenario.**"
        if not report["broken"]
        else "**Broken:** " + "; ".join(report["broken"]) + ".",
        "",
        "![False positives of six analyses](calibration.svg)",
        "",
        "| scores | prompts | truth | seeds | false positives | coverage | power | worst of the others |",
        "|---|---|---|---:|---:|---:|---:|---|",
    ]
    lines += [_row(one) for one in report["scenarios"]]
    return "\n".join(lines) + "\n"


def _row(one: dict[str, Any]) -> str:
    ours = one["analyses"]["two_way"]
    others = {name: found for name, found in one["analyses"].items() if name != "two_way"}
    worst = min(others, key=lambda name: others[name]["coverage"]["rate"])
    power = f"{ours['power']['rate']:.3f}" if ours["power"] else "-"
    return (
        f"| {one['scores']} | {one['prompts']} | {one['truth']} | {one['seeds']} "
        f"| {ours['false_positives']['rate']:.3f} | {ours['coverage']['rate']:.3f} | {power} "
        f"| {NAMES[worst]}: coverage {others[worst]['coverage']['rate']:.3f} |"
    )


def draw(report: dict[str, Any], folder: Path) -> None:
    """False-positive rates against the number of seeds, continuous scores, every analysis."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "calibration"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(SHOWN), figsize=(10, 3.6), sharey=True, layout="constrained")
    for axis, (truth, prompts) in zip(axes, SHOWN, strict=True):
        rows = [
            one
            for one in report["scenarios"]
            if (one["scores"], one["truth"], one["prompts"]) == ("continuous", truth, prompts)
        ]
        axis.axhline(0.05, color="#777777", linewidth=1, linestyle=":")
        for name, mark, colour in zip(NAMES, MARKS, COLOURS, strict=True):
            found = [
                (place, one["analyses"][name]["false_positives"])
                for place, one in enumerate(rows)
                if name in one["analyses"]
            ]
            if not found:
                continue
            rates = [rate["rate"] for _, rate in found]
            spans = [
                [rate["rate"] - rate["low"] for _, rate in found],
                [rate["high"] - rate["rate"] for _, rate in found],
            ]
            axis.errorbar(
                [place for place, _ in found],
                rates,
                yerr=spans,
                marker=mark,
                color=colour,
                label=NAMES[name],
                linewidth=2 if name == "two_way" else 1,
                markersize=5,
                zorder=3 if name == "two_way" else 2,
            )
        axis.set_xticks(range(len(rows)), [str(one["seeds"]) for one in rows])
        axis.set_xlabel("seeds")
        axis.set_title(f"{TITLES[truth]}, {prompts} prompts", fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("false positives at 5 %")
    axes[0].set_ylim(0, None)
    handles, labels = axes[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    figure.savefig(folder / "calibration.svg", metadata={"Date": None})
    figure.savefig(folder / "calibration.png", dpi=150, metadata={"Software": None})
    pyplot.close(figure)
