// The little that HTML cannot say: toasts (App Bridge's where it is), dialogs that close after a swap, ticks for a whole page, the filter menu.
"use strict";
document.addEventListener("occ:toast", (event) => {
  const { message } = event.detail;
  if (window.shopify?.toast && window.shopify.environment?.embedded !== false) return void shopify.toast.show(message);
  const toasts = document.getElementById("toasts");
  const toast = document.createElement("div");
  toast.className = "toast";
  toast.textContent = message;
  toasts.append(toast);
  setTimeout(() => toast.remove(), 5000);
});
const tellToast = () => {
  const told = document.querySelector("[data-toast]");
  if (!told) return;
  const message = told.dataset.toast;
  told.remove();
  document.dispatchEvent(new CustomEvent("occ:toast", { detail: { message } }));
};
document.addEventListener("change", (event) => {
  if (!event.target.matches("[data-pick-all]")) return;
  for (const box of event.target.closest("table").querySelectorAll("tbody input[type=checkbox]")) box.checked = event.target.checked;
});
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  const field = document.getElementById(button.dataset.copy);
  field.select();
  await (navigator.clipboard?.writeText(field.value) ?? Promise.reject()).catch(() => document.execCommand("copy"));
  document.dispatchEvent(new CustomEvent("occ:toast", { detail: { message: "Copied" } }));
});
document.addEventListener("htmx:after:swap", () => {
  tellToast();
  document.querySelector("[aria-invalid=true]")?.focus();
});
document.addEventListener("htmx:before:request", () => window.shopify?.loading?.(true));
document.addEventListener("htmx:after:request", () => window.shopify?.loading?.(false));
document.addEventListener("htmx:error", () => window.shopify?.loading?.(false));
document.addEventListener("DOMContentLoaded", tellToast);
