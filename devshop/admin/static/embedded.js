// The admin's half of App Bridge: answers the frame's questions, shows its navigation, toasts, loading and save bar.
"use strict";
const frame = document.getElementById("app");
const { origin, store, handle } = frame.dataset;
const base = `/store/${store}/apps/${handle}`;
const say = (message) => frame.contentWindow.postMessage({ devshop: true, ...message }, origin);

const answers = {
  async idToken({ id }) {
    const response = await fetch(`/store/${store}/id-token`, { method: "POST" });
    say({ type: "answer", id, value: response.ok ? (await response.json()).id_token : null });
  },
  location({ path }) {
    const clean = new URL(path, origin);
    for (const name of ["embedded", "hmac", "host", "id_token", "locale", "session", "shop", "timestamp"]) clean.searchParams.delete(name);
    history.replaceState(null, "", base + (clean.pathname === "/" ? "" : clean.pathname) + clean.search);
    for (const link of document.querySelectorAll("#app-nav a")) {
      const here = clean.pathname === link.dataset.path || (link.dataset.path !== "/" && clean.pathname.startsWith(`${link.dataset.path}/`));
      here ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
    }
  },
  nav({ links }) {
    document.getElementById("app-nav").replaceChildren(...links.map(({ path, label }) => {
      const link = document.createElement("a");
      link.href = base + path;
      link.dataset.path = path;
      link.textContent = label;
      link.addEventListener("click", (event) => { event.preventDefault(); say({ type: "navigate", path }); });
      return link;
    }));
  },
  toast({ message }) {
    const toast = document.getElementById("toast");
    toast.textContent = message;
    clearTimeout(toast.timer);
    toast.timer = setTimeout(() => { toast.textContent = ""; }, 5000);
  },
  loading({ on }) { document.getElementById("bar").hidden = !on; },
  saveBar({ on }) { document.getElementById("savebar").hidden = !on; },
};

addEventListener("message", (event) => {
  if (event.origin === origin && event.source === frame.contentWindow && event.data?.devshop) answers[event.data.type]?.(event.data);
});
document.getElementById("save").addEventListener("click", () => say({ type: "save" }));
document.getElementById("discard").addEventListener("click", () => say({ type: "discard" }));

for (const form of document.querySelectorAll("#strip form")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const response = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { Accept: "application/json" } });
    document.getElementById("said").textContent = response.ok ? `Done at ${new Date().toLocaleTimeString()}` : "That cannot be done.";
    refresh();
  });
}

const seen = new Map();
async function refresh() {
  const rows = await (await fetch(`/store/${store}/stock.json`)).json();
  document.getElementById("stock").replaceChildren(...rows.map((row) => {
    const line = document.createElement("tr");
    for (const [n, value] of [row.sku, row.available, row.committed].entries()) {
      const cell = document.createElement("td");
      cell.textContent = value;
      if (n) cell.className = "num";
      line.append(cell);
    }
    line.title = row.title;
    const now = `${row.available}/${row.committed}`;
    const before = seen.get(row.sku);
    if (before && before.now !== now) seen.set(row.sku, { now, at: Date.now() });
    if (!before) seen.set(row.sku, { now, at: 0 });
    if (Date.now() - seen.get(row.sku).at < 4000) line.className = "changed";
    return line;
  }));
}
refresh();
setInterval(refresh, 1500);
