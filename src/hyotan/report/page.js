// Nothing here is needed to read the page: a switch of the theme, and a button that copies a command.
const root = document.documentElement, key = "hyotan-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");
function stored() { try { return localStorage.getItem(key); } catch { return null; } }
function store(theme) { try { localStorage.setItem(key, theme); } catch { /* a page from a file may not */ } }
const asked = /theme=(dark|light)/.exec(location.hash);
const first = asked ? asked[1] : stored();
if (first === "dark" || first === "light") root.dataset.theme = first;
const button = document.getElementById("theme");
function isDark() { return root.dataset.theme ? root.dataset.theme === "dark" : dark.matches; }
function label() { button.textContent = isDark() ? button.dataset.light : button.dataset.dark; }
button.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  store(root.dataset.theme);
  label();
});
dark.addEventListener("change", label);
label();
button.hidden = false;
for (const copy of document.querySelectorAll("button.copy")) {
  if (!navigator.clipboard) continue;
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    try { await navigator.clipboard.writeText(copy.parentElement.querySelector("code").textContent); } catch { return; }
    const before = copy.textContent;
    copy.textContent = copy.dataset.done;
    setTimeout(() => { copy.textContent = before; }, 1500);
  });
}
