// The little that HTML cannot say: toasts (App Bridge's where it is), dialogs that close after a swap, ticks for a whole page, the filter menu,
// and that a press counts once.
"use strict";
document.addEventListener("occ:toast", (event) => {
  const { message, undo } = event.detail;
  const onAction = () => document.getElementById(undo)?.click();
  if (window.shopify?.toast && window.shopify.environment?.embedded !== false) return void shopify.toast.show(message, undo ? { action: "Undo", onAction, duration: 10000 } : {});
  const toasts = document.getElementById("toasts");
  const toast = document.createElement("div");
  toast.className = "toast";
  toast.textContent = message;
  if (undo) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Undo" });
    button.addEventListener("click", () => { toast.remove(); onAction(); });
    toast.append(button);
  }
  toasts.append(toast);
  setTimeout(() => toast.remove(), undo ? 10000 : 5000);
});
const tellToast = () => {
  const told = document.querySelector("[data-toast]");
  if (!told) return;
  const message = told.dataset.toast;
  told.remove();
  document.dispatchEvent(new CustomEvent("occ:toast", { detail: { message } }));
};
document.addEventListener("click", (event) => { if (event.target.closest("[data-print]")) window.print(); });
document.addEventListener("change", (event) => {
  if (!event.target.matches("[data-pick-all]")) return;
  for (const box of event.target.closest("table").querySelectorAll("tbody input[type=checkbox]")) box.checked = event.target.checked;
});
// A photo is made small before it is sent: a phone's own is many megabytes.
document.addEventListener("change", async ({ target }) => {
  if (!target.matches("[data-shrink]") || !target.files[0]?.type.startsWith("image/")) return;
  const picture = await createImageBitmap(target.files[0], { imageOrientation: "from-image" }).catch(() => null);
  if (!picture) return;
  const scale = Math.min(1, target.dataset.shrink / Math.max(picture.width, picture.height));
  const canvas = new OffscreenCanvas(Math.round(picture.width * scale), Math.round(picture.height * scale));
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.85 });
  if (blob.size >= target.files[0].size) return;
  const files = new DataTransfer();
  files.items.add(new File([blob], "photo.jpg", { type: "image/jpeg" }));
  target.files = files.files;
});
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  const field = document.getElementById(button.dataset.copy);
  field.select();
  await (navigator.clipboard?.writeText(field.value) ?? Promise.reject()).catch(() => document.execCommand("copy"));
  document.dispatchEvent(new CustomEvent("occ:toast", { detail: { message: "Copied" } }));
});
// Ticks set while an answer is on its way stay as they are: the answer knows only those of its question.
let ticked = null;
document.addEventListener("htmx:before:swap", () => {
  const list = document.querySelector("[data-keep-picks]");
  ticked = list && { of: list.dataset.keepPicks, boxes: [...list.querySelectorAll("[name=p]")].map(({ value, checked }) => [value, checked]) };
});
const keepTicks = () => {
  const list = document.querySelector("[data-keep-picks]");
  if (!list || list.dataset.keepPicks !== ticked?.of) return;
  for (const [value, checked] of ticked.boxes) {
    const box = list.querySelector(`[name=p][value="${value}"]`), kept = list.querySelector(`[name=keep][value="${value}"]`);
    if (box) box.checked = checked;
    else if (checked && !kept) list.append(Object.assign(document.createElement("input"), { type: "hidden", name: "keep", value }));
    else if (!checked) kept?.remove();
  }
};
document.addEventListener("htmx:after:swap", () => {
  keepTicks();
  tellToast();
  document.querySelector("[aria-invalid=true]")?.focus();
});
document.addEventListener("htmx:before:request", () => window.shopify?.loading?.(true));
document.addEventListener("htmx:after:request", () => window.shopify?.loading?.(false));
document.addEventListener("htmx:error", () => window.shopify?.loading?.(false));
document.addEventListener("DOMContentLoaded", tellToast);
// A second press while the first is on its way, or of a double click, is none.
const underWay = new WeakSet();
const drop = (event) => { event.preventDefault(); event.stopImmediatePropagation(); };
document.addEventListener("htmx:before:request", ({ detail }) => underWay.add(detail.ctx.sourceElement));
document.addEventListener("htmx:finally:request", ({ detail }) => underWay.delete(detail.ctx.sourceElement));
document.addEventListener("submit", (event) => { if (event.target.method === "post" && underWay.has(event.target)) drop(event); }, true);
document.addEventListener("click", (event) => {
  if (event.detail > 1 && event.target.closest?.("form[method=post] button:not([type=button]), button[hx-post]")) drop(event);
}, true);
// A border between two amounts: dragged, both follow; typed, it follows.
document.addEventListener("input", ({ target }) => {
  const border = target.matches("[data-border]") ? target : document.querySelector(`[data-border~="${target.id || "-"}"]`);
  if (!border) return;
  const [left, right] = border.dataset.border.split(" ").map((id) => document.getElementById(id));
  if (target === border) [left.value, right.value] = [border.value, border.max - border.value];
  else if (target === left) border.value = left.value;
});
