"""A result as a picture: answers a second of every server, one group of bars for each request."""

from html import escape
from typing import Any

from benchmarks.report import median, rates

WIDTH, RIGHT, TOP = 820, 140, 70
BAR, GAP, GROUP = 17, 4, 34
STYLE = """
  .paper { fill: #ffffff } .text { fill: #1f2328 } .soft { fill: #59636e }
  .ours { fill: #0f7b4f } .variant { fill: #6fb996 } .other { fill: #a3b1c2 }
  .axis { stroke: #d1d9e0 }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 } .text { fill: #f0f6fc } .soft { fill: #9198a1 }
    .ours { fill: #3fb27f } .variant { fill: #2a6f52 } .other { fill: #55606e }
    .axis { stroke: #3d444d }
  }
  text { font: 13px system-ui, "Segoe UI", Helvetica, Arial, sans-serif }
  .title { font-size: 17px; font-weight: 600 } .group { font-size: 14px; font-weight: 600 }
  .end { text-anchor: end } .bold { font-weight: 600 }
"""


def svg(result: dict[str, Any]) -> str:
    baseline = result["baseline"]
    servers = {
        name: server for name, server in result["servers"].items() if not server.get("revision")
    }
    left = max(190, 30 + round(7.3 * max(len(server["label"]) for server in servers.values())))
    room = WIDTH - left - RIGHT
    shapes = []
    y = TOP
    for kind in result["turns"]:
        medians = {name: median(rates(result, kind, name)) for name in servers}
        most = max(medians.values()) or 1
        shapes.append(f'<text class="group text" x="20" y="{y + 14}">{title(result, kind)}</text>')
        y += 22
        top = y
        for name, server in servers.items():
            look = ("variant" if server["variant"] else "ours") if server["ours"] else "other"
            weight = " bold" if look == "ours" else ""
            length = max(1.0, room * medians[name] / most)
            middle = y + BAR / 2 + 4.5
            said = f"{medians[name]:,.0f}/s".replace(",", "\u202f")
            if base := medians.get(baseline):
                said += f"   {medians[name] / base:.2f}×"
            shapes += [
                f'<text class="text end{weight}" x="{left - 8}" y="{middle}">'
                f"{escape(server['label'])}</text>",
                f'<rect class="{look}" x="{left}" y="{y}" width="{length:.1f}" height="{BAR}"'
                ' rx="2"/>',
                f'<text class="text{weight}" x="{left + length + 7:.1f}" y="{middle}"'
                f' xml:space="preserve">{said}</text>',
            ]
            y += BAR + GAP
        shapes.append(
            f'<line class="axis" x1="{left}" y1="{top - 3}" x2="{left}" y2="{y - GAP + 3}"/>'
        )
        y += GROUP - GAP
    machine, plan = result["machine"], result["plan"]
    height = y + 8
    base_label = servers.get(baseline, {}).get("label", "")
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" \
width="{WIDTH}" height="{height}" role="img" aria-label="Answers a second of each server">
<style>{STYLE}</style>
<rect class="paper" width="{WIDTH}" height="{height}" rx="8"/>
<text class="title text" x="20" y="32">Answers a second; × is the ratio to {escape(base_label)}</text>
<text class="soft" x="20" y="52">PostgreSQL, {result["connections"]} connections, \
{machine["cores"]} cores shared with the load; medians of {plan["rounds"]} × {plan["seconds"]:g} s; \
longer is faster</text>
{chr(10).join(shapes)}
</svg>
"""


def title(result: dict[str, Any], kind: str) -> str:
    name = result["requests"][kind].strip("`")
    return escape(name[0].upper() + name[1:])
