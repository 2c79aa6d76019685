"""<wfg-graph> in a real browser, under the policy that our own page has."""

# ruff: noqa: E501  (scripts of a page)

import json
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import STATIC, chromium, complaints, context_of, findings, needs_chromium, serving_files
from tests.engine import Engine

pytestmark = needs_chromium

NOW = 1_700_000_000_000
STATUSES = ["queued", "running", "success", "failure", "skipped", "cancelled"]
EVENTS = ["node-click", "edge-click", "selection-change", "node-hover", "canvas-click", "group-toggle"]
PAGES = {
    "/": """<!doctype html><html lang="en"><title>graph</title><meta charset="utf-8"><meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<link rel="stylesheet" href="/page.css"><script type="module" src="/graph/graph.js"></script>
<main><h1>Run</h1><button id="before">before</button><wfg-graph></wfg-graph><button id="after">after</button></main></html>""",
    "/page.css": "body { margin: 0 } h1 { margin: 0; font-size: 16px } wfg-graph { height: 560px }",
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving_files(STATIC, PAGES) as address:
        yield address


class Graph:
    """The element of a page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def run(self, script: str, value: Any = None) -> Any:
        """What a script returns that knows the element as g, its shadow root as root, and v."""
        known = "const g = document.querySelector('wfg-graph'); const root = g?.shadowRoot;"
        return self.page.evaluate(f"async v => {{ {known}\n{script} }}", value)

    def show(self, workflow: Any) -> None:
        self.run("g.workflow = v; await g.settled()", workflow)

    def events(self) -> list[list[Any]]:
        """What it has told since it was last asked: name and detail."""
        return self.run("return window.told.splice(0)")

    def positions(self) -> dict[str, dict[str, float]]:
        return self.run("return g.getNodePositions()")

    def box(self, name: str) -> dict[str, float]:
        """Where the element of that name is on the page."""
        box = self.run(
            "await g.settled(); const el = [...root.querySelectorAll('.item')]"
            ".find(el => el.querySelector('.name').textContent === v);"
            "const {x, y, width, height} = el.getBoundingClientRect(); return {x, y, width, height}",
            name,
        )
        return {**box, "cx": box["x"] + box["width"] / 2, "cy": box["y"] + box["height"] / 2}

    def click(self, name: str, modifiers: list[str] | None = None) -> None:
        box = self.box(name)
        for key in modifiers or []:
            self.page.keyboard.down(key)
        self.page.mouse.click(box["cx"], box["cy"])
        for key in modifiers or []:
            self.page.keyboard.up(key)

    def focused(self) -> str | None:
        return self.run("return root.activeElement?.querySelector('.name')?.textContent ?? null")

    def status(self, name: str) -> str:
        return self.run(
            "return [...root.querySelectorAll('.item')]"
            ".find(el => el.querySelector('.name').textContent === v).dataset.status",
            name,
        )


TELL = f"""
window.told = []
for (const type of {json.dumps(EVENTS)})
  addEventListener(type, ({{ detail: {{ originalEvent, job, ...detail }} }}) => window.told.push([type, detail]))
"""


@pytest.fixture(scope="module")
def shared_page(browser: Browser) -> Iterator[Page]:
    with context_of(browser, viewport={"width": 1000, "height": 640}) as context:
        yield context.new_page()


@pytest.fixture
def page(shared_page: Page, address: str) -> Iterator[Page]:
    """A fresh document, in which nothing may go wrong."""
    found: list[str] = []
    shared_page.on("pageerror", on_error := lambda error: found.append(str(error)))
    shared_page.on("console", on_console := lambda said: said.type == "error" and found.append(said.text))
    shared_page.mouse.move(0, 0)
    shared_page.goto(address)
    shared_page.evaluate(TELL)
    yield shared_page
    shared_page.remove_listener("pageerror", on_error)
    shared_page.remove_listener("console", on_console)
    assert found == []


@pytest.fixture
def graph(page: Page) -> Graph:
    graph = Graph(page)
    graph.run(f"g.clock = () => {NOW}")
    return graph


def job(id: str, *needs: str, status: str = "queued", **more: Any) -> dict[str, Any]:
    return {"id": id, "name": id, "needs": list(needs), "status": status, **more}


def of(*jobs: dict[str, Any]) -> dict[str, Any]:
    return {"id": "run", "name": "ci", "jobs": list(jobs)}


def diamond(**statuses: str) -> dict[str, Any]:
    return of(
        *(
            {**made, "status": statuses.get(made["id"], "queued")}
            for made in (job("a"), job("b", "a"), job("c", "a"), job("d", "b", "c"))
        )
    )


def large(count: int, width: int = 50) -> dict[str, Any]:
    """Layers of jobs, most of which need some of the layer before, some of any."""
    chance = random.Random(count)
    jobs = []
    for i in range(count):
        layer, column = divmod(i, width)
        needs = {
            (chance.randrange(layer) if chance.random() < 0.1 else layer - 1) * width
            + max(0, min(width - 1, column + chance.randint(-4, 4)))
            for _ in range(chance.randint(1, 2) if layer else 0)
        }
        status = chance.choice([*STATUSES, "success", "success", "queued"])
        jobs.append(job(f"j{i}", *(f"j{need}" for need in sorted(needs)), status=status))
    return of(*jobs)


# --- what is shown ---


def test_a_run_and_a_status_of_the_engine_are_the_same_graph(graph: Graph, engine: Engine) -> None:
    definition = {
        "jobs": {
            "test": {"run": "true"},
            "build": {"run": "true", "needs": ["test"], "group": "make"},
            "ship": {"run": "true", "needs": ["test", "build"]},
        }
    }
    engine.call("wfg_put_workflow", p_workflow_id="ci", p_definition=definition)
    engine.call("wfg_run_workflow", p_workflow_id="ci")
    graph.show(engine.call("wfg_get_run", p_run_id="ci"))
    run = graph.positions()
    names = graph.run("return [...root.querySelectorAll('.item .name')].map(el => el.textContent)")
    graph.run("g.collapsedGroups = []; g.workflow = null")
    graph.show(engine.call("wfg_get_status", p_workflow_id="ci"))

    assert set(run) == {"test", "build", "ship"}
    assert sorted(names) == ["build", "make", "ship", "test"]
    assert run["test"]["x"] < run["build"]["x"] < run["ship"]["x"]
    assert set(graph.positions()) == set(run)


def test_the_six_statuses_differ_in_colour_or_shape_each(graph: Graph) -> None:
    graph.show(of(*(job(status, status=status) for status in STATUSES)))
    seen = graph.run(
        "return [...root.querySelectorAll('.item')].map(el => [el.dataset.status,"
        " el.querySelector('path').getAttribute('d'), getComputedStyle(el.querySelector('svg')).color])"
    )

    assert sorted(status for status, _, _ in seen) == sorted(STATUSES)
    assert len({shape for _, shape, _ in seen}) == 6
    assert len({color for _, _, color in seen}) == 6


def test_small_jobs_differ_in_their_filling_too(graph: Graph) -> None:
    """On the canvas of a large graph, with one colour for all statuses."""
    pictures = graph.run(
        """
        const { Painter } = await import('/graph/painter.js')
        const { mergeTheme } = await import('/graph/theme.js')
        const { View } = await import('/graph/view.js')
        const { sceneOf, readWorkflow } = await import('/graph/model.js')
        return v.map(status => {
          const scene = sceneOf(readWorkflow({ jobs: [{ id: 'a', status }] }), new Set())
          Object.assign(scene.items[0], { w: 200, h: 40 })
          const view = Object.assign(new View(), { width: 60, height: 20, zoom: 0.25, bounds: { w: 200, h: 40 } })
          const colors = new Proxy({}, { get: (_, key) => key === 'node_bg' ? '#fff' : '#000' })
          const canvas = document.createElement('canvas')
          new Painter(canvas).paint({ scene, view, colors, theme: mergeTheme(null), down: false, overview: true, lit: new Set(), selected: new Set() })
          return canvas.toDataURL()
        })
        """,
        STATUSES,
    )

    assert len(set(pictures)) == 6


def test_a_running_job_ticks_and_an_ended_one_does_not(graph: Graph) -> None:
    graph.show(
        of(
            job("long", status="running", started_at_ms=NOW - 3_725_000),
            job("short", status="running", started_at=float(NOW - 59_000)),
            job("done", status="success", started_at_ms=NOW - 90_000, finished_at_ms=NOW - 1_000),
            job("old", status="success", duration_secs=7),
            job("days", status="success", duration_secs=90_000),
        )
    )
    times = "return Object.fromEntries([...root.querySelectorAll('.item')].map(el => [el.querySelector('.name').textContent, el.querySelector('.time').textContent]))"

    assert graph.run(times) == {
        "long": "1h 2m", "short": "59s", "done": "1m 29s", "old": "7s", "days": "1d 1h",
    }  # fmt: skip
    graph.run(f"g.clock = () => {NOW + 2000}")
    graph.page.wait_for_function(
        "() => document.querySelector('wfg-graph').shadowRoot.textContent.includes('1m 1s')"
    )
    assert graph.run(times)["done"] == "1m 29s"


def test_what_else_is_known_of_a_job_is_shown_and_spoken(graph: Graph) -> None:
    graph.show(
        of(
            job("again", status="success", attempt=2, duration_secs=3),
            job("held", paused="labels"),
            job("kept", "again", status="success", kept=True, duration_secs=1),
        )
    )
    for said in (
        "again Success, 3s, attempt 3",
        "held Queued, Paused",
        "kept Success, 1s, kept from an earlier run, needs again",
    ):
        assert graph.page.get_by_role("treeitem", name=said, exact=True).count() == 1, said


@pytest.mark.parametrize(
    "name",
    [
        '<img src=x onerror="window.hacked=1">',
        "<script>window.hacked=1</script>",
        "tab\tbell\x07nul\x00del\x7f",
        "\u202egnp.exe\u202c",
        "x" * 10_000,
        "😀 名前 שם اسم 𝒳",
        "\ud83d",
        "${window.hacked=1}",
    ],
    ids=["img", "script", "control", "override", "long", "scripts", "half", "template"],
)
def test_hostile_names_are_text(graph: Graph, name: str) -> None:
    # Lone surrogates do not pass the protocol; JSON escapes do.
    graph.run(
        "g.workflow = {...JSON.parse(v), name: JSON.parse(v).jobs[0].name}; g.theme = {layout: {header_height: 40}};"
        "await g.settled()",
        json.dumps(of(job(name), job("next", name, group=name))),
    )
    found = graph.run(
        "const el = [...root.querySelectorAll('.item.job')].find(el => el.querySelector('.name').title !== 'next');"
        "const box = el.getBoundingClientRect();"
        "return {children: el.querySelectorAll('img, script').length, width: box.width, height: box.height,"
        " ellipsis: el.querySelector('.name').scrollWidth > el.querySelector('.name').clientWidth,"
        " length: el.querySelector('.name').title.length, label: el.querySelector('.spoken').textContent.length,"
        " zoom: g.zoom, hacked: window.hacked ?? null, wide: document.documentElement.scrollWidth}"
    )

    assert found["children"] == 0
    assert found["hacked"] is None
    assert found["width"] == pytest.approx(200 * found["zoom"], abs=1)
    assert found["height"] == pytest.approx(40 * found["zoom"], abs=1)
    assert found["wide"] <= 1000
    assert found["label"] < 400
    assert found["ellipsis"] == (len(name) > 30)
    assert found["length"] == len(name.encode("utf-16-le", "surrogatepass")) // 2


def test_broken_workflows_do_no_harm(graph: Graph) -> None:
    for workflow in (None, 5, "x", [], {}, {"jobs": None}, {"jobs": [None, 1, {}, {"id": None}]}):
        graph.show(workflow)
        assert graph.positions() == {}
        assert graph.run("return root.querySelector('.empty').checkVisibility()")
    graph.show(
        {
            "jobs": [
                job("a", "a", "gone", "b"),
                job("b", "a"),
                job("a"),
                {"id": 7, "status": "odd", "needs": "b"},
            ]
        }
    )

    assert set(graph.positions()) == {"a", "b", "7"}
    assert graph.status("7") == "queued"


# --- layout ---

CHECK_LAYOUT = """
const { layout } = await import('/graph/layout.js')
const problem = { nodes: v.clusters.map(cluster => ({ w: 200, h: 40, cluster })), edges: v.edges, clusters: v.groups,
  down: v.down, flowGap: 60, crossGap: 16, frame: 14, title: 20 }
const { nodes, clusters, routes, width, height } = layout(problem)
const wrong = []
const meet = (a, b) => a.x < b.x + b.w - 0.01 && b.x < a.x + a.w - 0.01 && a.y < b.y + b.h - 0.01 && b.y < a.y + a.h - 0.01
const within = (a, b) => a.x >= b.x - 0.01 && a.y >= b.y - 0.01 && a.x + a.w <= b.x + b.w + 0.01 && a.y + a.h <= b.y + b.h + 0.01
const all = { x: 0, y: 0, w: width, h: height }
nodes.forEach((a, i) => {
  if (!within(a, all)) wrong.push(`${i} is outside`)
  nodes.forEach((b, j) => j < i && meet(a, b) && wrong.push(`${i} on ${j}`))
  clusters.forEach((c, k) => v.clusters[i] === k ? within(a, c) || wrong.push(`${i} not in its frame`) : meet(a, c) && wrong.push(`${i} in frame ${k}`))
})
clusters.forEach((a, i) => clusters.forEach((b, j) => j < i && meet(a, b) && wrong.push(`frame ${i} on ${j}`)))
v.edges.forEach(([a, b], i) => {
  const route = routes[i]
  if (v.groups === 0 && !(v.down ? nodes[a].y + nodes[a].h < nodes[b].y : nodes[a].x + nodes[a].w < nodes[b].x)) wrong.push(`${a} not before ${b}`)
  const [x0, y0, x1, y1] = [...route.slice(0, 2), ...route.slice(-2)]
  const [from, to] = [nodes[a], nodes[b]]
  const right = v.down ? x0 === from.x + from.w / 2 && y0 === from.y + from.h && x1 === to.x + to.w / 2 && y1 === to.y
    : x0 === from.x + from.w && y0 === from.y + from.h / 2 && x1 === to.x && y1 === to.y + to.h / 2
  if (!right || route.length % 2 || !route.every(Number.isFinite)) wrong.push(`route ${i}: ${route}`)
  // No route runs through a job: its straight parts keep clear of all.
  for (let p = 0; p + 3 < route.length; p += 2) {
    if (route[p + (v.down ? 0 : 1)] !== route[p + 2 + (v.down ? 0 : 1)]) continue
    if (route[p + (v.down ? 1 : 0)] > route[p + 2 + (v.down ? 1 : 0)]) continue // leads back, and bends
    const part = { x: Math.min(route[p], route[p + 2]), y: Math.min(route[p + 1], route[p + 3]), w: Math.abs(route[p] - route[p + 2]), h: Math.abs(route[p + 1] - route[p + 3]) }
    nodes.forEach((n, j) => j !== a && j !== b && meet({ ...part, w: part.w || 0.1, h: part.h || 0.1 }, n) && wrong.push(`route ${i} through ${j}`))
  }
})
return wrong.slice(0, 5)
"""


def random_problem(seed: int) -> dict[str, Any]:
    chance = random.Random(seed)
    count = chance.choice([1, 2, 5, 20, 60])
    groups = chance.choice([0, 0, 1, 3])
    density = chance.choice([0.5, 1, 2])
    edges = {
        (a, b)
        for a, b in (sorted(chance.choices(range(count), k=2)) for _ in range(int(count * density)))
        if a != b
    }
    if chance.random() < 0.3:  # many of the same
        edges |= {(0, i) for i in range(1, count)}
    clusters = [chance.randrange(-1, groups) if groups else -1 for _ in range(count)]
    return {"edges": sorted(edges), "clusters": clusters, "groups": groups, "down": chance.random() < 0.5}


def test_jobs_and_frames_never_overlap_and_edges_join_what_they_join(graph: Graph) -> None:
    for seed in range(60):
        assert graph.run(CHECK_LAYOUT, random_problem(seed)) == [], f"seed {seed}"


@pytest.mark.nightly
def test_many_layouts_hold(graph: Graph) -> None:
    for seed in range(60, 2000):
        assert graph.run(CHECK_LAYOUT, random_problem(seed)) == [], f"seed {seed}"


def test_the_first_layer_stands_in_the_order_of_the_file_without_a_staircase(graph: Graph) -> None:
    graph.show(of(job("z"), job("m"), job("a"), job("z2", "z"), job("m2", "m"), job("a2", "a")))
    at = graph.positions()

    assert at["z"]["y"] < at["m"]["y"] < at["a"]["y"]
    assert [at[name]["y"] for name in ("z2", "m2", "a2")] == [at[name]["y"] for name in ("z", "m", "a")]


def test_long_edges_are_straight(graph: Graph) -> None:
    jobs = large(120, 8)["jobs"]
    at = {made["id"]: i for i, made in enumerate(jobs)}
    edges = [[at[need], at[made["id"]]] for made in jobs for need in made["needs"]]
    routes = graph.run(
        "const { layout } = await import('/graph/layout.js');"
        "return layout({ nodes: v.nodes, edges: v.edges, clusters: 0, down: false, flowGap: 60, crossGap: 16, frame: 0, title: 0 }).routes",
        {"nodes": [{"w": 200, "h": 40, "cluster": -1}] * len(jobs), "edges": edges},
    )
    between = [{round(y) for y in route[3:-1:2]} for route in routes if len(route) > 8]

    assert len(between) > 10
    assert [len(heights) for heights in between] == [1] * len(between)


def test_the_direction_turns_the_graph(graph: Graph) -> None:
    graph.show(diamond())
    across = graph.positions()
    graph.run("g.direction = 'TopToBottom'; await g.settled()")
    down = graph.positions()

    assert across["a"]["x"] < across["b"]["x"] < across["d"]["x"]
    assert down["a"]["y"] < down["b"]["y"] < down["d"]["y"]
    assert down["b"]["x"] != down["c"]["x"]
    assert graph.run("return [g.direction, g.getAttribute('direction')]") == ["TopToBottom"] * 2


# --- live ---


def test_updates_keep_positions_and_are_announced_once(graph: Graph) -> None:
    graph.show(diamond())
    before = graph.positions()
    known = graph.run(
        "window.said = []; new MutationObserver(() => said.push(root.querySelector('.live').textContent))"
        ".observe(root.querySelector('.live'), {childList: true});"
        "const known = [g.updateStatus('a', 'running', {started_at_ms: v - 5000}), g.updateStatus('a', 'running'),"
        " g.updateStatus('b', 'failure'), g.updateStatus('gone', 'success'), g.updateStatus('c', 'nonsense')];"
        "await g.settled(); return known",
        NOW,
    )
    graph.page.wait_for_function("() => window.said.length")
    graph.run("g.updateStatus('a', 'queued'); g.updateStatus('a', 'running'); g.updateStatus('c', 'success')")
    graph.page.wait_for_function("() => window.said.length > 1")

    assert known == [True, True, True, False, True]
    assert graph.positions() == before
    assert (graph.status("a"), graph.status("b"), graph.status("c")) == ("running", "failure", "success")
    assert graph.run("return window.said") == ["a: Running. b: Failure", "c: Success"]
    assert "5s" in graph.run("return root.querySelector('[data-status=running] .time').textContent")


def test_many_changes_at_once_are_announced_as_a_sum(graph: Graph) -> None:
    graph.show(of(*(job(f"j{i}") for i in range(9))))
    graph.run("for (let i = 0; i < 9; i++) g.updateStatus('j' + i, i < 7 ? 'success' : 'failure')")
    graph.page.wait_for_function(
        "() => document.querySelector('wfg-graph').shadowRoot.querySelector('.live').textContent"
    )

    assert graph.run("return root.querySelector('.live').textContent") == "7 jobs: Success. 2 jobs: Failure"


def test_a_workflow_set_again_is_reconciled(graph: Graph) -> None:
    graph.show(diamond())
    before = graph.positions()
    graph.click("b")
    graph.events()
    again = diamond(a="success")
    again["jobs"][1]["name"] = "renamed"
    graph.run("g.updateStatus(v); await g.settled()", again)
    assert graph.positions() == before
    assert graph.status("a") == "success"
    assert graph.box("renamed")

    graph.show(of(job("a"), job("c", "a"), job("d", "c"), job("e", "d")))
    at = graph.positions()
    assert set(at) == {"a", "c", "d", "e"}
    assert at["d"]["x"] < at["e"]["x"]
    assert graph.events() == [["selection-change", {"ids": []}]]


# --- pointers ---


def test_clicks_select_and_tell(graph: Graph) -> None:
    graph.show(diamond())
    graph.click("b")
    assert graph.events()[-2:] == [["selection-change", {"ids": ["b"]}], ["node-click", {"id": "b"}]]
    graph.click("c", ["Shift"])
    graph.click("b", ["Shift"])
    told = [event for event in graph.events() if event[0] != "node-hover"]
    assert told == [["selection-change", {"ids": ["b", "c"]}], ["selection-change", {"ids": ["c"]}]]

    graph.page.mouse.click(990, 60)
    names = [name for name, _ in graph.events()]
    assert names == ["node-hover", "selection-change", "canvas-click"]
    assert graph.run("return g.selection") == []


def test_selection_by_method(graph: Graph) -> None:
    graph.show(diamond())

    assert graph.run("return [g.selectNode('d'), g.selectNode('gone'), g.selection]") == [True, False, ["d"]]
    assert (
        graph.run("await g.settled(); return root.querySelector('[aria-selected=true] .name').textContent")
        == "d"
    )
    graph.run("g.deselectAll(); g.deselectAll()")
    assert graph.events() == [["selection-change", {"ids": ["d"]}], ["selection-change", {"ids": []}]]


def test_a_band_selects_what_has_its_middle_inside(graph: Graph) -> None:
    graph.show(diamond())
    b, c = graph.box("b"), graph.box("c")
    top, bottom = sorted([b, c], key=lambda box: box["y"])
    mouse = graph.page.mouse
    graph.page.keyboard.down("Shift")
    mouse.move(top["x"] - 15, top["y"] - 20)
    mouse.down()
    mouse.move(bottom["x"] + bottom["width"] * 0.6, bottom["y"] + bottom["height"] * 0.6, steps=3)
    assert graph.run("return root.querySelector('.band').checkVisibility()")
    mouse.up()
    graph.page.keyboard.up("Shift")

    assert sorted(graph.run("return g.selection")) == ["b", "c"]
    assert not graph.run("return root.querySelector('.band').checkVisibility()")


def test_an_edge_is_clicked_within_six_pixels(graph: Graph) -> None:
    graph.show(of(job("a"), job("b", "a")))
    a, b = graph.box("a"), graph.box("b")
    middle = (a["x"] + a["width"] + b["x"]) / 2
    graph.page.mouse.click(middle, a["cy"] + 5)
    graph.page.mouse.click(middle, a["cy"] + 9)

    told = [event for event in graph.events() if event[0] != "node-hover"]
    assert told[0] == ["edge-click", {"from": "a", "to": "b", "count": 1}]
    assert told[1][0] == "canvas-click"
    assert len(told) == 2


def test_hovering_lights_the_path(graph: Graph) -> None:
    graph.show(diamond())
    b = graph.box("b")
    graph.page.mouse.move(b["cx"], b["cy"])
    lit = "return [...root.querySelectorAll('.lit .name')].map(el => el.textContent).sort()"

    assert graph.run(lit) == ["a", "b", "d"]
    graph.page.mouse.move(990, 60)
    assert graph.run(lit) == []
    assert graph.events() == [["node-hover", {"id": "b"}], ["node-hover", {"id": None}]]


def test_the_wheel_zooms_about_the_cursor_and_drags_pan(graph: Graph) -> None:
    graph.show(diamond())
    d = graph.box("d")
    graph.page.mouse.move(d["cx"], d["cy"])
    before = graph.run("return g.zoom")
    graph.page.mouse.wheel(0, -400)
    graph.page.wait_for_function(f"() => document.querySelector('wfg-graph').zoom > {before * 1.2}")
    after = graph.box("d")
    assert (after["cx"], after["cy"]) == (pytest.approx(d["cx"], abs=1), pytest.approx(d["cy"], abs=1))

    graph.page.mouse.move(500, 70)
    graph.page.mouse.down()
    graph.page.mouse.move(540, 100, steps=4)
    graph.page.mouse.up()
    moved = graph.box("d")
    assert (moved["cx"] - after["cx"], moved["cy"] - after["cy"]) == (
        pytest.approx(40, abs=1),
        pytest.approx(30, abs=1),
    )
    assert [name for name, _ in graph.events() if name != "node-hover"] == []


def test_the_wheel_can_be_left_to_the_page(graph: Graph) -> None:
    graph.show(diamond())
    graph.run("g.setAttribute('wheel', 'ctrl')")
    taken = "const stage = root.querySelector('.stage'); const event = new WheelEvent('wheel', {deltaY: -100, ctrlKey: v, cancelable: true}); stage.dispatchEvent(event); return event.defaultPrevented"

    assert graph.run(taken, False) is False
    assert graph.run(taken, True) is True


def test_two_fingers_pinch(graph: Graph) -> None:
    graph.show(diamond())
    zoom = graph.run("g.setZoom(0.5); return g.zoom")
    graph.run(
        "const stage = root.querySelector('.stage'); const box = stage.getBoundingClientRect();"
        "const touch = (type, pointerId, x) => stage.dispatchEvent(new PointerEvent(type,"
        " {pointerId, pointerType: 'touch', clientX: box.x + x, clientY: box.y + 200}));"
        "touch('pointerdown', 11, 400); touch('pointerdown', 12, 500);"
        "for (let i = 1; i <= 10; i++) { touch('pointermove', 11, 400 - 5 * i); touch('pointermove', 12, 500 + 5 * i) }"
        "touch('pointerup', 11, 350); touch('pointerup', 12, 550)"
    )

    assert graph.run("return g.zoom") == pytest.approx(2 * zoom, rel=0.01)
    assert graph.events() == []


def test_fit_fits_and_zoom_has_its_limits(graph: Graph) -> None:
    graph.show(large(120, 6))
    graph.run("g.setZoom(1000)")
    assert graph.run("return g.zoom") == 4
    graph.run("g.setZoom(NaN); g.setZoom(0)")
    smallest = graph.run("return g.zoom")
    graph.run("g.fit(); await g.settled()")

    inside = graph.run(
        "const stage = root.querySelector('.stage').getBoundingClientRect();"
        "return [...root.querySelectorAll('.item')].every(el => { const box = el.getBoundingClientRect();"
        " return box.left >= stage.left && box.right <= stage.right && box.top >= stage.top && box.bottom <= stage.bottom })"
    )
    assert inside
    assert graph.run("return root.querySelectorAll('.item').length") == 120
    assert smallest <= graph.run("return g.zoom") <= 1


def test_a_graph_that_was_fitted_stays_so_when_the_page_changes(graph: Graph) -> None:
    graph.show(diamond())
    wide = graph.run("return g.zoom")
    graph.run("g.style.width = '300px'")
    graph.page.wait_for_function(f"() => document.querySelector('wfg-graph').zoom < {wide / 2}")
    box = graph.box("d")
    assert box["x"] + box["width"] <= 300


def test_the_minimap_of_a_large_graph_leads_there(graph: Graph) -> None:
    graph.show(diamond())
    assert not graph.run("return root.querySelector('.minimap').checkVisibility()")
    graph.show(large(300, 20))
    graph.run("g.setZoom(1.5); await g.settled()")
    box = graph.run(
        "const {x, y, width, height} = root.querySelector('.minimap').getBoundingClientRect(); return {x, y, width, height}"
    )
    assert (box["width"], box["height"]) == (160, 100)
    seen = "await g.settled(); return [...root.querySelectorAll('.item .name')].map(el => el.textContent)"
    before = graph.run(seen)
    graph.page.mouse.click(box["x"] + 40, box["y"] + 50)

    assert not set(before) & set(graph.run(seen)[1:])
    graph.run("g.setAttribute('minimap', 'never')")
    assert not graph.run("return root.querySelector('.minimap').checkVisibility()")


def test_the_buttons_zoom_and_fit(graph: Graph) -> None:
    graph.show(diamond())
    fitted = graph.run("return g.zoom")
    graph.page.get_by_role("button", name="Zoom in").click()
    assert graph.run("return g.zoom") == pytest.approx(1.4 * fitted)
    graph.page.get_by_role("button", name="Zoom out").click()
    graph.page.get_by_role("button", name="Zoom out").click()
    assert graph.run("return g.zoom") == pytest.approx(fitted / 1.4)
    graph.page.get_by_role("button", name="Fit the whole graph").click()
    assert graph.run("return g.zoom") == fitted
    graph.run("g.setAttribute('controls', 'none')")
    assert graph.page.get_by_role("button", name="Zoom in").count() == 0
    assert graph.events() == []


# --- the keyboard ---


def test_a_tour_without_a_mouse(graph: Graph) -> None:
    graph.show(diamond())
    keyboard = graph.page.keyboard
    graph.page.focus("#before")

    def press(*keys: str) -> str | None:
        for key in keys:
            keyboard.press(key)
        return graph.focused()

    assert press("Tab") == "a"
    assert press("ArrowRight") in ("b", "c")
    assert press("ArrowRight") == "d"
    assert press("ArrowRight") == "d"
    assert press("Home") == "a"
    assert press("End") == "d"
    assert press("c") == "c"
    assert graph.run("return [...root.querySelectorAll('.lit .name')].map(el => el.textContent).sort()") == [
        "a",
        "c",
        "d",
    ]
    graph.events()
    assert press("Enter") == "c"
    assert graph.events() == [["selection-change", {"ids": ["c"]}], ["node-click", {"id": "c"}]]
    press("Home", "Shift+Enter")
    assert graph.run("return g.selection") == ["c", "a"]
    press("Control+a")
    assert len(graph.run("return g.selection")) == 4
    press("Escape")
    assert graph.run("return g.selection") == []
    zoom = graph.run("return g.zoom")
    before = graph.box("a")
    press("+")
    assert graph.run("return g.zoom") > zoom
    assert graph.box("a")["cx"] == pytest.approx(before["cx"], abs=1)
    press("0")
    assert graph.run("return g.zoom") == zoom

    # And out again, both ways.
    for _ in range(4):
        keyboard.press("Tab")
    assert graph.page.evaluate("document.activeElement.id") == "after"
    for _ in range(4):
        keyboard.press("Shift+Tab")
    assert graph.focused() == "a"
    keyboard.press("Shift+Tab")
    assert graph.page.evaluate("document.activeElement.id") == "before"


@pytest.mark.parametrize("direction", ["LeftToRight", pytest.param("TopToBottom", marks=pytest.mark.nightly)])
def test_every_job_is_reached_by_one_key_and_is_in_sight_then(graph: Graph, direction: str) -> None:
    workflow = large(30, 5)
    workflow["jobs"] += [job("alone"), job("grouped", group="g"), job("too", "grouped", group="g")]
    graph.run("g.direction = v", direction)
    graph.show(workflow)
    graph.run("g.setZoom(1.2)")
    graph.page.focus("#before")
    graph.page.keyboard.press("Tab")
    seen = graph.run(
        "const seen = [], hidden = []; const stage = root.querySelector('.stage').getBoundingClientRect();"
        "for (let i = 0; i < 36; i++) { const el = root.activeElement; await g.settled(); const box = el.getBoundingClientRect();"
        " if (box.left < stage.left || box.right > stage.right || box.top < stage.top || box.bottom > stage.bottom) hidden.push(el.textContent);"
        " if (el.getAttribute('tabindex') !== '0' || root.querySelectorAll('[tabindex=\"0\"]').length !== 1) hidden.push('roving ' + el.textContent);"
        " seen.push(el.querySelector('.name').textContent);"
        " el.dispatchEvent(new KeyboardEvent('keydown', {key: v, bubbles: true})) } return {seen, hidden}",
        "ArrowDown" if direction == "LeftToRight" else "ArrowRight",
    )

    assert seen["hidden"] == []
    assert set(seen["seen"]) == {made["id"] for made in workflow["jobs"]} | {"g"}


def test_it_is_a_tree_to_a_screen_reader(graph: Graph) -> None:
    graph.show(diamond(a="success"))
    tree = graph.page.get_by_role("tree", name="ci, 4 jobs")
    assert tree.get_by_role("treeitem").count() == 4
    assert tree.get_by_role("treeitem", name="d Queued, needs b, c").get_attribute("aria-posinset") == "4"
    # A screen reader's click comes without a pointer.
    graph.run("root.querySelector('.item').click()")
    assert graph.events() == [["selection-change", {"ids": ["a"]}], ["node-click", {"id": "a"}]]


# --- groups ---


def grouped() -> dict[str, Any]:
    return of(
        job("a", status="success"),
        job("g1", "a", group="mid", status="success"),
        job("g2", "a", group="mid", status="running"),
        job("g3", "g1", group="mid"),
        job("z", "g1", "g2", "g3"),
    )


def test_a_group_collapses_with_its_edges_merged_and_opens_again(graph: Graph) -> None:
    graph.show(grouped())
    before = graph.positions()
    graph.click("mid")
    assert graph.events()[-1] == ["group-toggle", {"group": "mid", "collapsed": True}]
    graph.run("await g.settled()")
    assert set(graph.positions()) == {"a", "z"}
    item = graph.page.get_by_role("treeitem", name="mid Running, group of 3 jobs, 1 done, needs a")
    assert item.get_attribute("aria-expanded") == "false"

    mid, z = graph.box("mid"), graph.box("z")
    graph.page.mouse.click((mid["x"] + mid["width"] + z["x"]) / 2, z["cy"])
    assert graph.events()[-1] == ["edge-click", {"from": "mid", "to": "z", "count": 3}]
    graph.run("g.updateStatus('g2', 'failure'); await g.settled()")
    assert graph.status("mid") == "failure"

    graph.page.focus("#before")
    graph.page.keyboard.press("Tab")
    graph.page.keyboard.press("Home")
    graph.page.keyboard.press("ArrowRight")
    graph.page.keyboard.press("Enter")
    assert graph.focused() == "mid"
    graph.run("await g.settled()")
    assert graph.positions() == before
    assert graph.run("return g.collapsedGroups") == []


def test_groups_by_property_and_method(graph: Graph) -> None:
    graph.run("g.collapsedGroups = ['mid']")
    graph.show(grouped())
    assert set(graph.positions()) == {"a", "z"}
    graph.run("g.selectNode('g3'); await g.settled()")
    assert graph.run("return [g.selection, g.collapsedGroups]") == [["g3"], []]
    graph.run(
        "g.toggleGroup('mid', true); g.toggleGroup('mid', true); g.toggleGroup('gone'); await g.settled()"
    )
    assert [name for name, _ in graph.events()].count("group-toggle") == 2
    graph.show({**grouped(), "collapsed": ["mid"]})
    assert graph.run("return g.collapsedGroups") == ["mid"]


def test_collapsed_groups_that_need_each_other_are_laid_out(graph: Graph) -> None:
    graph.run("g.collapsedGroups = ['p', 'q']")
    graph.show(
        of(job("p1", group="p"), job("q1", "p1", group="q"), job("p2", "q1", group="p"), job("z", "p2"))
    )
    assert graph.run("return root.querySelectorAll('.item').length") == 3


# --- themes and words ---


def test_partial_themes_and_labels_are_merged(graph: Graph) -> None:
    graph.show(of(job("a", status="success", duration_secs=61)))
    graph.run(
        "g.theme = {colors: {success: 'rgb(1, 2, 3)', text: 'no color'}, layout: {node_width: 300, node_height: -1, header_height: 50},"
        " fonts: {size_name: 20}, labels: {success: 'Gut'}, direction: 'TopToBottom', minimap: true,"
        " edge_styles: {'a->b': {color: 'red', width: 4, dash: [2]}, bad: 5}};"
        "g.labels = {duration_minutes: '{m} min', queued: 5}; await g.settled()"
    )
    found = graph.run(
        "const el = root.querySelector('.item'); return [getComputedStyle(el.querySelector('svg')).color, el.style.width, el.style.height,"
        " getComputedStyle(el).fontSize, el.querySelector('.spoken').textContent, el.querySelector('.time').textContent, g.direction,"
        " root.querySelector('.minimap').checkVisibility(), root.querySelector('.header').textContent, root.querySelector('.header').clientHeight]"
    )
    assert found == [
        "rgb(1, 2, 3)", "300px", "40px", "20px", "Gut, 1 min", "1 min", "TopToBottom", True, "ci", 49,
    ]  # fmt: skip
    graph.run("g.theme = null; g.labels = null; await g.settled()")
    assert graph.run(
        "const el = root.querySelector('.item'); return [el.style.width, el.querySelector('.spoken').textContent]"
    ) == ["200px", "Success, 1m 1s"]


def test_an_edge_can_have_a_style_of_its_own(graph: Graph) -> None:
    graph.run("g.theme = {edge_styles: {'a->b': {color: 'rgb(255, 0, 0)', width: 8}}}")
    graph.show(of(job("a"), job("b", "a"), job("c", "b")))
    a, b, c = graph.box("a"), graph.box("b"), graph.box("c")
    pixel = """
    const canvas = root.querySelector('.paint'), box = canvas.getBoundingClientRect()
    return [...canvas.getContext('2d').getImageData((v[0] - box.x) * canvas.width / box.width, (v[1] - box.y) * canvas.height / box.height, 1, 1).data].slice(0, 3)
    """

    assert graph.run(pixel, [(a["x"] + a["width"] + b["x"]) / 2, a["cy"]]) == [255, 0, 0]
    assert graph.run(pixel, [(b["x"] + b["width"] + c["x"]) / 2, b["cy"]]) != [255, 0, 0]


def test_another_graph_is_fitted_and_another_run_is_seen_where_one_was(graph: Graph) -> None:
    graph.show(diamond())
    fitted = graph.run("return g.zoom")
    graph.run("g.setZoom(2)")
    graph.show({**diamond(), "id": "next run"})
    assert graph.run("return g.zoom") == 2
    graph.show({**of(job("x"), job("y", "x")), "id": "another"})
    assert graph.run("return g.zoom") != 2
    graph.run("g.setZoom(2)")
    graph.show({**diamond(), "id": "run"})
    assert graph.run("return g.zoom") == fitted


def test_colours_follow_the_system_or_the_choice(graph: Graph) -> None:
    graph.show(diamond())
    background = "return getComputedStyle(root.querySelector('.stage')).backgroundColor"
    light = graph.run(background)
    media = graph.page.emulate_media
    try:
        media(color_scheme="dark")
        dark = graph.run(background)
        media(contrast="more")
        contrast_dark = graph.run(background)
        media(color_scheme="light", contrast="no-preference")
        chosen = {
            scheme: graph.run(f"g.scheme = v; {background}", scheme)
            for scheme in ("dark", "contrast-dark", "light")
        }
        graph.run("g.scheme = 'auto'")
        media(forced_colors="active")
        forced = graph.run(
            "await g.settled(); return getComputedStyle(root.querySelector('.item')).borderColor"
        )
    finally:
        media(color_scheme="light", contrast="no-preference", forced_colors="none")

    assert chosen == {"dark": dark, "contrast-dark": contrast_dark, "light": light}
    assert len({light, dark, contrast_dark}) == 3
    assert forced
    assert graph.run("return g.scheme") == "auto"


def test_motion_is_reduced_where_it_is_wished(graph: Graph) -> None:
    graph.show(diamond(a="running"))
    animation = "return getComputedStyle(root.querySelector('[data-status=running] svg')).animationName"
    assert graph.run(animation) == "none"
    graph.page.emulate_media(reduced_motion="no-preference")
    try:
        assert graph.run(animation) == "turn"
    finally:
        graph.page.emulate_media(reduced_motion="reduce")


def test_names_can_be_selected_as_text(graph: Graph) -> None:
    graph.show(of(job("first second")))
    box = graph.box("first second")
    graph.page.mouse.dblclick(box["x"] + 60 * graph.run("return g.zoom"), box["cy"])
    assert "first" in graph.page.evaluate("String(getSelection())")


def test_a_phone_shows_it_whole(browser: Browser, address: str) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True)
    page = context.new_page()
    found = complaints(page)
    page.goto(address)
    graph = Graph(page)
    graph.show(large(60, 6))
    assert graph.run("return document.documentElement.scrollWidth") == 360
    assert graph.run("return root.querySelector('.fit').offsetWidth") == 44
    context.close()
    assert found == []


# --- life ---


def test_what_was_set_before_the_element_is_known_counts(page: Page) -> None:
    found = page.evaluate(
        """async () => {
          const { WfgGraph } = await import('/graph/graph.js')
          const late = Object.assign(document.createElement('late-graph'), { workflow: { jobs: [{ id: 'a' }] }, direction: 'TopToBottom' })
          document.body.append(late)
          customElements.define('late-graph', class extends WfgGraph {})
          await late.settled()
          return [Object.keys(late.getNodePositions()), late.direction, late.workflow.jobs.length]
        }"""
    )
    assert found == [["a"], "TopToBottom", 1]


COUNT = """
window.alive = new Set()
const { setInterval: set, clearInterval: clear, Worker: Real } = window
window.setInterval = (...args) => { const id = set(...args); alive.add(id); return id }
window.clearInterval = id => { alive.delete(id); clear(id) }
window.Worker = class extends Real {
  constructor(...args) { super(...args); alive.add(this); window.workers = (window.workers ?? 0) + 1 }
  terminate() { alive.delete(this); super.terminate() }
}
undefined
"""


def test_leaving_the_page_lets_go_and_coming_back_goes_on(graph: Graph) -> None:
    graph.page.evaluate(COUNT)
    graph.show({**large(400), "jobs": [*large(400)["jobs"], job("r", status="running", started_at_ms=NOW)]})
    assert graph.run("return [alive.size, window.workers]") == [2, 1]
    graph.run("window.kept = g; window.home = g.parentNode; g.remove()")
    assert graph.page.evaluate("alive.size") == 0
    graph.page.evaluate(
        "async () => { kept.updateStatus('j0', 'failure'); home.append(kept); await kept.settled() }"
    )
    assert len(graph.positions()) == 401
    assert graph.page.evaluate("alive.size") == 2

    graph.run("window.kept = g; g.destroy()")
    assert graph.page.evaluate("[alive.size, document.querySelector('wfg-graph'), kept.workflow]") == [
        0,
        None,
        None,
    ]
    assert graph.page.evaluate("kept.shadowRoot.querySelectorAll('.item').length") == 0


def test_where_no_worker_may_start_the_layout_is_made_here(graph: Graph) -> None:
    graph.run(
        "window.Worker = class { constructor() { throw new DOMException('refused', 'SecurityError') } }"
    )
    graph.show(large(400))
    assert len(graph.positions()) == 400


def test_the_last_of_two_workflows_counts(graph: Graph) -> None:
    graph.run("g.workflow = v; g.workflow = {jobs: [{id: 'only'}]}; await g.settled()", large(400))
    graph.run("await new Promise(done => setTimeout(done, 300)); await g.settled()")
    assert set(graph.positions()) == {"only"}


def test_only_what_is_in_sight_is_in_the_page(graph: Graph) -> None:
    graph.show(large(1000))
    count = "await g.settled(); return root.querySelectorAll('.item').length"
    assert graph.run(count) == 1  # an overview: the one that Tab leads to
    graph.run("g.selectNode('j500')")
    assert 2 <= graph.run(count) < 100
    assert graph.run("return g.zoom") == 1
    box = graph.box("j500")
    assert 0 < box["cx"] < 1000
    assert 0 < box["cy"] < 640


def everything() -> dict[str, Any]:
    return {
        **of(*grouped()["jobs"], *(job(status, status=status, duration_secs=3) for status in STATUSES)),
        "trigger": "on: push",
    }


@pytest.mark.parametrize(
    "scheme",
    [
        "light",
        *(pytest.param(name, marks=pytest.mark.nightly) for name in ("dark", "contrast", "contrast-dark")),
    ],
)
def test_axe_finds_nothing(graph: Graph, scheme: str) -> None:
    graph.run("g.theme = {layout: {header_height: 48}}; g.scheme = v", scheme)
    graph.show(everything())
    graph.run("g.selectNode('running')")
    assert findings(graph.page) == []


@pytest.mark.nightly
def test_a_thousand_jobs_are_there_within_a_second_and_move_smoothly(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 1300, "height": 800})
    page.goto(address)
    graph = Graph(page)
    first = graph.run(
        "const t = performance.now(); g.workflow = v; await g.settled(); return performance.now() - t",
        large(1000),
    )
    frames = graph.run(
        """
        const stage = root.querySelector('.stage')
        const at = (type, x, y) => stage.dispatchEvent(new PointerEvent(type, { pointerId: 1, pointerType: 'touch', clientX: x, clientY: y }))
        const wheel = deltaY => stage.dispatchEvent(new WheelEvent('wheel', { deltaY, clientX: 600, clientY: 300, cancelable: true }))
        const times = []
        at('pointerdown', 600, 300)
        let last = await new Promise(requestAnimationFrame)
        for (let i = 0; i < 120; i++) {
          if (i < 60) at('pointermove', 600 + 200 * Math.sin(i / 8), 300 + 150 * Math.cos(i / 8))
          else wheel(i < 90 ? -60 : 60)
          const now = await new Promise(requestAnimationFrame)
          times.push(now - last)
          last = now
        }
        return times.sort((a, b) => a - b)
        """
    )
    page.close()
    assert first < 1000
    assert frames[60] < 20


@pytest.mark.nightly
def test_five_thousand_jobs_open_without_freezing_the_page(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 1300, "height": 800})
    page.goto(address)
    graph = Graph(page)
    longest = graph.run(
        """
        let longest = 0, going = true
        const beat = (async () => { let last = performance.now(); while (going) { await new Promise(r => setTimeout(r)); const now = performance.now(); longest = Math.max(longest, now - last); last = now } })()
        g.workflow = v; await g.settled(); going = false; await beat; return longest
        """,
        large(5000, 100),
    )
    page.close()
    assert longest < 500


# --- docs/graph.md ---

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "graph.md").read_text()


def first_cells(heading: str) -> list[str]:
    """The first column of the table whose first heading is that."""
    table = PAGE.partition(f"\n| {heading} |")[2].partition("\n\n")[0]
    return re.findall(r"^\| `(.*?)` ", table, re.MULTILINE)


def test_the_page_names_all_that_there_is(graph: Graph) -> None:
    described = graph.run(
        """
        const { WfgGraph } = await import('/graph/graph.js')
        const own = Object.getOwnPropertyDescriptors(WfgGraph.prototype)
        const names = Object.keys(own).filter(name => !/^constructor$|Callback$/.test(name))
        return { methods: names.filter(name => own[name].value).sort(), properties: ['clock', ...names.filter(name => own[name].get)].sort() }
        """
    )
    sources = "".join(path.read_text() for path in (STATIC / "graph").glob("*.js"))
    theme, labels = (
        graph.run(
            f"const all = await import('/graph/{name}.js'); return [all.COLORS, Object.keys(all.LABELS ?? {{}})]"
        )
        for name in ("theme", "labels")
    )

    assert sorted(re.match(r"\w+", name)[0] for name in first_cells("method")) == described["methods"]  # type: ignore[index]
    assert sorted(first_cells("property")) == described["properties"]
    assert (
        sorted(first_cells("event"))
        == sorted(set(re.findall(r"#emit\('([\w-]+)'", sources)))
        == sorted(EVENTS)
    )
    for words in (*theme[0], *labels[1]):
        assert re.search(rf"\b{words}\b", PAGE), words


def test_the_scripts_of_the_page_work(graph: Graph) -> None:
    first, second = re.findall(r"^```js\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    graph.page.evaluate(f"async () => {{ {first}; {second}; await graph.settled() }}")

    assert set(graph.positions()) == {"test", "build", "ship"}
    assert graph.status("build") == "success"
    assert graph.run("return root.querySelector('.item').style.width") == "240px"


def test_the_example_page_works(browser: Browser) -> None:
    (command,) = re.findall(r"^```sh\n(.*?)\n```$", PAGE, re.MULTILINE)
    args = command.replace("python3", sys.executable + " -u").replace("8001", "0 --bind 127.0.0.1").split()
    server = subprocess.Popen(
        args, cwd=DOCS.parent, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    context = browser.new_context(viewport={"width": 1000, "height": 700})
    try:
        assert server.stdout
        (port,) = re.findall(r"port (\d+)", server.stdout.readline())
        page = context.new_page()
        found = complaints(page)
        page.goto(f"http://127.0.0.1:{port}/docs/graph-example.html")
        graph = Graph(page)
        graph.run(
            "await g.settled(); window.setTimeout = (set => (done, ms) => set(done, Math.min(ms, 20)))(setTimeout)"
        )
        graph.click("deploy")
        assert page.text_content("#said") == "job deploy"
        page.select_option("#direction", "TopToBottom")
        page.select_option("#scheme", "dark")
        page.click("#run")
        page.wait_for_selector("#run:not(:disabled)")
        graph.run("await g.settled()")
        assert (
            graph.run("return [...root.querySelectorAll('.job')].map(el => el.dataset.status)")
            == ["success"] * 9
        )
        assert found == []
    finally:
        context.close()
        server.kill()
        server.wait()
        if server.stdout:
            server.stdout.close()
