"use strict";
// A link to something that is folded away opens it.
const show = () => {
  const place = document.getElementById(location.hash.slice(1));
  for (let box = place; box; box = box.parentElement) if (box.tagName === "DETAILS") box.open = true;
  if (place) place.scrollIntoView({ block: "center" });
};
show();
// Draws the charts of the page; without it (or in a browser that cannot inflate) the tables say the same.
(async () => {
  const read = (id) => document.getElementById(id).textContent;
  const figures = JSON.parse(read("figures"));
  const packed = Uint8Array.from(atob(read("plotly").trim()), (one) => one.charCodeAt(0));
  const inflated = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const script = document.createElement("script");
  script.textContent = await new Response(inflated).text();
  document.head.append(script);
  const colours = () => {
    const style = getComputedStyle(document.documentElement);
    return { "font.color": style.getPropertyValue("--text"), "hoverlabel.bgcolor": style.getPropertyValue("--box") };
  };
  const charts = Object.keys(figures).map((name) => document.getElementById(name));
  const small = window.innerWidth < 600;
  // Named one by one: among the buttons that Plotly has by itself is one that uploads the chart.
  const buttons = [["toImage", "zoom2d", "pan2d", "resetScale2d"]];
  for (const place of charts) {
    const { data, layout } = figures[place.id];
    const found = colours();
    layout.font = { ...layout.font, color: found["font.color"], size: small ? 10 : 12 };
    layout.hoverlabel = { ...layout.hoverlabel, bgcolor: found["hoverlabel.bgcolor"] };
    const names = data.filter((one) => one.name && one.showlegend !== false).length;
    layout.height += small && layout.showlegend !== false ? 16 * names : 0;  // the legend takes that much of a narrow chart
    const bar = { displaylogo: false, displayModeBar: small ? false : "hover", modeBarButtons: buttons };
    await Plotly.newPlot(place, data, layout, { responsive: true, plotlyServerURL: "", ...bar });
    place.on("plotly_click", ({ points }) => {
      const source = [points[0].customdata].flat().at(-1);
      if (typeof source === "string") location.hash = source;
    });
  }
  const recolour = () => charts.forEach((place) => Plotly.relayout(place, colours()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
  matchMedia("print").addEventListener("change", recolour);
  addEventListener("hashchange", show);
  addEventListener("beforeprint", () => document.querySelectorAll("details.printed").forEach((one) => { one.open = true; }));
  document.documentElement.dataset.drawn = String(charts.length);
})();
