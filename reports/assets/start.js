// Start: samples need no chart library; then the library, then the figures.

load();
setTheme();
filters();
list();
$("#page-tools").hidden = false;

// The library's digest is in the content security policy of the page.
const library = $("#library");
if (library && !window.echarts) {
  try {
    const script = el("script", { textContent: await inflate(library) });
    document.head.append(script);
    script.remove();
    if (!window.echarts) throw new Error("the browser blocked the chart library");
  } catch (error) {
    fail("Charts could not start", error);
  }
}
root.classList.add("scripted");
root.classList.toggle("live", Boolean(window.echarts));
ids.forEach(furnish);
await refresh();

let later;
new ResizeObserver(() => {
  clearTimeout(later);
  later = setTimeout(() => ids.forEach((id) => live[id] && live[id].drawnAt !== $(".plot", figure(id)).clientWidth && draw(id)), 60);
}).observe($("#main"));

const repaint = () => {
  setTheme();
  drawAll();
};
for (const button of $$("[data-theme-set]"))
  button.addEventListener("click", () => {
    state.theme = button.dataset.themeSet;
    save();
    repaint();
  });
system.addEventListener("change", repaint);
addEventListener("hashchange", () => {
  load();
  setTheme();
  filters();
  list();
  refresh();
});
for (const button of $$("[data-page]"))
  button.addEventListener("click", () => {
    state.page += Number(button.dataset.page);
    save();
    list();
    $("#samples").scrollIntoView({ block: "start" });
  });
$("[data-act=print]").addEventListener("click", () => print());
$("[data-act=link]").addEventListener("click", async (event) => {
  const button = event.target;
  save();
  try {
    await navigator.clipboard.writeText(location.href);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Copy it from the address bar";
  }
  setTimeout(() => (button.textContent = "Copy link"), 2500);
});

// On paper: light, and laid out anew for the width of a sheet.
const PAPER = "670px";
addEventListener("beforeprint", () => {
  setTheme("light");
  for (const plot of $$(".plot")) plot.style.width = PAPER;
  turn++;
  ids.forEach(draw);
});
addEventListener("afterprint", () => {
  for (const plot of $$(".plot")) plot.style.width = "";
  repaint();
});
root.dataset.ready = Math.round(performance.now());
